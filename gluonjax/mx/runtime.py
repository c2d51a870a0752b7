"""`mx.runtime` and `mx.libinfo`: what this build of MXNet can do, as JAX has it here.

>>> Features().is_enabled('CPU'), Features().is_enabled('TVM_OP')
(True, False)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import jax

from gluonjax.mx.entry import explain_calls

__version__: str = '1.9.1'


class Feature(NamedTuple):
    """A feature.

    Args:
        name: MXNet's name.
        enabled: whether it is there.
    """

    name: str
    enabled: bool

    def __repr__(self) -> str:
        return f'{"✔" if self.enabled else "✖"} {self.name}'


class Features(Mapping[str, Feature]):
    """The features by their names; those that there are none of are not enabled."""

    def __init__(self) -> None:
        gpus = any(device.platform in ('gpu', 'cuda') for device in jax.devices())
        enabled = {'CPU': True, 'CUDA': gpus, 'CUDNN': gpus, 'NCCL': gpus, 'F16C': True, 'INT64_TENSOR_SIZE': False}
        self._all: dict[str, Feature] = {name: Feature(name, value) for name, value in enabled.items()}

    def is_enabled(self, feature_name: str) -> bool:
        """Whether a feature is there."""
        return self._all.get(feature_name.upper(), Feature('', False)).enabled

    def __getitem__(self, key: str) -> Feature:
        return self._all[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


def feature_list() -> list[Feature]:
    """The features."""
    return list(Features().values())


explain_calls(globals())
