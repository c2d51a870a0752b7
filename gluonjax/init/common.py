"""The common initializers: a constant, normal numbers, and numbers whose scale is decided by the shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike

from gluonjax import checks
from gluonjax.arrays import admit
from gluonjax.errors import DTypeError, ShapeError
from gluonjax.init.initializer import Initializer, Shape
from gluonjax.init.names import alias, register
from gluonjax.init.own_code import as_dtype
from gluonjax.lazy import suggests_keywords
from gluonjax.sampler import Distribution


@register
class Constant(Initializer):
    """A number, or an array that broadcasts to the parameter's shape.

    >>> Constant([1, 2])(None, (2, 2))
    Array([[1., 2.],
           [1., 2.]], dtype=float32)
    """

    def __init__(self, value: ArrayLike | Sequence[Any] = 0.0) -> None:
        listed = isinstance(value, list | tuple)
        try:
            checked = admit(np.asarray(value) if listed or isinstance(value, str | None) else value, 'the constant')
        except ValueError:  # lists of unequal lengths
            raise DTypeError('the constant is no array of numbers', got=repr(value)) from None
        self.value: Any = value if listed else checked

    def distribution(self, shape: Shape) -> Distribution | None:
        real = isinstance(self.value, int | float | np.integer | np.floating)
        return Distribution('constant', float(self.value)) if real else None

    @suggests_keywords
    def init_weight(self, key: jax.Array, shape: Shape, dtype: DTypeLike, name: str) -> jax.Array:
        value = as_dtype(jnp.array(self.value), dtype, f'the constant of {name!r} has')  # a copy, which may be donated
        try:
            return jnp.broadcast_to(value, shape)
        except ValueError:
            raise ShapeError(f'the constant of {name!r} does not broadcast', expected=shape, got=value.shape) from None


@register
@alias('gaussian')
class Normal(Initializer):
    """Normal with mean 0 and standard deviation `sigma`."""

    def __init__(self, sigma: float = 0.01) -> None:
        self.sigma: float = checks.number('sigma', sigma, 0, finite=True)

    def distribution(self, shape: Shape) -> Distribution | None:
        return Distribution('normal', self.sigma)


@register
class Xavier(Initializer):
    """Scale from the fans (Glorot and Bengio, 2010): `sqrt(magnitude / factor)`.

    Args:
        rnd_type: 'uniform' on [-scale, scale), or 'gaussian' with standard deviation `scale`.
        factor_type: the factor: fan 'in', fan 'out' or their average, 'avg'. A fan is an axis (1 for in, 0 for out)
            times the size of the kernel (the product of the axes from 2 on).
        magnitude: see the formula.

    Raises:
        ShapeError: on a tensor of fewer than two axes, or with an empty fan.
        ArgumentError: on an unknown type.
    """

    def __init__(self, rnd_type: str = 'uniform', factor_type: str = 'avg', magnitude: float = 3) -> None:
        self.rnd_type: str = checks.one_of('rnd_type', rnd_type, ('uniform', 'gaussian'))
        self.factor_type: str = checks.one_of('factor_type', factor_type, ('avg', 'in', 'out'))
        checks.number('magnitude', magnitude, 0, finite=True)
        self.magnitude: float = magnitude

    def distribution(self, shape: Shape) -> Distribution | None:
        check_axes(self, shape, 2)
        kernel = float(np.prod(shape[2:]))
        fan_in, fan_out = shape[1] * kernel, shape[0] * kernel
        factor = {'avg': (fan_in + fan_out) / 2, 'in': fan_in, 'out': fan_out}[self.factor_type]
        base = 'uniform' if self.rnd_type == 'uniform' else 'normal'
        return Distribution(base, float(np.sqrt(self.magnitude / factor)) if factor else 0.0)


def check_axes(initializer: Initializer, shape: tuple[int, ...], least: int) -> None:
    """Refuses a shape of too few axes."""
    if len(shape) < least:
        raise ShapeError(
            f'{type(initializer).__name__} needs a shape of at least {least} axes',
            got=shape,
            remedy='use another initializer for this parameter, such as init.Uniform() or init.Zero()',
        )
