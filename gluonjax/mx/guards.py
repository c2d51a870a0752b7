"""What is looked at before an operator of arrays runs: dtypes that must be alike, and numbers that decide shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.core
import numpy as np

from gluonjax.errors import ArgumentError, DTypeError, ShapeError
from gluonjax.mx import casting
from gluonjax.mx.op import Operator, find
from gluonjax.mx.op.elementwise import ARITHMETIC, SAME_SHAPE
from gluonjax.mx.tape import Tracked

Prepared = tuple[Operator, Sequence[Any], Mapping[str, Any]]

# Whose inputs have one dtype in MXNet, from which one on.
_ALIKE: dict[str, int] = {
    **{names[0]: 0 for names in SAME_SHAPE.values()},
    **{f'broadcast_{name}': 0 for name in ARITHMETIC},
    **dict.fromkeys(('dot', 'batch_dot', 'Concat', 'stack', 'add_n', 'khatri_rao'), 0),
    **dict.fromkeys(('FullyConnected', 'Convolution', 'Deconvolution'), 0),
    **dict.fromkeys(('_linalg_gemm', '_linalg_gemm2', '_linalg_trmm', '_linalg_trsm'), 0),
    'where': 1,
}


def prepared(operator: Operator, arrays: Sequence[Any], attributes: Mapping[str, Any]) -> Prepared:
    """The operator, its inputs and its attributes as they run.

    Raises:
        DTypeError: for inputs of several dtypes where MXNet has one.
        ArgumentError: for an index that is out of range, where that is asked for.
    """
    start = _ALIKE.get(operator.name)
    if start is not None:
        given = [x.value.dtype for x in arrays[start:] if x is not None]
        if given.count(given[0]) < len(given) and not casting.target() and not arrays[start].scalars:
            what = f'the inputs of {operator.name} have one dtype in MXNet'
            raise DTypeError(what, got=', '.join(map(str, given)), remedy=f"x.astype('{given[0]}')")
    prepare = _BY_VALUE.get(operator.name)
    if prepare is None or any(isinstance(x.value, jax.core.Tracer) for x in arrays if x is not None):
        return operator, arrays, attributes
    return prepare(operator, arrays, attributes)


def _boolean_mask(operator: Operator, arrays: Sequence[Any], attributes: Mapping[str, Any]) -> Prepared:
    """Takes the slices whose index is not 0: how many these are is known outside of compiled functions alone."""
    data, index = arrays
    axis = operator.parse(attributes)['axis']
    if index.shape != (data.shape[axis],):
        raise ShapeError('a mask has one number for each slice', expected=(data.shape[axis],), got=index.shape)
    rows = index.like(Tracked(jax.numpy.asarray(np.flatnonzero(index.asnumpy()), 'int32')))
    return find('take'), [data, rows], {'axis': axis}


def _take(operator: Operator, arrays: Sequence[Any], attributes: Mapping[str, Any]) -> Prepared:
    parsed = operator.parse(attributes)
    if parsed['mode'] == 'raise':
        size, index = arrays[0].shape[parsed['axis']], arrays[1].asnumpy()
        if wrong := index[(index < 0) | (index >= size)].tolist():
            raise ArgumentError('take has an index that is out of range', expected=f'0 to {size - 1}', got=wrong[0])
    return operator, arrays, attributes


_BY_VALUE: dict[str, Callable[..., Prepared]] = {'_contrib_boolean_mask': _boolean_mask, 'take': _take}
