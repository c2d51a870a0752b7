"""Arrays of PyTorch, TensorFlow, pandas and MXNet, as NumPy has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np


def to_numpy(array: Any) -> np.ndarray:
    """An array of another library, on the host."""
    return next(convert(array) for method, convert in _CONVERSIONS.items() if hasattr(array, method))


def _from_torch(tensor: Any) -> np.ndarray:
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) == 'torch.bfloat16':  # NumPy has none; through float32 it is exact
        return tensor.float().numpy().astype(jnp.bfloat16)
    return tensor.numpy()


_CONVERSIONS: dict[str, Callable[[Any], np.ndarray]] = {
    'asnumpy': lambda array: array.asnumpy(),
    'detach': _from_torch,
    'numpy': lambda tensor: np.asarray(tensor.numpy()),
    'to_numpy': lambda frame: frame.to_numpy(),
}
