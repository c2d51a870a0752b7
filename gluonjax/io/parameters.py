"""The parameters of networks in files: what of a file belongs to which Parameter."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from gluonjax import checks
from gluonjax.block import Block
from gluonjax.casting import check_dtype
from gluonjax.errors import ArgumentError, ParamsError
from gluonjax.io import formats
from gluonjax.io.memory import to_device
from gluonjax.io.old_names import match_old_names
from gluonjax.io.reading import Path
from gluonjax.layer import Layer, declarations_of, layers_of, walk
from gluonjax.lazy import suggests_keywords
from gluonjax.param import Param
from gluonjax.parameter import LOCK, Parameter, ParameterDict, commit
from gluonjax.placement import home_of
from gluonjax.rnn.layers import RecurrentLayer
from gluonjax.shapes import merge_shapes, shape_text
from gluonjax.tree import nest

_UNFUSED = re.compile(r'(.*\.)?_unfused\.(\d+)\.(?:([lr])_cell\.)?((?:i2h|h2h|h2r)_(?:weight|bias))')
_PREFIX = re.compile('^(arg:|aux:)')


@suggests_keywords
def save_parameters(net: Block, filename: Path, deduplicate: bool = False) -> None:
    """Writes the parameters to a file, in the format of its extension.

    `.safetensors` and `.npz` are those formats; `.orbax`, or a folder that is there, is one of orbax's, which takes
    sharded parameters; every other file is one of MXNet's, with the bytes that Gluon writes. It is there when it is
    whole, and not before.

    Args:
        net: the network.
        filename: where.
        deduplicate: write a tied parameter under one of its names, and not under each.

    Raises:
        DeferredInitializationError: if a parameter has no value yet.
        DTypeError: for a dtype that the format does not have.
    """
    with LOCK:
        definition, parameters = net.definition, net.collect_params()
        names = list(_own_first(_names_of(definition)))
        if deduplicate:
            names = list({parameters[name]: name for name in names}.values())  # the last name, as Gluon
        values = {name: parameters[name].data() for name in names}
    as_mxnet = recurrent_names(definition) if formats.is_mxnet(filename) else {}
    formats.save(filename, {as_mxnet.get(name, name): value for name, value in values.items()})


@suggests_keywords
def load_parameters(
    net: Block,
    filename: Path,
    ctx: Any = None,
    allow_missing: bool = False,
    ignore_extra: bool = False,
    cast_dtype: bool = False,
    dtype_source: str = 'current',
) -> None:
    """Sets the parameters to the values of a file. A network whose shapes are not known yet takes them from there.

    The file may be of MXNet (any version, also one exported with prefixes such as `arg:`), `.safetensors` or `.npz`, or
    a folder of orbax; which one is seen in the file. A tied parameter may be there under one of its names or under
    each. Files of before Gluon had structural names (`dense0_weight`) are matched by order and shape, with a warning
    that says how. Nothing is changed unless all is well.

    Args:
        net: the network; it need not be initialized.
        filename: what `save_parameters` wrote, here or in MXNet.
        ctx: a device or a sharding for the values; by default they go where the values are that they replace.
        allow_missing: leave parameters alone that are not in the file.
        ignore_extra: pass over what the network does not have.
        cast_dtype: take values of another dtype too: cast them, or with `dtype_source='saved'` the parameters.
        dtype_source: 'current' or 'saved'.

    Raises:
        FileError: if the file is damaged.
        ParamsError: if it does not fit the network; every difference is named.
    """
    _check_placement(ctx)
    with LOCK:
        definition, parameters = net.definition, net.collect_params()
        transformed = {name for name, said in declarations_of(definition).items() if said.param.transform is not None}
        loaded = {
            name: value
            for name, value in _gluon_names(_read(filename, parameters, ctx)).items()
            if name not in transformed
        }
        _load(parameters, loaded, filename, ctx, _Options(allow_missing, ignore_extra, cast_dtype, dtype_source))


def save(parameters: ParameterDict, filename: Path, strip_prefix: str = '') -> None:
    """Writes these parameters to a file, in the format of its extension; tied ones once.

    Args:
        parameters: what `collect_params` returned.
        filename: where, as for `Block.save_parameters`.
        strip_prefix: the start of every name, which is left out.

    Raises:
        ArgumentError: if a name does not start so.
    """
    if wrong := [name for name in parameters if not name.startswith(strip_prefix)]:
        raise ArgumentError(f'strip_prefix must be the start of every name, got {strip_prefix!r} and {wrong[0]!r}')
    with LOCK:
        values = {name.removeprefix(strip_prefix): parameter.data() for name, parameter in parameters.items()}
    formats.save(filename, values)


def load(
    parameters: ParameterDict,
    filename: Path,
    ctx: Any = None,
    allow_missing: bool = False,
    ignore_extra: bool = False,
    restore_prefix: str = '',
    cast_dtype: bool = False,
    dtype_source: str = 'current',
) -> None:
    """Sets these parameters to the values of a file, as `Block.load_parameters` does.

    Args:
        parameters: what `collect_params` returned.
        filename: as for `Block.load_parameters`, and so are the arguments that are not said here.
        ctx: a device or a sharding.
        allow_missing: leave parameters alone that are not in the file.
        ignore_extra: pass over what is not among these.
        restore_prefix: put before every name of the file.
        cast_dtype: take values of another dtype too.
        dtype_source: 'current' or 'saved'.
    """
    _check_placement(ctx)
    with LOCK:
        loaded = {
            restore_prefix + name: value for name, value in _gluon_names(_read(filename, parameters, ctx)).items()
        }
        _load(parameters, loaded, filename, ctx, _Options(allow_missing, ignore_extra, cast_dtype, dtype_source))


class _Options(NamedTuple):
    allow_missing: bool
    ignore_extra: bool
    cast_dtype: bool
    dtype_source: str


def _load(known: ParameterDict, loaded: dict[str, Any], filename: Path, ctx: Any, options: _Options) -> None:
    """Sets Parameters to what was loaded; all, or none if something does not fit."""
    checks.one_of('dtype_source', options.dtype_source, ('current', 'saved'))
    if loaded and not any('.' in name or name in known for name in loaded):
        loaded = _matched(known, loaded, filename)
    chosen = {known[name]: value for name, value in reversed(loaded.items()) if name in known}  # the first of each
    if differences := list(_differences(known, loaded, chosen, options)):
        remedies = [
            remedy for start, remedy in _REMEDIES.items() if any(line.startswith(start) for line in differences)
        ]
        raise ParamsError(
            f'{os.fspath(filename)!r} does not fit this network:\n  ' + '\n  '.join(differences),
            remedy=', '.join(remedies) or 'net.collect_params() lists what the network has',
        )
    if options.dtype_source == 'saved':
        for value in chosen.values():
            check_dtype(value.dtype)
    dtypes = {p: value.dtype if options.dtype_source == 'saved' else p.dtype for p, value in chosen.items()}
    places = [home_of(parameter) if ctx is None else ctx for parameter in chosen]
    arrays = to_device(list(chosen.values()), list(dtypes.values()), places)
    for parameter, dtype in dtypes.items():
        if parameter.dtype != dtype:
            parameter.cast(dtype)
    commit(dict(zip(chosen, arrays, strict=True)))


_REMEDIES = {
    'missing': 'allow_missing=True leaves what is missing as it is',
    'extra': 'ignore_extra=True passes over what is extra',
    'dtype': 'cast_dtype=True casts',
}


def _differences(
    known: ParameterDict,
    loaded: Mapping[str, Any],
    chosen: Mapping[Parameter, Any],
    options: _Options,
) -> Iterator[str]:
    """What does not fit, a line each."""
    if not options.allow_missing:
        missing = ((name, parameter) for name, parameter in known.items() if parameter not in chosen)
        yield from (f'missing: {name} {shape_text(parameter.shape)}' for name, parameter in missing)
    for name, value in loaded.items():
        parameter = known.get(name)
        if parameter is None:
            if not options.ignore_extra:
                yield f'extra: {name} {shape_text(value.shape)}'
        elif parameter.shape is not None and merge_shapes(parameter.shape, value.shape) is None:
            yield f'shape of {name}: expected {shape_text(parameter.shape)}, got {shape_text(value.shape)}'
        elif not _same_dtype(parameter.dtype, value.dtype) and not options.cast_dtype:
            yield f'dtype of {name}: expected {parameter.dtype}, got {value.dtype}'
        elif value is not chosen[parameter] and value.tobytes() != chosen[parameter].tobytes():
            yield f'value of {name}: it is tied, and another of its names has another value in the file'


def _same_dtype(ours: np.dtype, saved: np.dtype) -> bool:
    return saved in (ours, jax.dtypes.canonicalize_dtype(ours))


def _matched(known: ParameterDict, loaded: Mapping[str, Any], filename: Path) -> dict[str, Any]:
    """What was loaded, by our names."""
    ours = {name: parameter.shape for name, parameter in known.items()}
    names = match_old_names(os.fspath(filename), ours, {name: value.shape for name, value in loaded.items()})
    report = '\n  '.join(f'{old} -> {new}' for old, new in names.items())
    warnings.warn(
        f'{os.fspath(filename)!r} has names of before Gluon had structural ones; they were matched by order and shape:'
        f'\n  {report}',
        stacklevel=4,
    )
    return {names[old]: value for old, value in loaded.items()}


# Names.


def _names_of(definition: Layer) -> list[str]:
    """All names in definition order, tied ones too; not those that are read through a transform."""
    paths = (('.'.join(path), param) for path, param, _ in walk(definition))
    return [name for name, param in paths if param.transform is None]


def _own_first(names: Iterable[str]) -> Iterator[str]:
    """The names in Gluon's order: of each network first what it declares itself."""

    def visit(node: Mapping[str, Any]) -> Iterator[str]:
        yield from (value for value in node.values() if isinstance(value, str))
        for below in node.values():
            if not isinstance(below, str):
                yield from visit(below)

    return visit(nest({name: name for name in names}))


def recurrent_names(definition: Layer) -> dict[str, str]:
    """How Gluon's files call the parameters of recurrent layers: `l0_i2h_weight` is `_unfused.0.i2h_weight` there."""
    names = {}
    for path, layer in layers_of(definition):
        if isinstance(layer, RecurrentLayer):
            for name in (name for name, value in vars(layer).items() if isinstance(value, Param)):
                (side, *number), kind = name.partition('_')[0], name.partition('_')[2]
                cell = f'{side}_cell.' if layer.bidirectional else ''
                names['.'.join((*path, name))] = '.'.join((*path, '_unfused', ''.join(number), cell + kind))
    return names


def _gluon_names(loaded: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays by the names that they have here."""

    def renamed(name: str) -> str:
        name = _PREFIX.sub('', name, count=1)
        unfused = _UNFUSED.fullmatch(name)
        return f'{unfused[1] or ""}{unfused[3] or "l"}{unfused[2]}_{unfused[4]}' if unfused else name

    return {renamed(name): value for name, value in loaded.items()}


# Values.


def _read(filename: Path, known: ParameterDict, ctx: Any) -> dict[str, Any]:
    """The arrays of a file; those of a folder are read into the shards that they go to."""
    placements = {name: home_of(parameter) if ctx is None else ctx for name, parameter in known.items()}
    shardings = {name: place for name, place in placements.items() if isinstance(place, jax.sharding.Sharding)}
    return formats.load(filename, shardings)


def _check_placement(ctx: Any) -> None:
    if not isinstance(ctx, None | jax.Device | jax.sharding.Sharding):
        raise ArgumentError(
            'ctx is no place for values', expected='None, a jax.Device or a jax.sharding.Sharding', got=repr(ctx)
        )
