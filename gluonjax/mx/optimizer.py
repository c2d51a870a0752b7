"""`mx.optimizer`: optimizers that change weights in place and count their updates, as MXNet's loops call them.

The steps are those of `gluonjax.optimizer`; an update of many weights is one compiled program.

>>> from gluonjax.mx import nd, optimizer
>>> sgd = optimizer.create('sgd', learning_rate=0.5, momentum=0.9)
>>> weight, grad = nd.ones(2), nd.ones(2)
>>> momentum = sgd.create_state(0, weight)
>>> sgd.update(0, weight, grad, momentum)
>>> weight.asnumpy(), momentum.asnumpy()
(array([0.5, 0.5], dtype=float32), array([-0.5, -0.5], dtype=float32))
"""

from __future__ import annotations

import functools
import inspect
import math
import pickle
import sys
from collections.abc import Hashable, Mapping, Sequence
from types import ModuleType
from typing import Any, ClassVar, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax import checks
from gluonjax import optimizer as native
from gluonjax.errors import ArgumentError
from gluonjax.lr_scheduler import LRScheduler
from gluonjax.mx import descent, ndarray
from gluonjax.mx.array import NDArray
from gluonjax.mx.context import Context
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.jitted import Jitted
from gluonjax.mx.tape import Tracked
from gluonjax.optimizer import transforms as tx
from gluonjax.optimizer.transforms import ParamInfo, UpdateInfo

optimizer: ModuleType = sys.modules[__name__]  # a module of MXNet whose names are here
_Class = TypeVar('_Class', bound=type)


class ScheduledRateError(ArgumentError, UserWarning):
    """A learning rate is set that a scheduler decides; MXNet raises a UserWarning."""


class Optimizer:
    """The base of optimizers. Your own has `create_state(index, weight)` and `update(index, weight, grad, state)`.

    Args:
        rescale_grad: gradients are multiplied by it.
        param_idx2name: index -> name of a parameter; weights and gammas alone decay then.
        wd: weight decay.
        clip_gradient: elements of gradients are clipped to [-clip_gradient, clip_gradient].
        learning_rate: 0.01 without a scheduler; otherwise it replaces the scheduler's `base_lr`.
        lr_scheduler: the learning rate of the update with a number.
        sym: a graph, whose variables may have `lr_mult` and `wd_mult`.
        begin_num_update: how many updates were made before.
        multi_precision: whether weights of 16 bits are updated by a copy in float32.
        param_dict: index -> Parameter, for its `lr_mult` and `wd_mult`.

    >>> from gluonjax.mx import nd, optimizer
    >>> @optimizer.register
    ... class Descent(optimizer.Optimizer):
    ...     def create_state(self, index, weight):
    ...         return None
    ...
    ...     def update(self, index, weight, grad, state):
    ...         self._update_count(index)
    ...         weight[:] -= self._get_lr(index) * grad
    >>> weight = nd.ones(1)
    >>> optimizer.create('descent', learning_rate=0.25).update(0, weight, nd.ones(1), None)
    >>> weight.asscalar()
    np.float32(0.75)
    """

    opt_registry: ClassVar[dict[str, type]] = {}
    aggregate_num: int = 0

    def __init__(
        self,
        rescale_grad: float = 1.0,
        param_idx2name: Mapping[int, str] | None = None,
        wd: float = 0.0,
        clip_gradient: float | None = None,
        learning_rate: float | None = None,
        lr_scheduler: Any = None,
        sym: Any = None,
        begin_num_update: int = 0,
        multi_precision: bool = False,
        param_dict: Mapping[int, Any] | None = None,
    ):
        if not isinstance(param_idx2name, Mapping | None):
            raise ArgumentError('param_idx2name maps indices to names', got=repr(param_idx2name))
        self.rescale_grad: float = rescale_grad
        self.lr_scheduler: Any = lr_scheduler
        self.lr: float | None = 0.01 if lr_scheduler is None and learning_rate is None else learning_rate
        if lr_scheduler is not None and learning_rate is not None:
            self._rebase(learning_rate)
        self.wd: float = wd
        self.begin_num_update: int = begin_num_update
        self.num_update: int = begin_num_update
        self._all_index_update_counts: dict[int, dict[Any, int]] = {0: {}}
        self._index_update_count: dict[Any, int] = self._all_index_update_counts[0]
        self.clip_gradient: float | None = clip_gradient
        self.multi_precision: bool = multi_precision
        self.idx2name: dict[int, str] = dict(param_idx2name or {})
        self.sym_info: tuple[Any, ...] = () if sym is None else (sym.attr_dict(), sym.list_arguments())
        self.param_dict: dict[int, Any] = dict(param_dict or {})
        self.set_lr_mult({})
        self.set_wd_mult({})

    def _rebase(self, rate: float) -> None:
        """Has the scheduler start from another rate."""
        if isinstance(self.lr_scheduler, LRScheduler):  # of the library's own, which are frozen
            self.lr_scheduler = self.lr_scheduler.with_base_lr(rate)
        elif hasattr(self.lr_scheduler, 'base_lr'):
            self.lr_scheduler.base_lr = rate

    @staticmethod
    def register(klass: _Class) -> _Class:
        """Class decorator: makes an optimizer known to `create` by its name in lower case."""
        if not isinstance(klass, type):
            raise ArgumentError('only classes can be registered', got=repr(klass))
        Optimizer.opt_registry[klass.__name__.lower()] = klass
        return klass

    @staticmethod
    def create_optimizer(name: Any, **kwargs: Any) -> Optimizer:
        """An optimizer by its name, with its arguments; one of `gluonjax.optimizer` as one of these.

        Raises:
            ArgumentError: for an unknown name or argument.
        """
        if isinstance(name, Optimizer) and not kwargs:
            return name
        if isinstance(name, native.Optimizer) and not kwargs:
            return _of_native(name)
        if not isinstance(name, str):
            expected = 'a name, or an optimizer and no arguments'
            raise ArgumentError('this is no optimizer of mx', expected=expected, got=repr(name))
        found = Optimizer.opt_registry.get(name.lower())
        if found is None:
            expected = f'one of {sorted(Optimizer.opt_registry)}'
            raise ArgumentError(f'no optimizer is named {name!r}', expected=expected)
        return found(**kwargs)

    @property
    def learning_rate(self) -> Any:
        """The current learning rate."""
        return self.lr if self.lr_scheduler is None else self.lr_scheduler(self.num_update)

    def set_learning_rate(self, lr: float) -> None:
        """Sets the learning rate.

        Raises:
            ScheduledRateError: if a scheduler decides it.
        """
        if self.lr_scheduler is not None:
            remedy = 'set lr_scheduler to None before, or change the scheduler'
            raise ScheduledRateError('a scheduler decides the learning rate', remedy=remedy)
        self.lr = lr

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """What is kept for a weight: None, an array, or a tuple of them."""
        return None

    def create_state_multi_precision(self, index: Any, weight: NDArray) -> Any:
        """As `create_state`; of a weight of 16 bits under `multi_precision` its copy in float32, and that's state."""
        if self._keeps_copy(weight):
            copy = weight.astype('float32')
            return copy, self.create_state(index, copy)
        return self.create_state(index, weight)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Updates a weight and its state by the gradient."""
        raise NotImplementedError(f'{type(self).__name__}.update')

    def update_multi_precision(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """As `update`; a weight of 16 bits under `multi_precision` by its copy."""
        if not isinstance(weight, NDArray) and any(map(self._keeps_copy, weight)):
            for each in zip(index, weight, grad, state, strict=True):
                self.update_multi_precision(*each)
        elif isinstance(weight, NDArray) and self._keeps_copy(weight):
            copy, inner = self._with_copy(state)
            self.update(index, copy, grad.astype('float32'), inner)
            weight.assign(Tracked(copy.value.astype(weight.value.dtype)))
        else:
            self.update(index, weight, grad, state)

    def _with_copy(self, state: Any) -> tuple[Any, Any]:
        """The copy in float32, and that's state."""
        copy, inner = state
        return copy, inner

    def _keeps_copy(self, weight: NDArray) -> bool:
        return self.multi_precision and weight.value.dtype.itemsize == 2

    def set_lr_scale(self, args_lrscale: Mapping[Any, float]) -> None:
        """Refused, as in MXNet.

        Raises:
            DeprecationWarning: always.
        """
        raise DeprecationWarning('set_lr_scale is set_lr_mult by now')

    def set_lr_mult(self, args_lr_mult: Mapping[Any, float]) -> None:
        """Sets factors of learning rates, by names or indices."""
        self.lr_mult: dict[Any, float] = self._declared('__lr_mult__') | dict(args_lr_mult)

    def set_wd_mult(self, args_wd_mult: Mapping[Any, float]) -> None:
        """Sets factors of weight decays, by names or indices; where names are known, weights and gammas alone decay."""
        still = {name: 0.0 for name in self.idx2name.values() if not name.endswith(('_weight', '_gamma'))}
        self.wd_mult: dict[Any, float] = still | self._declared('__wd_mult__') | dict(args_wd_mult)

    def _declared(self, attribute: str) -> dict[Any, float]:
        """Factors that variables of the graph have."""
        if not self.sym_info:
            return {}
        attributes, names = self.sym_info
        return {name: float(attributes[name][attribute]) for name in names if attribute in attributes.get(name, {})}

    def _set_current_context(self, device_id: int) -> None:
        self._index_update_count = self._all_index_update_counts.setdefault(device_id, {})

    def _update_count(self, index: Any) -> None:
        for each in index if isinstance(index, list | tuple) else [index]:
            count = self._index_update_count.get(each, self.begin_num_update) + 1
            self._index_update_count[each] = count
            self.num_update = max(count, self.num_update)

    def _factor(self, index: Any, factors: Mapping[Any, float], attribute: str) -> float:
        if index in self.param_dict:
            return getattr(self.param_dict[index], attribute)
        return factors[index] if index in factors else factors.get(self.idx2name.get(index), 1.0)

    def _get_lrs(self, indices: Sequence[Any]) -> list[Any]:
        rate = self.learning_rate
        return [rate * self._factor(index, self.lr_mult, 'lr_mult') for index in indices]

    def _get_lr(self, index: Any) -> Any:
        return self._get_lrs([index])[0]

    def _get_wds(self, indices: Sequence[Any]) -> list[float]:
        return [self.wd * self._factor(index, self.wd_mult, 'wd_mult') for index in indices]

    def _get_wd(self, index: Any) -> float:
        return self._get_wds([index])[0]

    def _name(self, index: Any) -> str:
        return self.param_dict[index].name if index in self.param_dict else self.idx2name.get(index, str(index))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != 'param_dict'}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, param_dict={})


def register(klass: _Class) -> _Class:
    """Class decorator: makes an optimizer known to `create` by its name in lower case."""
    return Optimizer.register(klass)


def create(name: Any, **kwargs: Any) -> Optimizer:
    """As `Optimizer.create_optimizer`."""
    return Optimizer.create_optimizer(name, **kwargs)


_OF_ALL = frozenset(inspect.signature(Optimizer).parameters)


class Native(Optimizer):
    """An optimizer of `gluonjax.optimizer`, by the same arguments; those of `Optimizer` beside them."""

    own: ClassVar[Any]
    shown: ClassVar[tuple[int, ...]] = ()  # the arrays of the state that programs see, in MXNet's order; () for all
    copy_last: ClassVar[bool] = False  # whether the copy of a weight of 16 bits stands behind its state

    def __init__(self, *args: Any, **kwargs: Any):
        names = list(inspect.signature(self.own).parameters)
        kwargs.update(zip([name for name in names if name != 'options'], args, strict=False))
        scheduled = kwargs.get('lr_scheduler') is not None and self.own is not native.AdaDelta
        common = {name: kwargs.pop(name) for name in _OF_ALL & set(kwargs) if name != 'learning_rate'}
        made = self.own(**kwargs, **({'lr_scheduler': abs} if scheduled else {}))
        super().__init__(**common, learning_rate=made.learning_rate)
        for name in set(names) - _OF_ALL - {'options'}:
            setattr(self, name, getattr(made, name))
        self._names = tuple(name for name in names if name not in _OF_ALL and name != 'options')
        self._hidden: dict[Any, list[jax.Array]] = {}  # what programs do not see of states

    def _step(self) -> _Step:
        clip = {} if self.clip_gradient is None or self.clip_gradient < 0 else {'clip_gradient': self.clip_gradient}
        return _step(self.own, tuple((name, getattr(self, name)) for name in self._names), tuple(clip.items()))

    def create_state(self, index: Any, weight: NDArray) -> Any:
        leaves = jax.tree.leaves(self._step().init(self._name(index), weight.value))
        places = self._places(len(leaves))
        self._hidden[index] = [leaf for i, leaf in enumerate(leaves) if i not in places]
        states = tuple(NDArray(leaves[i]) for i in places)
        return states if len(states) > 1 else next(iter(states), None)

    def create_state_multi_precision(self, index: Any, weight: NDArray) -> Any:
        made = super().create_state_multi_precision(index, weight)
        return made[::-1] if self.copy_last and self._keeps_copy(weight) else made

    def _with_copy(self, state: Any) -> tuple[Any, Any]:
        copy, inner = state[::-1] if self.copy_last else state
        return copy, inner

    def _places(self, count: int) -> list[int]:
        return [i for i in self.shown if i < count] or list(range(count))

    def _leaves(self, index: Any, weight: NDArray, state: Any) -> list[NDArray]:
        """All arrays of a state, in the order of the library."""
        seen = _arrays(state)
        if not self.shown or len(seen) == 0:
            return seen
        if index not in self._hidden:  # the states are those of another optimizer
            self.create_state(index, weight)
        leaves = [NDArray(leaf) for leaf in self._hidden[index]]
        for place, array in sorted(zip(self._places(len(seen) + len(leaves)), seen, strict=True), key=lambda x: x[0]):
            leaves.insert(place, array)
        return leaves

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Updates a weight, or each of a list of them in one compiled program."""
        if isinstance(weight, NDArray):
            index, weight, grad, state = [index], [weight], [grad], [state]
        self._update_count(index)
        infos = tuple((self._name(i), float(wd)) for i, wd in zip(index, self._get_wds(index), strict=True))
        rates = np.array([*self._get_lrs(index), self.rescale_grad], np.float32)
        counts = np.array([*(self._index_update_count[i] for i in index), self.num_update], np.int32)
        kept = [self._leaves(*each) for each in zip(index, weight, state, strict=True)]
        new, states = self._step().run(
            infos,
            [w.value for w in weight],
            [g.value for g in grad],
            [[s.value for s in k] for k in kept],
            rates,
            counts,
        )
        for array, value in zip([*weight, *(s for k in kept for s in k)], [*new, *states], strict=True):
            array.assign(Tracked(value))
        for i, leaves in zip(index, kept, strict=True) if self.shown else ():
            places = self._places(len(leaves))
            self._hidden[i] = [leaf.value for place, leaf in enumerate(leaves) if place not in places]


def _arrays(state: Any) -> list[NDArray]:
    return [] if state is None else [state] if isinstance(state, NDArray) else list(state)


class _Step:
    """The compiled update of an optimizer with certain arguments."""

    def __init__(self, own: Any, options: dict[str, Any]):
        self.transformation: Any = tx.with_extra_args_support(own(**options).transformation())
        self.run: Any = Jitted(self._run, large=True, static=1)

    def init(self, name: str, weight: Any) -> Any:
        """The state of one weight."""
        return self.transformation.init({name: _wide(weight)})

    def _run(self, infos: Any, weights: Any, grads: Any, states: Any, rates: Any, counts: Any) -> Any:
        new, kept = [], []
        for i, (name, decay) in enumerate(infos):
            weight = {name: _wide(weights[i])}
            state = jax.tree.unflatten(jax.tree.structure(self.transformation.init(weight)), states[i])
            info = UpdateInfo(counts[-1], rates[i], {name: ParamInfo(name, rates[i], decay, counts[i])})
            grad = {name: _wide(grads[i]) * rates[-1]}
            updates, state = self.transformation.update(grad, state, weight, info=info)
            new.append((weight[name] + updates[name]).astype(weights[i].dtype))
            kept += jax.tree.leaves(state)
        return new, kept


def _wide(array: jax.Array) -> jax.Array:
    return jnp.asarray(array, checks.at_least_float32(array.dtype))


@functools.lru_cache(256)
def _step(own: Any, *options: tuple[tuple[str, Hashable], ...]) -> _Step:
    """One for equal arguments, so that nothing compiles twice."""
    return _Step(own, dict(item for some in options for item in some))


def _entered(own: Any, shown: tuple[int, ...] = (), copy_last: bool = False) -> type[Native]:
    doc = f'`gluonjax.optimizer.{own.__name__}` as MXNet calls it.'
    attributes = {'own': own, 'shown': shown, 'copy_last': copy_last, '__doc__': doc, '__module__': __name__}
    return register(type(own.__name__, (Native,), attributes))


AdaDelta: type[Native] = _entered(native.AdaDelta)
AdaGrad: type[Native] = _entered(native.AdaGrad)
Adam: type[Native] = _entered(native.Adam)
AdamW: type[Native] = _entered(native.AdamW)
Adamax: type[Native] = _entered(native.Adamax)
DCASGD: type[Native] = _entered(native.DCASGD)
FTML: type[Native] = _entered(native.FTML)
Ftrl: type[Native] = _entered(native.Ftrl, (1, 0))
GroupAdaGrad: type[Native] = _entered(native.GroupAdaGrad)
LAMB: type[Native] = _entered(native.LAMB)
NAG: type[Native] = _entered(descent.NAG, copy_last=True)
RMSProp: type[Native] = _entered(native.RMSProp, (1, 0, 2))
SGD: type[Native] = _entered(native.SGD, copy_last=True)
SGLD: type[Native] = _entered(native.SGLD)
Signum: type[Native] = _entered(descent.Signum)


@register
class ccSGD(Native):
    """Another name of SGD."""

    own: ClassVar[Any] = native.SGD
    copy_last: ClassVar[bool] = True


@register
class LARS(Native):
    """`gluonjax.optimizer.LARS` as MXNet calls it: it knows the names of `param_idx2name` alone, so not a Trainer's."""

    own: ClassVar[Any] = native.LARS
    shown: ClassVar[tuple[int, ...]] = (0,)
    copy_last: ClassVar[bool] = True

    def _name(self, index: Any) -> str:
        return self.idx2name.get(index, str(index))


@register
class Nadam(Optimizer):
    """`gluonjax.optimizer.Nadam`, but with one schedule for all weights, as MXNet multiplies it.

    Args:
        learning_rate: see `Optimizer`.
        beta1: the decay rate of the average gradient.
        beta2: the decay rate of the average square.
        epsilon: keeps the denominator away from 0.
        schedule_decay: how fast the momentum warms up.
        **kwargs: see `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        schedule_decay: float = 0.004,
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1: float = beta1
        self.beta2: float = beta2
        self.epsilon: float = epsilon
        self.schedule_decay: float = schedule_decay
        self.m_schedule: float = 1.0

    def create_state(self, index: Any, weight: NDArray) -> tuple[NDArray, NDArray]:
        return weight.zeros_like(), weight.zeros_like()

    def update(self, index: Any, weight: NDArray, grad: NDArray, state: Any) -> None:
        rate, decay = self._get_lr(index), self._get_wd(index)
        self._update_count(index)
        count = self._index_update_count[index]
        now, after = (self.beta1 * (1 - 0.5 * 0.96 ** (n * self.schedule_decay)) for n in (count, count + 1))
        self.m_schedule *= now
        ahead = (1 - now) / (1 - self.m_schedule), after / (1 - self.m_schedule * after)
        square = 1 - self.beta2**count
        numbers = rate, decay, self.rescale_grad, self.clip_gradient or np.inf, self.beta1, self.beta2, *ahead, square
        new = _nadam(
            weight.value, grad.value, *(s.value for s in state), np.array([*numbers, self.epsilon], np.float32)
        )
        for array, value in zip((weight, *state), new, strict=True):
            array.assign(Tracked(value))


@jax.jit
def _nadam(weight: Any, gradient: Any, mean: Any, var: Any, numbers: Any) -> list[jax.Array]:
    rate, decay, scale, bound, beta1, beta2, of_gradient, of_mean, square, epsilon = numbers
    gradient = jnp.clip(_wide(gradient) * scale + decay * _wide(weight), -bound, bound)
    new_mean = beta1 * mean + (1 - beta1) * gradient
    new_var = beta2 * var + (1 - beta2) * gradient * gradient
    step = rate * (of_gradient * gradient + of_mean * new_mean) / (jnp.sqrt(new_var / square) + epsilon)
    return [(_wide(weight) - step).astype(weight.dtype), new_mean.astype(mean.dtype), new_var.astype(var.dtype)]


@register
class LBSGD(ccSGD):
    """SGD for large batches: gradients of `batch_scale` updates make one, with a rate that warms up.

    Args:
        momentum: the momentum coefficient.
        multi_precision: see `Optimizer`.
        warmup_strategy: how the factor of the rate grows to `batch_scale`: 'linear', 'power2' or 'sqrt'; 'lars' takes
            the root of the quotient of the squared norms of weight and gradient, from 0.01 to 100.
        warmup_epochs: how long it grows.
        batch_scale: how many gradients make an update.
        updates_per_epoch: how many updates an epoch has.
        begin_epoch: the epoch that training begins at.
        num_epochs: accepted.
        **kwargs: see `Optimizer`.
    """

    copy_last: ClassVar[bool] = False

    def __init__(
        self,
        momentum: float = 0.0,
        multi_precision: bool = False,
        warmup_strategy: str = 'linear',
        warmup_epochs: int = 5,
        batch_scale: int = 1,
        updates_per_epoch: int = 32,
        begin_epoch: int = 0,
        num_epochs: int = 60,
        **kwargs: Any,
    ):
        super().__init__(momentum=momentum, multi_precision=multi_precision, **kwargs)
        self.warmup_strategy: str = warmup_strategy
        self.warmup_epochs: int = warmup_epochs
        self.batch_scale: int = checks.size('batch_scale', batch_scale)
        self.updates_per_epoch: int = updates_per_epoch
        self.init_updates: int = begin_epoch * updates_per_epoch
        self.num_epochs: int = num_epochs
        self._sums: dict[Any, tuple[NDArray, int]] = {}  # gradients since the last update, and how many there were
        self._factor_now = 1.0

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Adds the gradient, and updates the weight after every `batch_scale` of them."""
        total, count = self._sums.get(index, (0, self.init_updates))
        total, count = total + grad, count + 1
        if count % self.batch_scale:
            self._sums[index] = total, count
            self._update_count(index)
            return
        self._sums[index] = grad.zeros_like(), self.init_updates
        grad = total / self.batch_scale
        self._factor_now = self._trust(index, weight, grad) if self.warmup_strategy == 'lars' else self._warm(count)
        super().update(index, weight, grad, state)
        self._factor_now = 1.0

    def _get_lrs(self, indices: Sequence[Any]) -> list[Any]:
        return [rate * self._factor_now for rate in super()._get_lrs(indices)]

    def _trust(self, index: Any, weight: NDArray, grad: NDArray) -> float:
        of_weight, of_gradient = (float(jnp.vdot(x.value, x.value)) for x in (weight, grad))
        root = math.sqrt(of_weight / (of_gradient + self._get_wd(index) * of_weight + 1e-18))
        return min(max(root, 0.01), 100)

    def _warm(self, count: int) -> float:
        whole = self.warmup_epochs * self.updates_per_epoch
        if count >= whole:
            return float(self.batch_scale)
        if whole <= 1:
            return 1.0
        part = count / whole
        grown = {'linear': part, 'power2': part**2, 'sqrt': math.sqrt(part)}.get(self.warmup_strategy, 0)
        return 1.0 + (self.batch_scale - 1) * grown


@register
class Test(Optimizer):
    """Adds the gradient to the weight, and keeps the sum."""

    __test__: ClassVar[bool] = False  # no test of pytest's

    def create_state(self, index: Any, weight: NDArray) -> NDArray:
        return weight.zeros_like()

    def update(self, index: Any, weight: NDArray, grad: NDArray, state: NDArray) -> None:
        weight[:] += grad * self.rescale_grad
        state[:] = weight


def _of_native(given: native.Optimizer) -> Optimizer:
    """An optimizer of the library's own as one of these."""
    kind = Optimizer.opt_registry.get(type(given).__name__.lower())
    known = kind is not None and issubclass(getattr(kind, 'own', object), type(given))
    if kind is None or not known or given.lr_mult or given.wd_mult:
        remedy = 'gluonjax.Trainer(net, loss, optimizer), or lr_mult and wd_mult of Parameters'
        raise ArgumentError('this optimizer works on trees of parameters alone', got=repr(given), remedy=remedy)
    names = [
        *inspect.signature(type(given)).parameters,
        'learning_rate',
        *inspect.signature(native.Optimizer).parameters,
    ]
    return kind(**{name: value for name in names if (value := getattr(given, name, None)) is not None})


class Updater:
    """Updates weights by their indices, and holds the states.

    Args:
        optimizer: what updates them.

    >>> from gluonjax.mx import nd, optimizer
    >>> update = optimizer.get_updater(optimizer.SGD(learning_rate=0.5))
    >>> weight = nd.ones(1)
    >>> update(0, nd.ones(1), weight)
    >>> weight.asscalar()
    np.float32(0.5)
    """

    def __init__(self, optimizer: Optimizer):
        self.optimizer: Optimizer = optimizer
        self.states: dict[Any, Any] = {}
        self.states_synced: dict[Any, bool] = {}

    @property
    def aggregate_updates(self) -> bool:
        """Whether the optimizer takes lists of weights."""
        kind = type(self.optimizer)
        return kind.update is Native.update and kind.update_multi_precision is Optimizer.update_multi_precision

    def __call__(self, index: Any, grad: Any, weight: Any) -> None:
        """Updates a weight by its gradient, or several."""
        if isinstance(weight, NDArray):
            index, grad, weight = [index], [grad], [weight]
        if not weight:
            return
        self.optimizer._set_current_context(weight[0].context.device_id)
        for i, each in zip(index, weight, strict=True):
            if i not in self.states:
                self.states[i] = self.optimizer.create_state_multi_precision(i, each)
            elif not self.states_synced.get(i, True):
                self.states[i] = self.sync_state_context(self.states[i], each.context)
            self.states_synced[i] = True
        states = [self.states[i] for i in index]
        if self.aggregate_updates:
            self.optimizer.update_multi_precision(list(index), list(weight), list(grad), states)
        else:
            for each in zip(index, weight, grad, states, strict=True):
                self.optimizer.update_multi_precision(*each)

    def sync_state_context(self, state: Any, context: Context) -> Any:
        """The state where the weight is."""
        is_array = lambda x: isinstance(x, NDArray)  # noqa: E731
        return jax.tree.map(lambda x: x.as_in_context(context) if is_array(x) else x, state, is_leaf=is_array)

    def get_states(self, dump_optimizer: bool = False) -> bytes:
        """The states as bytes; with the optimizer if that is wanted."""
        return pickle.dumps((self.states, self.optimizer) if dump_optimizer else self.states)

    def set_states(self, states: bytes) -> None:
        """Takes the states of `get_states`."""
        found = pickle.loads(states)
        self.states, self.optimizer = found if isinstance(found, tuple) else (found, self.optimizer)
        self.states_synced = dict.fromkeys(self.states, False)


def get_updater(optimizer: Optimizer) -> Updater:
    """What updates weights by an optimizer."""
    return Updater(optimizer)


NDabs: Any = ndarray.op.abs  # a name of MXNet's module
contrib: ModuleType = sys.modules[__name__]  # a module of MXNet whose names are here


explain_calls(globals())
