"""What comes in from outside: arrays of NumPy and other libraries, looked at in one place.

A NumPy array is copied. JAX on CPU computes on a NumPy array's own memory, and later than the call that was given it,
so that a caller who writes into it again would change what is computed. Whoever wants no copy passes a `jax.Array`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax.errors import DTypeError


def admit(tree: Any, what: str = 'input', copy: bool = True) -> Any:
    """The arrays of a tree as JAX can keep them; whatever is no array stays.

    Args:
        tree: a pytree.
        what: how an error calls its leaves.
        copy: whether arrays of NumPy are copied; False where the caller copies what it takes out of them.

    Returns:
        The tree. Arrays of NumPy (any byte order) are copies in the byte order of the machine, of at most 64 bits;
        those of PyTorch, TensorFlow and pandas, on the host, are NumPy arrays.

    Raises:
        DTypeError: for an array of strings, objects, dates or times, and for one with masked elements, naming it.

    >>> admit((np.arange(3, dtype='>i4'), 'text'))
    (array([0, 1, 2], dtype=int32), 'text')
    """
    convert = np.array if copy else np.asarray
    try:
        return jax.tree.map(lambda leaf: _admitted(leaf, convert), tree)
    except DTypeError:
        pass  # which of them it is, is said below
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: _admitted(leaf, convert, f'{what}{jax.tree_util.keystr(path)}'), tree
    )


def _admitted(leaf: Any, convert: Callable[..., np.ndarray], name: str = '') -> Any:
    if isinstance(leaf, np.ndarray):
        return _in_order(leaf, convert, name)
    if isinstance(leaf, jax.Array):
        return leaf
    for attribute, to_numpy in _OTHERS.items():
        if hasattr(leaf, attribute):
            return _in_order(to_numpy(leaf), convert, name)
    return leaf


def _in_order(array: np.ndarray, convert: Callable[..., np.ndarray], name: str) -> np.ndarray:
    dtype = array.dtype
    if not (dtype == np.bool_ or jnp.issubdtype(dtype, np.number)) or dtype.kind == 'm':
        got = f'{dtype} of shape {array.shape}'
        raise DTypeError(f'{name} is no array of numbers', got=got, remedy="x.astype('float32')")
    if array.__class__ is not np.ndarray and np.ma.is_masked(array):
        got = f'a mask of shape {array.shape}'
        raise DTypeError(f'{name} has masked elements', got=got, remedy='masked.filled(0)')
    return convert(array, _WIDEST.get(dtype.char) or dtype.newbyteorder('='))


def _from_torch(tensor: Any) -> np.ndarray:
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) == 'torch.bfloat16':  # NumPy has none; through float32 it is exact
        return tensor.float().numpy().astype(jnp.bfloat16)
    return tensor.numpy()


_WIDEST = {'g': np.dtype('float64'), 'G': np.dtype('complex128')}  # what JAX has of NumPy's wider ones
_OTHERS: dict[str, Callable[[Any], np.ndarray]] = {
    'asnumpy': lambda array: array.asnumpy(),
    'detach': _from_torch,
    'numpy': lambda tensor: np.asarray(tensor.numpy()),
    'to_numpy': lambda frame: frame.to_numpy(),
}
