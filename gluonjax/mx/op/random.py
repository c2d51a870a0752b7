"""Random arrays. The distributions are MXNet's, the bits are JAX's."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp

from gluonjax.mx.op.attributes import Shape, dtype_of
from gluonjax.mx.op.table import Pass, operator

FloatType = Literal['None', 'float16', 'float32', 'float64']
IntType = Literal['None', 'int32', 'int64']
_Draw = Callable[..., jax.Array]  # key, shape, dtype, and the parameters


def _uniform(key: jax.Array, shape: Any, dtype: Any, low: Any, high: Any) -> jax.Array:
    return low + jax.random.uniform(key, shape, dtype) * (high - low)


def _normal(key: jax.Array, shape: Any, dtype: Any, loc: Any, scale: Any) -> jax.Array:
    return loc + jax.random.normal(key, shape, dtype) * scale


def _gamma(key: jax.Array, shape: Any, dtype: Any, alpha: Any, beta: Any) -> jax.Array:
    return jax.random.gamma(key, alpha, shape, dtype) * beta


def _exponential(key: jax.Array, shape: Any, dtype: Any, lam: Any) -> jax.Array:
    return jax.random.exponential(key, shape, dtype) / lam


def _poisson(key: jax.Array, shape: Any, dtype: Any, lam: Any) -> jax.Array:
    return jax.random.poisson(key, lam, shape).astype(dtype)


def _negative_binomial(key: jax.Array, shape: Any, dtype: Any, k: Any, p: Any) -> jax.Array:
    rates, counts = jax.random.split(key)
    return _poisson(counts, shape, dtype, _gamma(rates, shape, dtype, k, (1 - p) / p))


def _generalized_negative_binomial(key: jax.Array, shape: Any, dtype: Any, mu: Any, alpha: Any) -> jax.Array:
    rates, counts = jax.random.split(key)
    return _poisson(counts, shape, dtype, _gamma(rates, shape, dtype, 1 / alpha, alpha * mu))


# name -> how it is drawn, its attributes, and the inputs of `_sample_...`, which has a row of numbers for each
DISTRIBUTIONS: Mapping[str, tuple[_Draw, Mapping[str, float], tuple[str, ...]]] = {
    'uniform': (_uniform, {'low': 0.0, 'high': 1.0}, ('low', 'high')),
    'normal': (_normal, {'loc': 0.0, 'scale': 1.0}, ('mu', 'sigma')),
    'gamma': (_gamma, {'alpha': 1.0, 'beta': 1.0}, ('alpha', 'beta')),
    'exponential': (_exponential, {'lam': 1.0}, ('lam',)),
    'poisson': (_poisson, {'lam': 1.0}, ('lam',)),
    'negative_binomial': (_negative_binomial, {'k': 1, 'p': 1.0}, ('k', 'p')),
    'generalized_negative_binomial': (_generalized_negative_binomial, {'mu': 1.0, 'alpha': 1.0}, ('mu', 'alpha')),
}


def _float(name: str) -> Any:
    return dtype_of('float32' if name == 'None' else name)


def _with_parameters(function: Callable[..., Any], *parameters: inspect.Parameter) -> Callable[..., Any]:
    """The function with these parameters in place of its `*` and `**`."""
    own = inspect.signature(function).parameters.values()
    kept = [p for p in own if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    merged = sorted([*kept, *parameters], key=lambda p: p.kind)
    vars(function)['__signature__'] = inspect.Signature(merged)
    return function


def _enter(name: str, draw: _Draw, attributes: Mapping[str, float], inputs: tuple[str, ...]) -> None:
    given = [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=value, annotation=type(value))
        for key, value in attributes.items()
    ]
    arrays = [inspect.Parameter(key, inspect.Parameter.POSITIONAL_OR_KEYWORD) for key in inputs]

    def drawn(
        *, shape: Shape | None = None, ctx: str = '', dtype: FloatType = 'None', pass_: Pass, **numbers: Any
    ) -> jax.Array:
        return draw(pass_.key(name), shape or (1,), _float(dtype), *(numbers[key] for key in attributes))

    def like(data: jax.Array, *, pass_: Pass, **numbers: Any) -> jax.Array:
        return draw(pass_.key(name), data.shape, data.dtype, *(numbers[key] for key in attributes))

    def sample(*arrays: jax.Array, shape: Shape = (), dtype: FloatType = 'None', pass_: Pass) -> jax.Array:
        rows = [jnp.expand_dims(array, range(array.ndim, array.ndim + len(shape))) for array in arrays]
        return draw(pass_.key(name), (*arrays[0].shape, *shape), _float(dtype), *rows)

    aliases = [name] if name in ('uniform', 'normal') else []
    operator(f'_random_{name}', f'random_{name}', *aliases)(_with_parameters(drawn, *given))
    operator(f'_random_{name}_like')(_with_parameters(like, *given))
    operator(f'_sample_{name}', f'sample_{name}')(_with_parameters(sample, *arrays))


for _name, (_draw, _parameters, _inputs) in DISTRIBUTIONS.items():
    _enter(_name, _draw, _parameters, _inputs)


@operator('_random_randint', 'random_randint', '_npi_random_randint')
def randint(
    *, low: int, high: int, shape: Shape | None = None, ctx: str = '', dtype: IntType = 'None', pass_: Pass
) -> jax.Array:
    """Integers from low to high - 1."""
    chosen = dtype_of('int32' if dtype == 'None' else dtype)
    return jax.random.randint(pass_.key('randint'), shape or (1,), low, high, chosen)


@operator('_shuffle', 'shuffle', '_npi_shuffle')
def shuffle(data: jax.Array, *, pass_: Pass) -> jax.Array:
    """The slices along the first axis in random order."""
    return jax.random.permutation(pass_.key('shuffle'), data)


@operator('_sample_multinomial', 'sample_multinomial', outputs=lambda a: 2 if a['get_prob'] else 1)
def multinomial(
    data: jax.Array,
    *,
    shape: Shape = (),
    get_prob: bool = False,
    dtype: Literal['uint8', 'int32', 'float16', 'float32', 'float64'] = 'int32',
    pass_: Pass,
) -> tuple[jax.Array, ...]:
    """Classes drawn from rows of probabilities; and their log probabilities."""
    logits = jnp.log(data)
    rows = jnp.expand_dims(logits, range(data.ndim - 1, data.ndim - 1 + len(shape)))
    drawn = jax.random.categorical(pass_.key('multinomial'), rows, shape=(*data.shape[:-1], *shape))
    if not get_prob:
        return (drawn.astype(dtype_of(dtype)),)
    rows = jnp.broadcast_to(rows, (*drawn.shape, data.shape[-1]))
    chosen = jnp.take_along_axis(rows, drawn[..., None], -1)[..., 0]
    return drawn.astype(dtype_of(dtype)), chosen


def _enter_numpy(name: str, draw: _Draw, first: str, second: str) -> None:
    """`np.random.NAME`: each parameter is a number or, where that is None, an input."""
    given = [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, annotation=float | None) for key in (first, second)]

    def drawn(
        input1: jax.Array | None = None,
        input2: jax.Array | None = None,
        *,
        size: Shape | None = None,
        ctx: str = 'cpu',
        dtype: FloatType = 'float32',
        pass_: Pass,
        **numbers: Any,
    ) -> jax.Array:
        arrays = iter([array for array in (input1, input2) if array is not None])
        values = [next(arrays) if numbers[key] is None else jnp.asarray(numbers[key]) for key in (first, second)]
        shape = jnp.broadcast_shapes(*(value.shape for value in values)) if size is None else size
        return draw(pass_.key(name), shape, _float(dtype), *values).astype(_float(dtype))

    count = {
        'input1': lambda a: a[first] is None or a[second] is None,
        'input2': lambda a: a[first] is None and a[second] is None,
    }
    operator(f'_npi_{name}', only_if=count)(_with_parameters(drawn, *given))


_enter_numpy('uniform', _uniform, 'low', 'high')
_enter_numpy('normal', _normal, 'loc', 'scale')
_enter_numpy('gamma', _gamma, 'shape', 'scale')
