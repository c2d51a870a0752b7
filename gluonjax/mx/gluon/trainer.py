"""`gluon.Trainer`: updates the parameters by their gradients, in one compiled program."""

import os
import pathlib
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax import optimizer as optimizers
from gluonjax.errors import ArgumentError, FileError
from gluonjax.mx.gluon.parameter import Parameter
from gluonjax.mx.tape import Tracked


class Trainer:
    """Updates parameters by an optimizer.

    Args:
        params: of `net.collect_params()`, or a list.
        optimizer: a name or an Optimizer.
        optimizer_params: its arguments.
        kvstore: accepted; the arrays are where they are.
        compression_params: accepted.
        update_on_kvstore: accepted.

    >>> from gluonjax.mx import autograd, gluon, nd
    >>> w = gluon.Parameter('w', shape=(1,))
    >>> w.initialize('ones')
    >>> trainer = gluon.Trainer([w], 'sgd', {'learning_rate': 0.5})
    >>> with autograd.record():
    ...     loss = w.data() ** 2
    >>> loss.backward()
    >>> trainer.step(1)
    >>> w.data().asscalar()
    np.float32(0.0)
    """

    def __init__(
        self,
        params: Mapping[str, Parameter] | Sequence[Parameter],
        optimizer: Any,
        optimizer_params: Mapping[str, Any] | None = None,
        kvstore: Any = 'device',
        compression_params: Any = None,
        update_on_kvstore: bool | None = None,
    ):
        given = list(params.values()) if isinstance(params, Mapping) else list(params)
        if wrong := [type(p).__name__ for p in given if not isinstance(p, Parameter)]:
            raise ArgumentError('a Trainer takes Parameters', got=wrong[0], remedy='net.collect_params()')
        options = dict(optimizer_params or {})
        self._scale = float(options.pop('rescale_grad', 1.0))
        self._params = given
        self.optimizer: Any = optimizers.create(optimizer, **options)
        self._state: Any = None
        self._update: Any = None

    def _trained(self) -> list[Parameter]:
        return [p for p in self._params if p.grad_req != 'null']

    def _values(self) -> dict[str, jax.Array]:
        return {p.name: p.data().value for p in self._trained()}

    def _prepare(self) -> None:
        if self._state is not None:
            return
        trained = self._trained()
        optimizer = self.optimizer
        rates = {p.name: p.lr_mult for p in trained if p.lr_mult != 1}
        decays = {p.name: p.wd_mult for p in trained if p.wd_mult != 1}
        if rates or decays:
            optimizer = optimizers.with_multipliers(optimizer, rates, decays)

        def update(values: Any, gradients: Any, state: Any, scale: Any) -> Any:
            scaled = jax.tree.map(lambda g: g * scale.astype(g.dtype), gradients)
            updates, state = optimizer.update(scaled, state, values)
            return jax.tree.map(lambda p, u: (p + u).astype(p.dtype), values, updates), state

        self._state = optimizer.init(self._values())
        self._update = jax.jit(update)

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        self._prepare()
        return float(optimizers.find_learning_rate(self._state))

    def set_learning_rate(self, lr: float) -> None:
        """Sets the learning rate."""
        self._prepare()
        self._state = optimizers.with_learning_rate(self._state, lr)

    def step(self, batch_size: int, ignore_stale_grad: bool = False) -> None:
        """Divides the gradients by the batch size, and updates the parameters."""
        self.update(batch_size, ignore_stale_grad)

    def allreduce_grads(self) -> None:
        """Does nothing: there is one gradient for each parameter."""

    def update(self, batch_size: int, ignore_stale_grad: bool = False) -> None:
        """As `step`."""
        self._prepare()
        trained = self._trained()
        gradients = {p.name: p.grad().value for p in trained}
        values, self._state = self._update(self._values(), gradients, self._state, np.float32(self._scale / batch_size))
        for parameter in trained:
            parameter.data().assign(Tracked(values[parameter.name]))

    def save_states(self, fname: str | os.PathLike[str]) -> None:
        """Writes the optimizer's state."""
        self._prepare()
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(self._state)]
        pathlib.Path(fname).write_bytes(pickle.dumps(leaves))

    def load_states(self, fname: str | os.PathLike[str]) -> None:
        """Reads the optimizer's state.

        Raises:
            FileError: if it is that of another optimizer.
        """
        self._prepare()
        leaves = pickle.loads(pathlib.Path(fname).read_bytes())
        own, tree = jax.tree.flatten(self._state)
        if [leaf.shape for leaf in leaves] != [jnp.shape(leaf) for leaf in own]:
            raise FileError(f'{fname} has the state of another optimizer')
        self._state = jax.tree.unflatten(tree, [jnp.asarray(leaf) for leaf in leaves])
