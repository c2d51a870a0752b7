"""What does a training step of an LSTM cost: 2 layers of 256 units, 35 steps, batch 32, forward and backward?

The gradient of the summed squares of the outputs with respect to the input and to every parameter. The peers are
hand-written JAX, flax, PyTorch, and MXNet in a process of its own, run by the Python that MXNET_PYTHON names. Calls
wait for their result. Also: how long tracing and compiling takes for 35 steps and for 350.
"""

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


def by_hand(params, x):
    """As one would write it: the weights of Gluon, the inputs' products before the scan."""
    for layer in range(LAYERS):
        wx, wh, bx, bh = (params[f'l{layer}_{kind}'] for kind in ('i2h_weight', 'h2h_weight', 'i2h_bias', 'h2h_bias'))

        def body(state, gates, wh=wh):
            h, c = state
            i, f, g, o = jnp.split(gates + h @ wh.T, 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zeros = jnp.zeros((x.shape[1], UNITS), x.dtype)
        _, x = jax.lax.scan(body, (zeros, zeros), x @ wx.T + (bx + bh))
    return x


def flax_step(x):
    from flax import linen

    class Stack(linen.Module):
        @linen.compact
        def __call__(self, x):
            for _ in range(LAYERS):
                x = linen.RNN(linen.OptimizedLSTMCell(UNITS), time_major=True)(x)
            return x

    model = Stack()
    return timed(step(model.apply), model.init(jax.random.key(0), x), x)


def torch_step(x):
    import numpy as np
    import torch

    model, inputs = torch.nn.LSTM(UNITS, UNITS, LAYERS), torch.tensor(np.asarray(x), requires_grad=True)

    def measure() -> float:
        start = time.perf_counter()
        (model(inputs)[0] ** 2).sum().backward()
        return time.perf_counter() - start

    return measure


def mxnet_step():
    """Asks a process of MXNet's Python for one step at a time."""
    script, sizes = pathlib.Path(__file__).with_name('_rnn_mxnet.py'), json.dumps([UNITS, LAYERS, STEPS, BATCH])
    process = subprocess.Popen(
        [os.environ['MXNET_PYTHON'], str(script), sizes], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def measure() -> float:
        print(file=process.stdin, flush=True)
        return float(process.stdout.readline())

    return measure


def training_steps(x):
    layer = rnn.LSTM(UNITS, LAYERS)
    params = layer.init(0, x)
    agree(jax.jit(layer.apply)(params, x), jax.jit(by_hand)(params, x))
    measurements = {BY_HAND: timed(step(by_hand), params, x), 'gluonjax': timed(step(layer.apply), params, x)}
    measurements |= available({'flax linen': lambda: flax_step(x), 'PyTorch': lambda: torch_step(x)})
    if 'MXNET_PYTHON' in os.environ:
        measurements['MXNet, hybridized'] = mxnet_step()
    else:
        print('skipped MXNet: MXNET_PYTHON does not name its Python')
    for measure in measurements.values():
        measure()
        measure()
    title = f'LSTM, {LAYERS} layers of {UNITS} units, {STEPS} steps, batch {BATCH}, forward and backward'
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
    training_steps(jax.random.normal(jax.random.key(1), (STEPS, BATCH, UNITS)))
    compilations()
