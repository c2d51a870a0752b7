"""A graph and its values as the two files that MXNet loads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gluonjax.checks import size
from gluonjax.io import mxnet_params
from gluonjax.io.reading import Path
from gluonjax.io.writing import replacing
from gluonjax.mx.symbol import Symbol


def write(path: Path, epoch: int, symbol: Symbol, values: Mapping[str, Any]) -> tuple[str, str]:
    """Writes a graph, and of these values those that it uses; returns the names of the two files."""
    size('epoch', epoch, least=0)
    auxiliary = set(symbol.list_auxiliary_states())
    kinds = {name: 'aux' if name in auxiliary else 'arg' for name in symbol.list_inputs() if name in values}
    files = f'{path}-symbol.json', f'{path}-{epoch:04d}.params'
    mxnet_params.save(files[1], {f'{kind}:{name}': values[name] for name, kind in kinds.items()})
    with replacing(files[0]) as file:
        file.write(symbol.tojson().encode())
    return files
