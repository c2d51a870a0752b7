"""What does a training step of an LSTM and a GRU cost: 2 layers of 256 units, 35 steps, batch 32, forward and backward?

The gradient of the summed squares of the outputs with respect to the input and to every parameter; and the forward pass
alone. The peers are hand-written JAX, flax, PyTorch, and MXNet in a process of its own, run by the Python that
MXNET_PYTHON names. Calls wait for their result. Also: how long tracing and compiling takes for 35 steps and for 350.
"""

import functools
import json
import os
import pathlib
import subprocess
import time

import jax

jax.config.update('jax_cpu_enable_async_dispatch', False)

import jax.numpy as jnp  # noqa: E402
from _models import agree  # noqa: E402
from _timing import available, report, time_each  # noqa: E402

from gluonjax import rnn  # noqa: E402

UNITS, LAYERS, STEPS, BATCH = 256, 2, 35, 32
BY_HAND = 'raw JAX'
ROUNDS = 15


def step(apply):
    """The compiled training step of a model."""
    return jax.jit(jax.value_and_grad(lambda params, x: (apply(params, x) ** 2).sum(), (0, 1)))


def timed(function, *arguments):
    """A measurement: seconds of one call."""

    def measure() -> float:
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        return time.perf_counter() - start

    return measure


def lstm_by_hand(state, gates, h2h):
    h, c = state
    i, f, g, o = jnp.split(gates + h2h(h), 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def gru_by_hand(state, gates, h2h):
    (h,) = state
    (r, z, n), (hr, hz, hn) = jnp.split(gates, 3, -1), jnp.split(h2h(h), 3, -1)
    r, z = jax.nn.sigmoid(r + hr), jax.nn.sigmoid(z + hz)
    return ((1 - z) * jnp.tanh(n + r * hn) + z * h,)


def by_hand(kind, params, x):
    """As one would write it: the weights of Gluon, the inputs' products before the scan."""
    equations, states = (lstm_by_hand, 2) if kind == 'LSTM' else (gru_by_hand, 1)
    for layer in range(LAYERS):
        wx, wh, bx, bh = (params[f'l{layer}_{name}'] for name in ('i2h_weight', 'h2h_weight', 'i2h_bias', 'h2h_bias'))

        def body(state, gates, wh=wh, bh=bh):
            state = equations(state, gates, lambda h: h @ wh.T + bh)
            return state, state[0]

        zeros = jnp.zeros((x.shape[1], UNITS), x.dtype)
        _, x = jax.lax.scan(body, (zeros,) * states, x @ wx.T + bx)
    return x


def in_flax(kind, x):
    from flax import linen

    cell = linen.OptimizedLSTMCell if kind == 'LSTM' else linen.GRUCell

    class Stack(linen.Module):
        @linen.compact
        def __call__(self, x):
            for _ in range(LAYERS):
                x = linen.RNN(cell(UNITS), time_major=True)(x)
            return x

    model = Stack()
    params = model.init(jax.random.key(0), x)
    return timed(step(model.apply), params, x), timed(jax.jit(model.apply), params, x)


def in_torch(kind, x):
    import numpy as np
    import torch

    model, inputs = getattr(torch.nn, kind)(UNITS, UNITS, LAYERS), torch.tensor(np.asarray(x), requires_grad=True)

    def measure() -> float:
        start = time.perf_counter()
        (model(inputs)[0] ** 2).sum().backward()
        return time.perf_counter() - start

    def forward() -> float:
        start = time.perf_counter()
        with torch.no_grad():
            model(inputs)
        return time.perf_counter() - start

    return measure, forward


def mxnet_step(kind):
    """Asks a process of MXNet's Python for one step at a time."""
    script, sizes = pathlib.Path(__file__).with_name('_rnn_mxnet.py'), json.dumps([kind, UNITS, LAYERS, STEPS, BATCH])
    process = subprocess.Popen(
        [os.environ['MXNET_PYTHON'], str(script), sizes], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def measure() -> float:
        print(file=process.stdin, flush=True)
        return float(process.stdout.readline())

    return measure


def measured(kind, x):
    layer, plain = getattr(rnn, kind)(UNITS, LAYERS), functools.partial(by_hand, kind)
    params = layer.init(0, x)
    agree(jax.jit(layer.apply)(params, x), jax.jit(plain)(params, x))
    models = {BY_HAND: plain, 'gluonjax': layer.apply}
    both = {name: (timed(step(f), params, x), timed(jax.jit(f), params, x)) for name, f in models.items()}
    both |= available({'flax linen': lambda: in_flax(kind, x), 'PyTorch': lambda: in_torch(kind, x)})
    steps, forward = ({name: pair[i] for name, pair in both.items()} for i in range(2))
    if 'MXNET_PYTHON' in os.environ:
        steps['MXNet, hybridized'] = mxnet_step(kind)
    else:
        print('skipped MXNet: MXNET_PYTHON does not name its Python')
    for what, measurements in {'forward and backward': steps, 'forward': forward}.items():
        for measure in measurements.values():
            measure()
            measure()
        title = f'{kind}, {LAYERS} layers of {UNITS} units, {STEPS} steps, batch {BATCH}, {what}'
        report(title, time_each(measurements, ROUNDS), base=BY_HAND, unit='ms')


def compilations():
    layer = rnn.LSTM(UNITS, LAYERS)

    def compilation(steps):
        x = jax.ShapeDtypeStruct((steps, BATCH, UNITS), 'float32')
        params = jax.eval_shape(layer.init, jax.random.key(0), x)

        def measure() -> float:
            jax.clear_caches()
            start = time.perf_counter()
            step(layer.apply).lower(params, x).compile()
            return time.perf_counter() - start

        return measure

    measurements = {f'{steps} steps': compilation(steps) for steps in (STEPS, 10 * STEPS)}
    report('gluonjax, trace and compile', time_each(measurements, 5), base=f'{STEPS} steps', unit='ms')


if __name__ == '__main__':
    for kind in ('LSTM', 'GRU'):
        measured(kind, jax.random.normal(jax.random.key(1), (STEPS, BATCH, UNITS)))
    compilations()
