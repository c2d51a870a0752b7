"""Random numbers: `_random_*`, `_sample_*`, those of `np.random`, and densities.

The distributions are MXNet's; the numbers are not: they are a function of the key that the pass gives.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln, xlogy

from gluonjax.mx.op.attributes import DType, Floats, Shape, dtype_of
from gluonjax.mx.op.table import Attributes, Pass, operator

Draw = Callable[..., jax.Array]  # (key, shape, *parameters) -> float32; the parameters have the shape or none
Parameters = Mapping[str, float]  # name -> default


class Distribution(NamedTuple):
    """One distribution: its parameters with MXNet's defaults, and how it is drawn."""

    parameters: Parameters
    draw: Draw


def _gamma(key: jax.Array, shape: Shape, alpha: Any, beta: Any) -> jax.Array:
    return jax.random.gamma(key, alpha, shape) * beta


def _poisson(key: jax.Array, shape: Shape, mean: Any) -> jax.Array:
    counter = jax.random.wrap_key_data(
        jax.random.bits(key, (2,), 'uint32'), impl='threefry2x32'
    )  # JAX has it for no other
    return jax.random.poisson(counter, mean, shape).astype('float32')


def _mixed_poisson(key: jax.Array, shape: Shape, alpha: Any, beta: Any) -> jax.Array:
    """Poisson numbers whose mean is drawn from a gamma distribution."""
    first, second = jax.random.split(key)
    return _poisson(second, shape, _gamma(first, shape, alpha, beta))


def _failures(key: jax.Array, shape: Shape, k: Any, p: Any) -> jax.Array:
    return _mixed_poisson(key, shape, k, (1 - p) / p)


def _overdispersed(key: jax.Array, shape: Shape, mu: Any, alpha: Any) -> jax.Array:
    spread = jnp.where(alpha == 0, 1, alpha)
    mixed = _mixed_poisson(key, shape, jnp.broadcast_to(1 / spread, shape), spread * mu)
    return jnp.where(alpha == 0, _poisson(key, shape, mu), mixed)


def _located(draw: Callable[[jax.Array, Shape], jax.Array]) -> Draw:
    return lambda key, shape, loc, scale: loc + scale * draw(key, shape)


DISTRIBUTIONS: Mapping[str, Distribution] = {
    'uniform': Distribution(
        {'low': 0.0, 'high': 1.0},
        lambda key, shape, low, high: low + (high - low) * jax.random.uniform(key, shape),
    ),
    'normal': Distribution({'loc': 0.0, 'scale': 1.0}, _located(jax.random.normal)),
    'gamma': Distribution({'alpha': 1.0, 'beta': 1.0}, _gamma),
    'exponential': Distribution({'lam': 1.0}, lambda key, shape, lam: jax.random.exponential(key, shape) / lam),
    'poisson': Distribution({'lam': 1.0}, _poisson),
    'negative_binomial': Distribution({'k': 1, 'p': 1.0}, _failures),
    'generalized_negative_binomial': Distribution({'mu': 1.0, 'alpha': 1.0}, _overdispersed),
}
_OF_ARRAYS = {'normal': ('mu', 'sigma')}  # what `_sample_*` calls parameters, where it is something else


def _keyword(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _array(name: str, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(name, kind, default=default, annotation=jax.Array)


def _with_signature(function: Callable[..., Any], *parameters: inspect.Parameter) -> Callable[..., Any]:
    """The function with the signature that the table reads, which the distribution decides."""
    function.__signature__ = inspect.Signature([*parameters, _keyword('pass_', Pass)])  # type: ignore[attr-defined]
    return function


_DTYPE = _keyword('dtype', DType | None, None)
_CTX = _keyword('ctx', str, '')


def _enter_numbers(name: str, distribution: Distribution) -> None:
    """Parameters are numbers, the shape is an attribute: `_random_NAME`; `_random_NAME_like` has that of an array."""
    parameters, draw = distribution
    attributes = [_keyword(each, type(default), default) for each, default in parameters.items()]

    def random(*, shape: Shape | None, dtype: str | None, ctx: str, pass_: Pass, **given: float) -> jax.Array:
        sizes = (pass_.shapes[0] if pass_.shapes else shape) or (1,)
        numbers = [given[each] for each in parameters]
        return draw(pass_.key(f'_random_{name}'), sizes, *numbers).astype(dtype_of(dtype or 'float32'))

    def like(data: jax.Array, *, pass_: Pass, **given: float) -> jax.Array:
        numbers = [given[each] for each in parameters]
        return draw(pass_.key(f'_random_{name}_like'), data.shape, *numbers).astype(data.dtype)

    short = [name] if name in ('uniform', 'normal') else []
    shaped = [*attributes, _keyword('shape', Shape | None, None), _CTX, _DTYPE]
    operator(f'_random_{name}', f'random_{name}', *short)(_with_signature(random, *shaped))
    operator(f'_random_{name}_like')(_with_signature(like, _array('data'), *attributes))


def _spread(parameter: jax.Array, shape: Shape) -> jax.Array:
    """One parameter for each position of the first axes."""
    return jnp.broadcast_to(parameter.reshape(parameter.shape + (1,) * (len(shape) - parameter.ndim)), shape)


def _enter_arrays(name: str, distribution: Distribution) -> None:
    """Parameters are arrays, and `shape` is drawn for each of their elements: `_sample_NAME`."""
    names = _OF_ARRAYS.get(name, tuple(distribution.parameters))

    def sample(*arrays: jax.Array, shape: Shape, dtype: str | None, pass_: Pass) -> jax.Array:
        sizes = arrays[0].shape + (shape or ())
        spread = [_spread(array.astype('float32'), sizes) for array in arrays]
        default = arrays[0].dtype if jnp.issubdtype(arrays[0].dtype, jnp.floating) else 'float32'
        drawn = distribution.draw(pass_.key(f'_sample_{name}'), sizes, *spread)
        return drawn.astype(default if dtype is None else dtype_of(dtype))

    arrays = [_array(each) for each in names]
    signed = _with_signature(sample, *arrays, _keyword('shape', Shape, ()), _DTYPE)
    operator(f'_sample_{name}', f'sample_{name}')(signed)


for _name, _distribution in DISTRIBUTIONS.items():
    _enter_numbers(_name, _distribution)
    _enter_arrays(_name, _distribution)


# np.random: each parameter is a number, or an array where the attribute is None.

NUMPY_DISTRIBUTIONS: Mapping[str, tuple[Mapping[str, Any], Draw]] = {
    'uniform': ({'low': ..., 'high': ...}, DISTRIBUTIONS['uniform'].draw),
    'normal': ({'loc': ..., 'scale': ...}, DISTRIBUTIONS['normal'].draw),
    'gamma': ({'shape': ..., 'scale': ...}, _gamma),
    'gumbel': ({'loc': ..., 'scale': ...}, _located(jax.random.gumbel)),
    'logistic': ({'loc': ..., 'scale': ...}, _located(jax.random.logistic)),
    'exponential': ({'scale': 1.0}, lambda key, shape, scale: scale * jax.random.exponential(key, shape)),
    'rayleigh': (
        {'scale': 1.0},
        lambda key, shape, scale: scale * jnp.sqrt(2 * jax.random.exponential(key, shape)),
    ),
    'weibull': ({'a': None}, lambda key, shape, a: jax.random.exponential(key, shape) ** (1 / a)),
    'pareto': ({'a': None}, lambda key, shape, a: jnp.expm1(jax.random.exponential(key, shape) / a)),
    'powerd': ({'a': None}, lambda key, shape, a: jnp.exp(-jax.random.exponential(key, shape) / a)),
}
_WITH_DTYPE = ('uniform', 'normal', 'gamma')


def _has(index: int, parameters: Mapping[str, Any]) -> Callable[[Attributes], bool]:
    """Whether more than `index` of the parameters are inputs."""
    return lambda attributes: sum(attributes[each] is None for each in parameters) > index


def _enter_numpy(name: str, suffix: str = '') -> None:
    """With the suffix `_n`, `size` is drawn for each element of the parameters; without it, it is the whole shape."""
    defaults, draw = NUMPY_DISTRIBUTIONS[name]
    inputs = [f'input{i}' for i, _ in enumerate(defaults, 1)]

    def random(*, size: Shape | None, pass_: Pass, dtype: str = 'float32', ctx: str = '', **given: Any) -> jax.Array:
        arrays = iter([given[each] for each in inputs if given.get(each) is not None])
        numbers = [next(arrays) if given[each] is None else jnp.asarray(given[each]) for each in defaults]
        own = jnp.broadcast_shapes(*(number.shape for number in numbers))
        sizes = own if size is None else size + own if suffix else size
        spread = [jnp.broadcast_to(n.reshape((1,) * (len(sizes) - n.ndim) + n.shape), sizes) for n in numbers]
        return draw(pass_.key(f'_npi_{name}'), sizes, *spread).astype(dtype_of(dtype))

    empty = inspect.Parameter.empty
    attributes = [_keyword(each, float | None, empty if d is ... else d) for each, d in defaults.items()]
    if name in _WITH_DTYPE:
        attributes.append(_keyword('dtype', DType, 'float32'))
    if name != 'powerd':
        attributes.append(_keyword('ctx', str, 'cpu'))
    arrays = [_array(each, None) for each in inputs]
    signed = _with_signature(random, *arrays, *attributes, _keyword('size', Shape | None, None))
    operator(f'_npi_{name}{suffix}', only_if={each: _has(i, defaults) for i, each in enumerate(inputs)})(signed)


for _name in NUMPY_DISTRIBUTIONS:
    _enter_numpy(_name)
_enter_numpy('uniform', '_n')
_enter_numpy('normal', '_n')


@operator('_npi_bernoulli', only_if={'input1': lambda a: a['prob'] is None and a['logit'] is None})
def bernoulli(
    input1: jax.Array | None = None,
    *,
    prob: float | None,
    logit: float | None,
    size: Shape | None = None,
    ctx: str = 'cpu',
    dtype: DType = 'float32',
    is_logit: bool,
    pass_: Pass,
) -> jax.Array:
    """1 with a probability, or with the sigmoid of a logit, 0 otherwise."""
    number = logit if is_logit else prob
    given = jnp.asarray(number if input1 is None else input1)
    chance = jax.nn.sigmoid(given) if is_logit else given
    shape = given.shape if size is None else size
    uniform = jax.random.uniform(pass_.key('_npi_bernoulli'), shape)
    return (uniform < jnp.broadcast_to(chance, shape)).astype(dtype_of(dtype))


# Integers, and orders.


@operator('_random_randint', 'random_randint', '_npi_random_randint')
def randint(
    *, low: int, high: int, shape: Shape | None = None, ctx: str = '', dtype: DType | None = None, pass_: Pass
) -> jax.Array:
    """Integers from `low` to `high` - 1."""
    return jax.random.randint(pass_.key('_random_randint'), shape or (1,), low, high, dtype_of(dtype or 'int32'))


@operator('_sample_multinomial', 'sample_multinomial', outputs=lambda a: 2 if a['get_prob'] else 1)
def multinomial(
    data: jax.Array, *, shape: Shape = (), get_prob: bool = False, dtype: DType = 'int32', pass_: Pass
) -> Any:
    """Indices drawn with the probabilities in the last axis, and with `get_prob` the logarithms of these."""
    batch, count = data.shape[:-1], data.shape[-1]
    sizes = batch + shape or (1,)
    chances = data.reshape(*batch, *(1,) * (len(sizes) - len(batch)), count)
    chances = jnp.broadcast_to(chances, (*sizes, count))
    index = jax.random.categorical(pass_.key('_sample_multinomial'), jnp.log(chances), -1)
    chosen = jnp.log(jnp.take_along_axis(chances, index[..., None], -1)[..., 0])  # classes without a chance: no nan
    index = index.astype(dtype_of(dtype))
    return (index, chosen) if get_prob else index


@operator('_npi_multinomial', only_if={'a': lambda attributes: attributes['pvals'] is None})
def np_multinomial(
    a: jax.Array | None = None, *, n: int, pvals: Floats | None = None, size: Shape | None = None, pass_: Pass
) -> jax.Array:
    """How often each index comes in n draws."""
    chances = jnp.asarray(pvals if a is None else a, 'float32')
    drawn = jax.random.categorical(pass_.key('_npi_multinomial'), jnp.log(chances), shape=(*(size or ()), n))
    return (drawn[..., None] == jnp.arange(chances.size).reshape((1,) * drawn.ndim + (-1,))).sum(-2)


@operator('_npi_choice', only_if={'input1': lambda a: a['a'] is None, 'input2': lambda a: a['weighted']})
def choice(
    input1: jax.Array | None = None,
    input2: jax.Array | None = None,
    *,
    a: int | None,
    size: Shape | None,
    ctx: str = 'cpu',
    replace: bool = True,
    weighted: bool = False,
    pass_: Pass,
) -> jax.Array:
    """Indices of elements of an array, or below a number, drawn with or without replacement."""
    count = (a or 0) if input1 is None else input1.shape[0]
    return jax.random.choice(pass_.key('_npi_choice'), count, size or (), replace, input2)


@operator('_shuffle', 'shuffle', '_npi_shuffle')
def shuffle(data: jax.Array, *, pass_: Pass) -> jax.Array:
    """The slices along the first axis in a random order."""
    return jax.random.permutation(pass_.key('_shuffle'), data)


@operator('_sample_unique_zipfian', outputs=('output0', 'output1'))
def sample_unique_zipfian(*, range_max: int, shape: Shape | None = None, pass_: Pass) -> tuple[jax.Array, jax.Array]:
    """Rows of different integers from an approximate Zipf distribution, and how many draws each row took."""
    rows, count = shape or (1, 1)
    first, second = jax.random.split(pass_.key('_sample_unique_zipfian'))
    numbers = jnp.arange(range_max, dtype='float32')
    chances = jnp.log((numbers + 2) / (numbers + 1)) / jnp.log(range_max + 1.0)
    # The largest of logarithms with Gumbel noise are draws without replacement, in order.
    noisy = jnp.log(chances)[None] + jax.random.gumbel(first, (rows, range_max))
    chosen = jax.lax.top_k(noisy, count)[1]
    taken = jnp.cumsum(chances[chosen], -1) - chances[chosen]
    tries = jax.random.geometric(second, jnp.clip(1 - taken, 1e-6, 1)).sum(-1)
    return chosen.astype(dtype_of('int64')), tries.astype(dtype_of('int64'))


# Densities.


def _log_gamma_density(x: Any, alpha: Any, beta: Any) -> Any:
    return xlogy(alpha, beta) + xlogy(alpha - 1, x) - beta * x - gammaln(alpha)


def _log_failures(x: Any, k: Any, p: Any) -> Any:
    return gammaln(x + k) - gammaln(x + 1) - gammaln(k) + xlogy(k, p) + xlogy(x, 1 - p)


LOG_DENSITIES: Mapping[str, tuple[tuple[str, ...], Callable[..., Any]]] = {
    'uniform': (('low', 'high'), lambda x, low, high: -jnp.log(high - low) + 0 * x),
    'normal': (
        ('mu', 'sigma'),
        lambda x, mu, sigma: -(((x - mu) / sigma) ** 2) / 2 - jnp.log(sigma) - jnp.log(2 * jnp.pi) / 2,
    ),
    'gamma': (('alpha', 'beta'), _log_gamma_density),
    'exponential': (('lam',), lambda x, lam: jnp.log(lam) - lam * x),
    'poisson': (('lam',), lambda x, lam: xlogy(x, lam) - gammaln(x + 1) - lam),
    'negative_binomial': (('k', 'p'), _log_failures),
    'generalized_negative_binomial': (
        ('mu', 'alpha'),
        lambda x, mu, alpha: _log_failures(x, 1 / alpha, 1 / (mu * alpha + 1)),
    ),
}


def _enter_density(name: str, parameters: tuple[str, ...], log_density: Callable[..., Any]) -> None:
    def density(sample: jax.Array, *arrays: jax.Array, is_log: bool) -> jax.Array:
        log = log_density(sample, *(_spread(array, sample.shape) for array in arrays))
        return log if is_log else jnp.exp(log)

    arrays = [_array(each) for each in ('sample', *parameters)]
    density.__signature__ = inspect.Signature([*arrays, _keyword('is_log', bool, False)])  # type: ignore[attr-defined]
    operator(f'_random_pdf_{name}', f'random_pdf_{name}')(density)


for _name, (_parameters, _log_density) in LOG_DENSITIES.items():
    _enter_density(_name, _parameters, _log_density)


@operator('_random_pdf_dirichlet', 'random_pdf_dirichlet')
def pdf_dirichlet(sample: jax.Array, alpha: jax.Array, *, is_log: bool = False) -> jax.Array:
    """The density of samples in the last axis, some for each position of the axes of `alpha` before its last one."""
    shape = (*alpha.shape[:-1], *(1,) * (sample.ndim - alpha.ndim), alpha.shape[-1])
    spread = jnp.broadcast_to(alpha.reshape(shape), sample.shape)
    log = xlogy(spread - 1, sample).sum(-1) + gammaln(spread.sum(-1)) - gammaln(spread).sum(-1)
    return log if is_log else jnp.exp(log)
