"""How long do networks of the zoo take on CPU, inference and a training step, beside flax, PyTorch and MXNet?

ResNet-18, ResNet-50 and MobileNet on images of 224x224: one image for inference, four for a step of SGD. The networks
of flax linen (jitted, NHWC, optax) and PyTorch have the parameters of ours, and the same outputs and first loss, which
is checked. PyTorch is eager, with a thread for each core that the process may use. MXNet is hybridized (static_alloc)
and runs in the interpreter that MXNET_PYTHON names. Name models as arguments to run only these, after `--rounds 5` for
another number of rounds. On a machine that others use too, `taskset -c 1 python model_zoo.py --clock process_time`
counts the time of one processor. With --keep-memory the process, with all in it but MXNet, keeps what it frees.
"""

import argparse
import time

import jax

jax.config.update('jax_cpu_enable_async_dispatch', False)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from _timing import available, in_mxnet, report, time_each  # noqa: E402

import gluonjax  # noqa: E402
from gluonjax import loss, model_zoo  # noqa: E402

MODELS = 'resnet18_v1', 'resnet50_v1', 'mobilenet1.0'
SIZE, BATCH, RATE = 224, {'inference': 1, 'training': 4}, 0.01


def agreeing(runs):
    """These runs; the first of each, outputs or a loss, gives what the first of all gives, to rounding."""
    expected, *others = ((name, np.asarray(run())) for name, run in runs.items())
    for name, found in others:
        scale = np.abs(expected[1]).max()
        np.testing.assert_allclose(found, expected[1], rtol=0, atol=1e-3 * scale, err_msg=name)
    return runs


def timed(run, clock):
    """A function that gives the seconds of a run, once warm."""
    run()

    def measure():
        start = clock()
        run()
        return clock() - start

    return measure


def ours(model, x):
    net = model_zoo.get_model(model)
    net.initialize('xavier', key=0)
    net(x)
    return net


def inference(model, x):
    def flax_run():
        import _flax_zoo

        return _flax_zoo.inference(model, net, x)

    def torch_run():
        import _torch_zoo

        return _torch_zoo.inference(net, x)

    net, serving = ours(model, x), ours(model, x)
    serving.hybridize(static_params=True)
    return {
        'gluonjax': lambda: lambda: jax.block_until_ready(net(x)),
        'gluonjax, static_params': lambda: lambda: jax.block_until_ready(serving(x)),
        'flax linen': flax_run,
        'torch': torch_run,
    }


def training(model, x):
    def flax_step():
        import _flax_zoo

        return _flax_zoo.training(model, ours(model, x), x, labels, RATE)

    def torch_step():
        import _torch_zoo

        return _torch_zoo.training(ours(model, x), x, labels, RATE)

    labels = jnp.arange(len(x)) % 10
    optimizer = gluonjax.optimizer.create('sgd', learning_rate=RATE)
    trainer = gluonjax.Trainer(ours(model, x), loss.SoftmaxCrossEntropyLoss(), optimizer)
    return {
        'gluonjax': lambda: lambda: float(trainer.step(x, labels)),
        'flax linen': flax_step,
        'torch': torch_step,
    }


def compare(model, kind, rounds, clock):
    shape = BATCH[kind], 3, SIZE, SIZE
    x = jax.random.normal(jax.random.key(1), shape)
    runs = {'inference': inference, 'training': training}[kind](model, x)
    measurements = {name: timed(run, getattr(time, clock)) for name, run in agreeing(available(runs)).items()}
    if peer := in_mxnet('_mxnet_zoo.py', model, kind, str(BATCH[kind]), str(SIZE), clock):
        measurements['MXNet'] = peer
    report(f'{model}, {kind}, {shape}', time_each(measurements, rounds), base='gluonjax', unit='ms')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('models', nargs='*')
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--clock', choices=('perf_counter', 'process_time'), default='perf_counter')
    parser.add_argument('--keep-memory', action='store_true', help='call gluonjax.keep_memory() first')
    options = parser.parse_args()
    if options.keep_memory:
        gluonjax.keep_memory()
    for name in options.models or MODELS:
        for kind in BATCH:
            compare(name, kind, options.rounds, options.clock)
