"""Small networks, and what is asked of them in every file here."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gluonjax import init, nn

X = jnp.ones((2, 3))
KEY = jax.random.key(0)


class MLP(nn.Block):
    """A class as Gluon users write it; no super().__init__()."""

    def __init__(self, units=4):
        self.hidden = nn.Dense(units, activation='relu')
        self.output = nn.Dense(1)

    def forward(self, x):
        return self.output(self.hidden(x))


class Counting(init.Initializer):
    """Notes every run of its Python."""

    def __init__(self):
        self.runs = []

    def init_weight(self, key, shape, dtype, name):
        self.runs.append(name)
        return jax.random.uniform(key, shape, dtype)


def mlp(*sizes, **kwargs):
    return nn.Sequential(*(nn.Dense(size, **kwargs) for size in sizes))


def ready(*sizes, x=X, **kwargs):
    net = mlp(*sizes, **kwargs)
    net.initialize()
    net(x)
    return net


def values(net):
    """Every cell's value, or None; what a failed call must leave as it is."""
    return {name: parameter.current for name, parameter in net.collect_params().items()}


def same_bits(a, b):
    chex.assert_trees_all_equal_shapes_and_dtypes(a, b)
    chex.assert_trees_all_equal(jax.tree.map(np.asarray, a), jax.tree.map(np.asarray, b))
