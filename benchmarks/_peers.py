"""The same networks in other libraries; each imports its own, so that a missing one can be skipped.

The peers' ResNet-50 has their own layouts, and the parameters of ours.
"""

import functools
import itertools
import os

import jax

os.environ.setdefault('KERAS_BACKEND', 'jax')

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # channels within, blocks, stride
IMAGE = (1, 224, 224, 3)


def resnet50(x, conv, norm, pool, output):
    """ResNet-50 in terms of functions that make a layer and call it."""

    def block(x, channels, stride, project):
        y = jax.nn.relu(norm(conv(x, channels, 1, 1)))
        y = jax.nn.relu(norm(conv(y, channels, 3, stride)))
        y = norm(conv(y, 4 * channels, 1, 1))
        return jax.nn.relu((norm(conv(x, 4 * channels, 1, stride)) if project else x) + y)

    x = pool(jax.nn.relu(norm(conv(x, 64, 7, 2))))
    for channels, blocks, stride in STAGES:
        for i in range(blocks):
            x = block(x, channels, stride if i == 0 else 1, i == 0)
    return output(x.mean((1, 2)))


def convolutions():
    """Inputs, outputs, kernel and stride of ResNet-50's convolutions, in the order in which they run."""
    yield 3, 64, 7, 2
    inputs = 64
    for channels, blocks, stride in STAGES:
        for i in range(blocks):
            step = stride if i == 0 else 1
            yield inputs, channels, 1, 1
            yield channels, channels, 3, step
            yield channels, 4 * channels, 1, 1
            if i == 0:
                yield inputs, 4 * channels, 1, step
            inputs = 4 * channels


# flax linen


def _linen_mlp(inputs, widths, x):
    from flax import linen

    class MLP(linen.Module):
        @linen.compact
        def __call__(self, x):
            for width in widths[:-1]:
                x = linen.relu(linen.Dense(width)(x))
            return linen.Dense(widths[-1])(x)

    model = MLP()
    return 'f(params, x)', {'f': jax.jit(model.apply), 'params': model.init(jax.random.key(0), x), 'x': x}


def _linen_resnet50():
    from flax import linen

    class ResNet50(linen.Module):
        @linen.compact
        def __call__(self, x, train=False):
            def conv(x, channels, kernel, stride):
                padding = [(kernel // 2, kernel // 2)] * 2
                return linen.Conv(channels, (kernel, kernel), stride, padding, use_bias=False)(x)

            return resnet50(
                x,
                conv,
                lambda x: linen.BatchNorm(not train)(x),
                lambda x: linen.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1))),
                lambda x: linen.Dense(1000)(x),
            )

    return ResNet50()


def _linen_lowering():
    model, x = _linen_resnet50(), jax.ShapeDtypeStruct(IMAGE, 'float32')
    return model.apply, jax.eval_shape(model.init, jax.random.key(0), x), x


def _linen_init(wrap):
    model, x = _linen_resnet50(), jax.numpy.ones(IMAGE)
    init = wrap(model.init)
    return lambda seed: init(jax.random.key(seed), x)


# flax nnx


def _nnx_mlp(inputs, widths, x):
    from flax import nnx

    class MLP(nnx.Module):
        def __init__(self, rngs):
            sizes = itertools.pairwise((inputs, *widths))
            self.layers = nnx.List([nnx.Linear(before, after, rngs=rngs) for before, after in sizes])

        def __call__(self, x):
            *hidden, last = self.layers
            for layer in hidden:
                x = nnx.relu(layer(x))
            return last(x)

    return 'f(model, x)', {'f': nnx.jit(lambda model, x: model(x)), 'model': MLP(nnx.Rngs(0)), 'x': x}


def _nnx_resnet50():
    from flax import nnx

    class ResNet50(nnx.Module):
        def __init__(self, rngs):
            self.convs, self.norms = nnx.List(), nnx.List()
            for inputs, outputs, kernel, stride in convolutions():
                padding = [(kernel // 2, kernel // 2)] * 2
                conv = nnx.Conv(inputs, outputs, (kernel, kernel), stride, padding=padding, use_bias=False, rngs=rngs)
                self.convs.append(conv)
                self.norms.append(nnx.BatchNorm(outputs, use_running_average=True, rngs=rngs))
            self.output = nnx.Linear(2048, 1000, rngs=rngs)

        def __call__(self, x):
            convs, norms = iter(self.convs), iter(self.norms)
            return resnet50(
                x,
                lambda x, *_: next(convs)(x),
                lambda x: next(norms)(x),
                lambda x: nnx.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1))),
                self.output,
            )

    return ResNet50


def _nnx_lowering():
    from flax import nnx

    graph, state = nnx.split(nnx.eval_shape(lambda: _nnx_resnet50()(nnx.Rngs(0))))

    def apply(state, x):
        return nnx.merge(graph, state)(x)

    return apply, state, jax.ShapeDtypeStruct(IMAGE, 'float32')


def _nnx_init():
    from flax import nnx

    model = _nnx_resnet50()
    return lambda seed: nnx.state(model(nnx.Rngs(seed)))


# haiku


def _haiku_mlp(inputs, widths, x):
    import haiku as hk

    net = hk.without_apply_rng(hk.transform(lambda x: hk.nets.MLP(widths)(x)))
    return 'f(params, x)', {'f': jax.jit(net.apply), 'params': net.init(jax.random.key(0), x), 'x': x}


def _haiku_resnet50():
    import haiku as hk

    def forward(x, train):
        def conv(x, channels, kernel, stride):
            return hk.Conv2D(channels, kernel, stride, padding=[(kernel // 2, kernel // 2)] * 2, with_bias=False)(x)

        return resnet50(
            x,
            conv,
            lambda x: hk.BatchNorm(True, True, 0.9)(x, is_training=train),
            lambda x: hk.max_pool(x, (3, 3, 1), (2, 2, 1), 'SAME'),
            lambda x: hk.Linear(1000)(x),
        )

    return hk.without_apply_rng(hk.transform_with_state(forward))


def _haiku_lowering():
    net, x = _haiku_resnet50(), jax.ShapeDtypeStruct(IMAGE, 'float32')
    params, state = jax.eval_shape(functools.partial(net.init, train=True), jax.random.key(0), x)
    return functools.partial(net.apply, train=False), params, state, x


def _haiku_init():
    init, x = jax.jit(functools.partial(_haiku_resnet50().init, train=True)), jax.numpy.ones(IMAGE)
    return lambda seed: init(jax.random.key(seed), x)


# equinox


def _equinox_mlp(inputs, widths, x):
    import equinox as eqx

    class MLP(eqx.Module):
        layers: list

        def __init__(self, key):
            keys = jax.random.split(key, len(widths))
            sizes = itertools.pairwise((inputs, *widths))
            self.layers = [eqx.nn.Linear(*size, key=key) for size, key in zip(sizes, keys, strict=True)]

        def __call__(self, x):
            *hidden, last = self.layers
            for layer in hidden:
                x = jax.nn.relu(layer(x))
            return last(x)

    call = eqx.filter_jit(lambda model, x: jax.vmap(model)(x))
    return 'f(model, x)', {'f': call, 'model': MLP(jax.random.key(0)), 'x': x}


def _equinox_init():
    import equinox as eqx

    class ResNet50(eqx.Module):
        layers: list

        def __init__(self, key):
            keys = iter(jax.random.split(key, 54))
            self.layers = []
            for inputs, outputs, kernel, stride in convolutions():
                conv = eqx.nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, use_bias=False, key=next(keys))
                self.layers += [conv, eqx.nn.BatchNorm(outputs, 'batch', mode='batch')]
            self.layers.append(eqx.nn.Linear(2048, 1000, key=next(keys)))

    def init(seed):
        model, state = eqx.nn.make_with_state(ResNet50)(jax.random.key(seed))
        return eqx.filter((model, state), eqx.is_array)

    return init


# keras, on its JAX backend


def _keras_mlp(inputs, widths, x):
    import keras

    *hidden, last = widths
    layers = [keras.layers.Dense(width, activation='relu') for width in hidden]
    model = keras.Sequential([keras.Input((inputs,)), *layers, keras.layers.Dense(last)])
    return 'f(x)', {'f': model, 'x': x}


def _keras_init():
    import keras

    def init(seed):
        keras.utils.set_random_seed(seed)
        layers = []
        for inputs, outputs, kernel, stride in convolutions():
            conv, norm = keras.layers.Conv2D(outputs, kernel, stride, use_bias=False), keras.layers.BatchNormalization()
            conv.build((None, 224, 224, inputs))
            norm.build((None, 224, 224, outputs))
            layers += [conv, norm]
        layers.append(keras.layers.Dense(1000))
        layers[-1].build((None, 2048))
        return [variable.value for layer in layers for variable in layer.variables]

    return init


# PyTorch


def _torch_mlp(inputs, widths, x):
    import torch

    torch.set_grad_enabled(False)
    torch.set_num_threads(1)  # so small a network is faster without its pool
    layers = []
    for before, after in itertools.pairwise((inputs, *widths)):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    return 'f(x)', {'f': torch.nn.Sequential(*layers[:-1]), 'x': torch.randn(2, inputs)}


def _torch_init():
    import torch

    def init(seed):
        torch.manual_seed(seed)
        layers = []
        for inputs, outputs, kernel, stride in convolutions():
            conv = torch.nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
            layers += [conv, torch.nn.BatchNorm2d(outputs)]
        layers.append(torch.nn.Linear(2048, 1000))
        return [value for layer in layers for value in layer.state_dict().values()]

    return init


# A training step of an MLP: softmax cross-entropy, and SGD (rate 0.01) or Adam (0.001).


def optax_of(name):
    import optax

    return optax.sgd(0.01) if name == 'sgd' else optax.adam(0.001)


def cross_entropy(y, labels):
    import optax

    return optax.softmax_cross_entropy_with_integer_labels(y, labels).mean()


def holding(step, *held, **options):
    """A function of a batch that runs `step(*held, *batch)` and holds all that it gives but the last, the loss."""
    compiled, held = jax.jit(step, **options), list(jax.tree.map(jax.numpy.copy, held))

    def run(*batch):
        *held[:], value = compiled(*held, *batch)
        return value

    return run


def pure_step(apply, params, name, **options):
    """A step of `apply(params, x)`, as one writes it by hand with optax."""
    import optax

    optimizer = optax_of(name)

    def step(params, state, x, labels):
        value, gradient = jax.value_and_grad(lambda p: cross_entropy(apply(p, x), labels))(params)
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, value

    return holding(step, params, optimizer.init(params), **options)


def _named_step(make):
    """The step of a library whose models are functions of params: not donated, as its guides have it."""

    def make_step(inputs, widths, x, name):
        _, names = make(inputs, widths, x)
        return pure_step(names['f'], names['params'], name)

    return make_step


def _equinox_step(inputs, widths, x, name):
    import equinox as eqx

    optimizer, model = optax_of(name), _equinox_mlp(inputs, widths, x)[1]['model']
    held = [model, optimizer.init(eqx.filter(model, eqx.is_array))]

    @eqx.filter_jit
    def step(model, state, x, labels):
        value, gradient = eqx.filter_value_and_grad(lambda m: cross_entropy(jax.vmap(m)(x), labels))(model)
        updates, state = optimizer.update(gradient, state, eqx.filter(model, eqx.is_array))
        return eqx.apply_updates(model, updates), state, value

    def run(x, labels):
        held[0], held[1], value = step(*held, x, labels)
        return value

    return run


def _nnx_step(inputs, widths, x, name):
    from flax import nnx

    model = _nnx_mlp(inputs, widths, x)[1]['model']
    optimizer = nnx.Optimizer(model, optax_of(name), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, x, labels):
        value, gradient = nnx.value_and_grad(lambda m: cross_entropy(m(x), labels))(model)
        optimizer.update(model, gradient)
        return value

    return lambda x, labels: step(model, optimizer, x, labels)


def _keras_step(inputs, widths, x, name):
    import keras

    model = _keras_mlp(inputs, widths, x)[1]['f']
    optimizer = keras.optimizers.SGD(0.01) if name == 'sgd' else keras.optimizers.Adam(0.001)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=True)
    return model.train_on_batch


def _torch_step(inputs, widths, x, name):
    import numpy as np
    import torch

    model = _torch_mlp(inputs, widths, x)[1]['f']
    torch.set_grad_enabled(True)
    optimizer = torch.optim.SGD(model.parameters(), 0.01) if name == 'sgd' else torch.optim.Adam(model.parameters())

    def run(x, labels):
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(model(x), labels)
        value.backward()
        optimizer.step()
        return value.detach()

    data = torch.tensor(np.asarray(x)), torch.arange(len(x))
    return lambda x, labels: run(*data)


# What the benchmarks ask for: a statement and its names; a function to lower and its arguments; a function of a seed.

CALLS = {
    'flax linen jax.jit(model.apply)': _linen_mlp,
    'flax nnx.jit': _nnx_mlp,
    'haiku jax.jit(net.apply)': _haiku_mlp,
    'equinox filter_jit': _equinox_mlp,
    'keras (JAX)': _keras_mlp,
    'PyTorch, eager': _torch_mlp,
}
LOWERINGS = {'flax linen': _linen_lowering, 'flax nnx': _nnx_lowering, 'haiku': _haiku_lowering}
INITS = {
    'flax linen, jitted': lambda: _linen_init(jax.jit),
    'flax linen, eager': lambda: _linen_init(lambda init: init),
    'flax nnx': _nnx_init,
    'haiku, jitted': _haiku_init,
    'keras (JAX)': _keras_init,
    'equinox': _equinox_init,
    'PyTorch': _torch_init,
}
STEPS = {
    'flax linen': _named_step(_linen_mlp),
    'flax nnx.jit': _nnx_step,
    'haiku': _named_step(_haiku_mlp),
    'equinox filter_jit': _equinox_step,
    'keras (JAX)': _keras_step,
    'PyTorch, eager': _torch_step,
}
