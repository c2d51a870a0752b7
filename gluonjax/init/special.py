"""Initializers for layers of a kind, and those that go by the names of parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike

from gluonjax import checks
from gluonjax.arrays import admit
from gluonjax.errors import ArgumentError, ParamsError, PatternError, ShapeError
from gluonjax.init.common import Xavier, check_axes
from gluonjax.init.initializer import Initializer, InitializerLike, Shape, create
from gluonjax.init.names import register
from gluonjax.init.own_code import as_dtype
from gluonjax.lazy import suggests_keywords
from gluonjax.sampler import Distribution
from gluonjax.tree import matches


@register
class MSRAPrelu(Xavier):
    """He et al. (2015), for networks with PReLU of this slope: gaussian Xavier of magnitude `2 / (1 + slope^2)`."""

    def __init__(self, factor_type: str = 'avg', slope: float = 0.25) -> None:
        self.slope: float = checks.number('slope', slope, finite=True)
        super().__init__('gaussian', factor_type, 2.0 / (1 + slope**2))


@register
class Orthogonal(Initializer):
    """`scale` times a matrix with orthonormal rows or columns (Saxe et al., 2014), from the SVD of a random matrix.

    Axes after the first count as one.

    Args:
        scale: the factor; 1.414 suits relu.
        rand_type: the random matrix is 'uniform' on [-1, 1) or 'normal'.
    """

    def __init__(self, scale: float = 1.414, rand_type: str = 'uniform') -> None:
        self.scale: float = checks.number('scale', scale, finite=True)
        self.rand_type: str = checks.one_of('rand_type', rand_type, ('uniform', 'normal'))

    @suggests_keywords
    def init_weight(self, key: jax.Array, shape: Shape, dtype: DTypeLike, name: str) -> jax.Array:
        check_axes(self, shape, 2)
        matrix = Distribution(self.rand_type).sample(key, (shape[0], int(np.prod(shape[1:]))), jnp.float32)
        left, _, right = jnp.linalg.svd(matrix, full_matrices=False)
        chosen = left if left.shape == matrix.shape else right
        return (self.scale * chosen).reshape(shape).astype(dtype)


@register
class Bilinear(Initializer):
    """The kernel of bilinear upsampling, for transposed convolutions; repeated over the first two axes."""

    @suggests_keywords
    def init_weight(self, key: jax.Array, shape: Shape, dtype: DTypeLike, name: str) -> jax.Array:
        if len(shape) != 4:
            raise ShapeError(f'Bilinear cannot fill {name!r}', expected='a shape of four axes', got=shape)
        factor = np.ceil(shape[3] / 2.0)
        center = (2 * factor - 1 - factor % 2) / (2.0 * factor)
        rows, columns = (1 - np.abs(np.arange(shape[axis]) / factor - center) for axis in (2, 3))
        return jnp.broadcast_to(jnp.asarray(np.outer(rows, columns), dtype), shape)


@register
class LSTMBias(Initializer):
    """Zero, but `forget_bias` in the second quarter, where an LSTM's forget gate has its bias."""

    def __init__(self, forget_bias: float = 1.0) -> None:
        self.forget_bias: float = checks.number('forget_bias', forget_bias, finite=True)

    @suggests_keywords
    def init_weight(self, key: jax.Array, shape: Shape, dtype: DTypeLike, name: str) -> jax.Array:
        check_axes(self, shape, 1)
        value, hidden = np.zeros(shape), shape[0] // 4
        value[hidden : 2 * hidden] = self.forget_bias
        return jnp.asarray(value, dtype)


@register
class Mixed(Initializer):
    """Several initializers by pattern: the first pattern that matches a name (`re.match`) decides.

    As a network's general initializer it leaves alone what layers declare, as biases are; a dict of patterns, as in
    `net.initialize({'.*bias': init.One()})`, does not.

    >>> Mixed(['.*bias', '.*'], ['zeros', Xavier()]).for_name('0.weight')
    Xavier()
    """

    def __init__(self, patterns: Sequence[str], initializers: Sequence[InitializerLike]) -> None:
        if len(patterns) != len(initializers):
            raise ArgumentError('Mixed takes one initializer a pattern', expected=len(patterns), got=len(initializers))
        self.patterns: tuple[str, ...] = tuple(patterns)
        self.initializers: tuple[Initializer, ...] = tuple(map(create, initializers))

    def for_name(self, name: str) -> Initializer:
        for pattern, initializer in zip(self.patterns, self.initializers, strict=True):
            if matches(pattern, [name]):
                return initializer.for_name(name)
        raise PatternError(
            f'no pattern of Mixed matches {name!r}',
            expected=f'a match by one of {list(self.patterns)}',
            remedy="add ('.*', an initializer) at the end",
        )

    @suggests_keywords
    def init_weight(self, key: jax.Array, shape: Shape, dtype: DTypeLike, name: str) -> jax.Array:
        return self.for_name(name).init_weight(key, shape, dtype, name)


@register
class Load(Initializer):
    """Values from a dict of arrays by name (less MXNet's 'arg:' and 'aux:'); `default_init` for names it lacks.

    A value that is given by name wins over the initializer that a layer declares.
    """

    def __init__(
        self, param: Mapping[str, ArrayLike], default_init: InitializerLike | None = None, verbose: bool = False
    ) -> None:
        if not isinstance(param, Mapping):
            raise ArgumentError('Load takes a dict of arrays by name', got=repr(param))
        self.param: dict[str, Any] = {
            re.sub('^(arg|aux):', '', name): admit(value, name) for name, value in param.items()
        }
        self.default_init: Initializer | None = None if default_init is None else create(default_init)
        self.verbose: bool = verbose

    def has_value_for(self, name: str) -> bool:
        return name in self.param

    def for_name(self, name: str) -> Initializer:
        if name in self.param:
            return self
        if self.default_init is None:
            raise ParamsError(f'Load has no value for {name!r}', got=sorted(self.param), remedy='pass a default_init')
        return self.default_init.for_name(name)

    @suggests_keywords
    def init_weight(self, key: jax.Array, shape: Shape, dtype: DTypeLike, name: str) -> jax.Array:
        if name not in self.param:
            return self.for_name(name).init_weight(key, shape, dtype, name)
        value = jnp.array(self.param[name])  # a copy, which may be donated
        if self.verbose:
            print(f'Loaded {name} {value.shape}')
        if value.shape != tuple(shape):
            raise ShapeError(f'Load has another shape for {name!r}', expected=tuple(shape), got=value.shape)
        return as_dtype(value, dtype, f'Load has for {name!r}')

    def __repr__(self) -> str:
        return f'Load({len(self.param)} arrays, default_init={self.default_init!r})'
