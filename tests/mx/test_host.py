"""Programs at shapes that are seen rarely are evaluated by NumPy, with the bits of the compiled ones."""

import jax
import jax.numpy as jnp
import numpy as onp
import pytest
from jax import lax

from gluonjax.mx import host, nd, np, tape
from gluonjax.mx.numpy.pure import PURE

X = onp.random.RandomState(0).randn(4, 3).astype('float32')
FUNCTIONS = {
    'gather': lambda x: x[onp.array([2, 0, -1])],
    'gather columns': lambda x: x[:, onp.array([2, 0])],
    'gather elements': lambda x: x[onp.array([2, 0]), onp.array([1, 1])],
    'scatter': lambda x: x.at[onp.array([2, 0])].set(x[:2]),
    'scatter columns': lambda x: x.at[:, onp.array([2, 0])].set(7.0),
    'sort': lambda x: [PURE['sort'](x, 0), PURE['argsort'](x, 1)],
    'extremes': lambda x: [PURE['max'](x, 0), PURE['min'](x), PURE['argmax'](x, 1), PURE['all'](x > 0, 1)],
    'clip': lambda x: PURE['clip'](x, -0.5, 0.5),
    'shapes': lambda x: [PURE['concatenate']([x, x], 1), x.T, x[::-1, None], x.reshape(2, -1), PURE['repeat'](x, 2, 0)],
    'quotients': lambda x: jnp.true_divide(x, x.T.reshape(4, 3)),
    'rounding': lambda x: [x * x, PURE['floor'](x), PURE['where'](x > 0, x, -x)],
    'ints': lambda x: [(x * 100).astype('int32'), (x > 0).sum(0), (x > 0).astype('float32')],
    'pad': lambda x: PURE['pad'](x, ((1, 0), (0, 2))),
    'sums': lambda x: [x + x[::-1], x - x[::-1], lax.abs(x), -x, lax.ceil(x), lax.max(x, x[::-1]), lax.min(x, x[::-1])],
    'squares': lambda x: [lax.square(x), lax.integer_pow(x, 2), lax.sqrt(lax.abs(x))],
    'comparisons': lambda x: [f(x, x[:, ::-1]) for f in (lax.eq, lax.ne, lax.lt, lax.le, lax.gt, lax.ge)],
    'logic': lambda x: (
        [f(x > 0, x < 0.5) for f in (lax.bitwise_and, lax.bitwise_or, lax.bitwise_xor)]
        + [~(x > 0), lax.is_finite(lax.sqrt(x)), (x > 2).any(1)]
    ),
    'slices': lambda x: [
        lax.dynamic_slice(x, (9, 1), (2, 2)),
        lax.dynamic_update_slice(x, x[:1], (9, 0)),
        lax.slice(x, (0, 0), (4, 3), (2, 1)),
        lax.squeeze(x[:1], (0,)),
        lax.rev(x, (1,)),
    ],
    'others': lambda x: [
        lax.clamp(jnp.float32(-0.5), x, jnp.float32(0.5)),
        lax.broadcasted_iota('int32', (2, 3), 1) + x.shape[0],
        lax.argmin(x, 1, jnp.int32),
        lax.copy_p.bind(x),
    ],
}


@pytest.mark.optimized
@pytest.mark.parametrize('name', FUNCTIONS)
def test_numpy_gives_the_bits_of_xla(name):
    def function(arrays, key):
        found = FUNCTIONS[name](*arrays)
        return found if isinstance(found, list) else [found], []

    x = np.array(X).value
    found = host.Rare(function)([x])
    assert found is not None
    for ours, compiled in zip(found, tape.Program(name, function).plain([x], None)[0], strict=True):
        assert ours.dtype == compiled.dtype
        assert onp.asarray(ours).tobytes() == onp.asarray(compiled).tobytes()


def test_every_operation_is_compared():
    names = set()

    def visit(jaxpr):
        for equation in getattr(jaxpr, 'eqns', ()):
            names.add(equation.primitive.name)
            for inner in equation.params.values():
                visit(getattr(inner, 'jaxpr', None))

    for function in FUNCTIONS.values():
        visit(jax.make_jaxpr(function)(X).jaxpr)
    assert names >= set(host.PRIMITIVES)


@pytest.mark.parametrize(
    'function', [lambda x: x.sum(0), lambda x: x @ x.T, lambda x: 2 * x + 1, lambda x: x / 3, PURE['exp']]
)
def test_what_rounds_otherwise_is_compiled(function):
    rare = host.Rare(lambda arrays, key: ([function(*arrays)], []))
    assert rare([np.array(X).value]) is None


def test_lengths_that_change_compile_nothing_anew():
    program = tape.Program('clip', lambda arrays, key: ([PURE['clip'](arrays[0], 0, 1)], []))
    for size in range(1, 6):
        (y,), _ = tape.call(program, [np.array(X[0, :1].repeat(size)).tracked])
        assert y.array.tolist() == X[0, :1].repeat(size).clip(0, 1).tolist()
    assert program.plain.shapes() == 1
    for _ in range(host.Rare.TIMES + 1):
        tape.call(program, [np.array(X[0, :2]).tracked])
    assert program.plain.shapes() == 2


def test_results_share_no_memory_with_what_they_are_of():
    x = nd.array(X)
    parts = [x[i] for i in range(4)]
    x[:] = 0
    assert [part.asnumpy().sum() for part in parts] == [0] * 4  # views, as in MXNet
    y = np.array(X)
    rows = y[onp.array([1, 2])]
    y[:] = 0
    onp.testing.assert_array_equal(rows.asnumpy(), X[[1, 2]])
