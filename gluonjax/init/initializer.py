"""Initializer, what every initializer is, `create`, and those that a network uses by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from gluonjax import checks
from gluonjax.config import Frozen
from gluonjax.errors import KeywordError, ShapeError
from gluonjax.lazy import above, suggests_keywords
from gluonjax.sampler import Distribution

Shape = tuple[int, ...]
# Last names that end so the general initializer of a network fills with zeros or ones, others by `init_weight`.
_ZEROS = ('bias', 'beta', 'running_mean', 'moving_mean')
_ONES = ('gamma', 'running_var', 'moving_var')


class Initializer(Frozen):
    """The base of initializers. Override `init_weight` for code of your own, or `distribution` to state a distribution.

    >>> import numpy as np
    >>> class Ramp(Initializer):
    ...     def init_weight(self, key, shape, dtype, name):
    ...         return jnp.arange(np.prod(shape), dtype=dtype).reshape(shape)
    >>> Ramp()(jax.random.key(0), (2, 2))
    Array([[0., 1.],
           [2., 3.]], dtype=float32)
    """

    _remedy = 'make a new initializer'

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if hasattr(cls, '_init_weight'):
            raise above.messages.gluon_init_weight(cls)

    def __init__(self, **arguments: Any) -> None:
        """Takes the arguments that MXNet's initializers hand on to their base; it has no use for them."""
        if arguments and type(self).__init__ is Initializer.__init__:
            raise KeywordError(f'{type(self).__name__}() takes no arguments', got=sorted(arguments))

    def distribution(self, shape: Shape) -> Distribution | None:
        """The distribution of a tensor of this shape; None if `init_weight` has code of its own."""
        return None

    @suggests_keywords
    def init_weight(self, key: jax.Array, shape: Shape, dtype: DTypeLike, name: str) -> jax.Array:
        """The values of the parameter `name` (its name as seen from the object that was initialized)."""
        distribution = self.distribution(shape)
        if distribution is None:
            raise above.messages.no_values(self)
        return distribution.sample(key, shape, dtype)

    @suggests_keywords
    def __call__(self, key: Any, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        """The signature of `jax.nn.initializers`, so that ours work in flax and wherever else it is taken."""
        return self.init_weight(*above.failures.key_and_shape(key, shape), dtype, 'weight')  # pyright: ignore

    def has_value_for(self, name: str) -> bool:
        """Whether this one holds a value for this very parameter, which then wins over what its layer declares."""
        return False

    def for_name(self, name: str) -> Initializer:
        """The initializer that this one, as the general initializer of a network, uses for the parameter `name`."""
        last = name.rpartition('.')[2]
        return Zero() if last.endswith(_ZEROS) else One() if last.endswith(_ONES) else self

    def source(self, name: str, shape: Shape, copies: Shape = ()) -> Distribution | Callable[..., jax.Array]:
        """Where the values of a parameter come from: its distribution, or a function `f(key, shape, dtype)`.

        Of stacked copies (the first axes of the shape) such a function draws each by itself; the numbers of a
        distribution are independent anyway.

        Raises:
            ShapeError: for a shape that the distribution does not take.
        """
        ways = ('distribution', '__call__', 'init_weight')
        way = next(way for cls in type(self).__mro__ for way in ways if way in vars(cls))  # the one overridden last
        try:
            distribution = self.distribution(shape[len(copies) :]) if way == 'distribution' else None
        except ShapeError as error:
            raise ShapeError(f'{name!r} cannot be initialized: {error}') from None
        if distribution is not None:
            return distribution

        return above.init.own_code.source(self, way, name, copies)


InitializerLike = Initializer | str | Callable[[Any, Any, Any], Any]  # what `create` takes


def create(initializer: InitializerLike, **arguments: Any) -> Initializer:
    """An Initializer from a name, an Initializer, or any function `f(key, shape, dtype)`.

    Raises:
        ArgumentError: an unknown name, or something that is none of the three.

    >>> create('xavier', magnitude=2)
    Xavier(magnitude=2)
    >>> create(jax.nn.initializers.zeros)(jax.random.key(0), (2,))
    Array([0., 0.], dtype=float32)
    """
    if isinstance(initializer, str):
        return above.init.names.by_name(initializer, **arguments)
    if isinstance(initializer, Initializer):
        return initializer
    if isinstance(initializer, type) or not callable(initializer):
        raise above.messages.no_initializer(initializer)
    return above.init.own_code.Function(initializer)


class Zero(Initializer):
    """All zeros."""

    def distribution(self, shape: Shape) -> Distribution | None:
        return Distribution('constant', 0.0)


class One(Initializer):
    """All ones."""

    def distribution(self, shape: Shape) -> Distribution | None:
        return Distribution('constant', 1.0)


class Uniform(Initializer):
    """Uniform on [-scale, scale). The default initializer of a network is `Uniform(0.07)`."""

    def __init__(self, scale: float = 0.07) -> None:
        self.scale: float = checks.number('scale', scale, 0, finite=True)

    def distribution(self, shape: Shape) -> Distribution | None:
        return Distribution('uniform', self.scale)
