"""The networks of the zoo in flax linen, in its own layout, with the parameters of ours."""

import functools
import itertools

import jax
import jax.numpy as jnp
import optax
from flax import linen

# Channels, blocks and first stride of each stage; then those of MobileNet's pairs of convolutions.
BASIC = (64, 2, 1), (128, 2, 2), (256, 2, 2), (512, 2, 2)
BOTTLENECK = (256, 3, 1), (512, 4, 2), (1024, 6, 2), (2048, 3, 2)
SEPARABLE = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


def conv(x, channels, kernel=1, stride=1, **options):
    pads = [(kernel // 2, kernel // 2)] * 2
    return linen.Conv(channels, (kernel, kernel), stride, pads, **{'use_bias': False} | options)(x)


def norm(x, training):
    return linen.BatchNorm(not training, momentum=0.9)(x)


def basic(x, channels, stride, training):
    y = linen.relu(norm(conv(x, channels, 3, stride), training))
    return norm(conv(y, channels, 3), training)


def bottleneck(x, channels, stride, training):
    """MXNet's: the stride is that of the first convolution, and those of 1 by 1 have a bias."""
    y = linen.relu(norm(conv(x, channels // 4, 1, stride, use_bias=True), training))
    y = linen.relu(norm(conv(y, channels // 4, 3), training))
    return norm(conv(y, channels, use_bias=True), training)


def resnet(body, stages, x, training):
    x = linen.relu(norm(conv(x, 64, 7, 2), training))
    x = linen.max_pool(x, (3, 3), (2, 2), [(1, 1), (1, 1)])
    for channels, blocks, first in stages:
        for stride in (first, *[1] * (blocks - 1)):
            y = body(x, channels, stride, training)
            if stride != 1 or x.shape[-1] != channels:
                x = norm(conv(x, channels, 1, stride), training)
            x = linen.relu(y + x)
    return x


def mobilenet(x, training):
    x = linen.relu(norm(conv(x, 32, 3, 2), training))
    for channels, stride in SEPARABLE:
        inputs = x.shape[-1]
        x = linen.relu(norm(conv(x, inputs, 3, stride, feature_group_count=inputs), training))
        x = linen.relu(norm(conv(x, channels), training))
    return x


FEATURES = {
    'resnet18_v1': functools.partial(resnet, basic, BASIC),
    'resnet50_v1': functools.partial(resnet, bottleneck, BOTTLENECK),
    'mobilenet1.0': mobilenet,
}


class Network(linen.Module):
    model: str

    @linen.compact
    def __call__(self, x, training=False):
        return linen.Dense(1000)(FEATURES[self.model](x, training).mean((1, 2)))


def variables_of(network):
    """The values of a network of ours for flax, which numbers layers of a kind in the order in which they run."""
    numbers = {'Conv': itertools.count(), 'BatchNorm': itertools.count(), 'Dense': itertools.count()}
    variables = {'params': {}, 'batch_stats': {}}
    named = [(name.rpartition('.'), parameter.data()) for name, parameter in network.collect_params().items()]
    for _, group in itertools.groupby(named, key=lambda item: item[0][0]):
        values = {name: value for (_, _, name), value in group}
        if 'gamma' in values:
            name = f'BatchNorm_{next(numbers["BatchNorm"])}'
            variables['params'][name] = {'scale': values['gamma'], 'bias': values['beta']}
            variables['batch_stats'][name] = {'mean': values['running_mean'], 'var': values['running_var']}
            continue
        kind, order = ('Dense', (1, 0)) if values['weight'].ndim == 2 else ('Conv', (2, 3, 1, 0))
        own = {'kernel': values['weight'].transpose(order)}
        variables['params'][f'{kind}_{next(numbers[kind])}'] = own | {k: v for k, v in values.items() if k == 'bias'}
    return variables


def made(model, network, x):
    """The flax network, its variables, and the input in its layout; they are those that flax declares."""
    module, variables, x = Network(model), variables_of(network), jnp.asarray(x).transpose(0, 2, 3, 1)
    declared = jax.eval_shape(module.init, jax.random.key(0), x)
    if jax.tree.map(jnp.shape, variables) != jax.tree.map(jnp.shape, declared):
        raise AssertionError('the parameters are not those that flax declares')
    return module, variables, x


def inference(model, network, x):
    """A function without arguments that runs the network."""
    module, variables, x = made(model, network, x)
    apply = jax.jit(module.apply)
    return lambda: jax.block_until_ready(apply(variables, x))


def training(model, network, x, labels, rate):
    """A function without arguments that makes a step of SGD, by optax, compiled and donated."""
    module, variables, x = made(model, network, x)
    optimizer = optax.sgd(rate)

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def step(params, statistics, state, x):
        def loss_of(params):
            logits, new = module.apply({'params': params, 'batch_stats': statistics}, x, True, mutable=['batch_stats'])
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), new['batch_stats']

        (value, statistics), gradients = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), statistics, state, value

    # Copies, as ours keeps its own.
    params, statistics = jax.tree.map(jnp.copy, (variables['params'], variables['batch_stats']))
    state = [params, statistics, optimizer.init(params)]

    def run():
        *state[:], value = step(*state, x)
        return float(value)

    return run
