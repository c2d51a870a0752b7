"""`gluon.Trainer`: updates the parameters by their gradients, in one compiled program."""

from __future__ import annotations

import functools
import os
import pathlib
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gluonjax.errors import ArgumentError, FileError, GluonError
from gluonjax.mx import kvstore as kvstores
from gluonjax.mx import optimizer as optimizers
from gluonjax.mx.array import NDArray
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.parameter import Parameter
from gluonjax.mx.kvstore import KVStore


class StaleGradientError(GluonError, UserWarning):
    """A step without a new gradient of a parameter; MXNet raises a UserWarning."""


class Trainer:
    """Updates parameters by an optimizer.

    Args:
        params: of `net.collect_params()`, or a list.
        optimizer: a name or an Optimizer.
        optimizer_params: its arguments.
        kvstore: what its `_kvstore` is with several contexts; None: there is none. The arrays are where they are.
        compression_params: accepted.
        update_on_kvstore: False: `step` writes the sums over contexts into the gradients, and there are
            `allreduce_grads` and `update`.

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
        if not isinstance(params, Mapping | list | tuple):
            what, remedy = 'a Trainer takes Parameters in a list or dict', '[parameter], or net.collect_params()'
            raise ArgumentError(what, got=f'a {type(params).__name__}', remedy=remedy)
        given = [params[name] for name in sorted(params)] if isinstance(params, Mapping) else list(params)
        if wrong := [type(p).__name__ for p in given if not isinstance(p, Parameter)]:
            raise ArgumentError('a Trainer takes Parameters', got=wrong[0], remedy='net.collect_params()')
        if optimizer_params and isinstance(optimizer, optimizers.Optimizer):
            raise ArgumentError('an Optimizer has its arguments already', got=f'optimizer_params={optimizer_params}')
        self._params = given
        for parameter in given:
            parameter.set_trainer(self)
        self._wanted: tuple[Any, bool | None] = kvstore, update_on_kvstore
        self._optimizer = optimizers.create(optimizer, **(optimizer_params or {}))
        self._optimizer.param_dict = dict(enumerate(given))
        self._scale: float = self._optimizer.rescale_grad
        self._updaters: list[optimizers.Updater] = []  # one for each context
        self.loss_scaler: Any = None  # of `contrib.amp`
        self.gradient_scale: float = 1.0  # what gradients were multiplied with
        self._reset_kvstore()

    # What programs read of MXNet's kvstore, which decides whether gradients of several contexts are overwritten.

    def _reset_kvstore(self) -> None:
        self._kvstore: KVStore | None = None
        self._kv_initialized = False
        self._update_on_kvstore: bool | None = None
        self._params_to_init = list(self._params)

    def _init_kvstore(self) -> None:
        wanted, on = self._wanted
        stypes = {stype for parameter in self._params for stype in parameter.stypes}
        several = max((len(parameter.list_ctx()) for parameter in self._trained()), default=1) > 1
        if wanted is not None and (several or 'weight' in stypes):
            if on is None:
                on = stypes != {'gradient'}
            if 'weight' in stypes and not on:
                raise ArgumentError('sparse values are updated on the kvstore', got='update_on_kvstore=False')
            self._kvstore = wanted if isinstance(wanted, KVStore) else kvstores.create(wanted)
            self._update_on_kvstore = on
            if on:
                self._kvstore.set_updater(self._updaters_for(1)[0])
        self._kv_initialized, self._params_to_init = True, []

    def forget(self, parameter: Parameter) -> None:
        """Starts anew, as MXNet's kvstore does where it updates, after a program has set a value."""
        if self._update_on_kvstore:
            self._reset_kvstore()
            self._updaters = []

    def _check_kvstore(self, method: str) -> None:
        """Prepares, and refuses what MXNet does where its kvstore updates."""
        if not self._kv_initialized:
            self._init_kvstore()
        if self._update_on_kvstore:
            what = f'{method} is of a Trainer whose kvstore does not update'
            raise ArgumentError(what, remedy='Trainer(..., update_on_kvstore=False)')

    @property
    def optimizer(self) -> optimizers.Optimizer:
        """What updates the parameters."""
        return self._optimizer

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the next step."""
        return self._optimizer.learning_rate

    def set_learning_rate(self, lr: float) -> None:
        """Sets the learning rate.

        Raises:
            ScheduledRateError: if a scheduler decides it.
        """
        self._optimizer.set_learning_rate(lr)

    def step(self, batch_size: float, ignore_stale_grad: bool = False) -> None:
        """Divides the gradients, summed over contexts, by the batch size, and updates the parameters."""
        if not self._kv_initialized:
            self._init_kvstore()
        if self._update_on_kvstore is False:
            self._allreduce()
        self._update(batch_size, ignore_stale_grad, _summed if self._update_on_kvstore is not False else _as_they_are)

    def allreduce_grads(self) -> None:
        """Writes the sum over contexts into the gradients of each parameter.

        Raises:
            ArgumentError: with several contexts, without `update_on_kvstore=False`.
        """
        self._check_kvstore('allreduce_grads')
        self._allreduce()

    def _allreduce(self) -> None:
        for parameter in self._trained():
            for gradient, total in zip(parameter.list_grad(), _summed(parameter), strict=True):
                if total is not gradient:
                    gradient[:] = total

    def update(self, batch_size: float, ignore_stale_grad: bool = False) -> None:
        """As `step`, with the gradients as they are.

        Raises:
            ArgumentError: with several contexts, without `update_on_kvstore=False`.
            StaleGradientError: for a gradient that nothing has written since the last step; with `ignore_stale_grad`
                its parameter stays as it is.
        """
        self._check_kvstore('update')
        self._update(batch_size, ignore_stale_grad, _as_they_are)

    def _update(
        self, batch_size: float, ignore_stale_grad: bool, gradients_of: Callable[[Parameter], list[NDArray]]
    ) -> None:
        self._optimizer.rescale_grad = self._scale / (batch_size * self.gradient_scale)
        indices = [i for i, parameter in enumerate(self._params) if parameter.grad_req != 'null']
        stale = {i for i in indices if not self._params[i].is_fresh}
        if stale and not ignore_stale_grad:
            names = ', '.join(self._params[i].name for i in sorted(stale))
            remedy = 'backward before each step; step(n, ignore_stale_grad=True) passes by what the loss does not use'
            raise StaleGradientError(f'nothing has written the gradient of {names} since the last step', remedy=remedy)
        indices = [i for i in indices if i not in stale]
        if self.loss_scaler is not None and self.loss_scaler.has_overflow(self._params):
            self._note(indices)
            return
        weights = [self._params[i].arrays() for i in indices]
        gradients = [gradients_of(self._params[i]) for i in indices]
        for place, updater in enumerate(self._updaters_for(max(map(len, weights), default=0))):
            updater(indices, [each[place] for each in gradients], [each[place] for each in weights])
        self._note(indices)

    def _note(self, indices: Sequence[int]) -> None:
        """Remembers that gradients were used."""
        for i in indices:
            gradient, *_ = self._params[i].list_grad()
            gradient.used = gradient.version

    def gradients(self) -> list[NDArray]:
        """The gradients of all parameters that are trained, in all contexts."""
        return [gradient for parameter in self._trained() for gradient in parameter.list_grad()]

    def _trained(self) -> list[Parameter]:
        return [p for p in self._params if p.grad_req != 'null']

    def _updaters_for(self, contexts: int) -> list[optimizers.Updater]:
        while len(self._updaters) < contexts:
            self._updaters.append(optimizers.get_updater(self._optimizer))
        return self._updaters

    def save_states(self, fname: str | os.PathLike[str]) -> None:
        """Writes the optimizer and its states."""
        (updater, *_) = self._updaters_for(1)
        pathlib.Path(fname).write_bytes(updater.get_states(dump_optimizer=True))

    def load_states(self, fname: str | os.PathLike[str]) -> None:
        """Reads the optimizer and its states.

        Raises:
            FileError: if the file has none, or states of other shapes.
        """
        try:
            states, optimizer = pickle.loads(pathlib.Path(fname).read_bytes())
        except (pickle.UnpicklingError, EOFError, AttributeError, TypeError, ValueError) as error:
            raise FileError(f'{fname} has no states of a Trainer') from error
        if not isinstance(optimizer, type(self._optimizer)) or not set(states) <= set(range(len(self._params))):
            raise FileError(f'{fname} has the state of another optimizer', got=type(optimizer).__name__)
        optimizer.param_dict = dict(enumerate(self._params))
        self._optimizer = optimizer
        self._updaters = [optimizers.get_updater(optimizer) for _ in self._updaters_for(1)]
        for updater in self._updaters:
            updater.set_states(pickle.dumps(states))
        if self._kvstore is not None and self._update_on_kvstore:
            self._kvstore.set_updater(self._updaters[0])


def _as_they_are(parameter: Parameter) -> list[NDArray]:
    return parameter.list_grad()


def _summed(parameter: Parameter) -> list[NDArray]:
    """The sum of the gradients over contexts, in each of them."""
    gradients = parameter.list_grad()
    if len(gradients) == 1:
        return gradients
    home = gradients[0].context
    total = functools.reduce(lambda a, b: a + b.as_in_context(home), gradients)
    return [total.as_in_context(gradient.context) for gradient in gradients]


explain_calls(globals())
