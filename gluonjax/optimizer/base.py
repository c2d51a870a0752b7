"""Optimizer: MXNet's options around a chain of optax transformations; and optimizers by name."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar, Self, TypedDict, TypeVar

import jax
import jax.numpy as jnp

from gluonjax import checks
from gluonjax.config import Frozen
from gluonjax.errors import ArgumentError, ParamsError
from gluonjax.lazy import suggests_keywords
from gluonjax.lr_scheduler import LRScheduler, OptaxSchedule
from gluonjax.messages import no_match
from gluonjax.optimizer import transforms as tx
from gluonjax.optimizer.state import OptimizerState, ScheduledState
from gluonjax.optimizer.transforms import ParamInfo, Transformation, UpdateInfo
from gluonjax.registry import Registry
from gluonjax.tables import constructor_call
from gluonjax.tree import FrozenDict, flatten, matches, nest

_Class = TypeVar('_Class', bound=type)
Schedule = Callable[[Any], Any]  # a scheduler of ours, or any function of the number of the update
Rate = float | Schedule | None


class Options(TypedDict, total=False):
    """The options that all optimizers share, but the learning rate."""

    wd: float
    rescale_grad: float
    clip_gradient: float | None
    lr_scheduler: Schedule | None
    begin_num_update: int
    multi_precision: bool
    lr_mult: Mapping[str, float] | None
    wd_mult: Mapping[str, float] | None


class RateAndOptions(Options, total=False):
    """All options that optimizers share."""

    learning_rate: Rate


class Optimizer(Frozen):
    """The base of optimizers: an immutable configuration, and the pure `init` and `update` of an optax transformation.

    Wherever optax takes a transformation (`chain`, `masked`, `MultiSteps`, ...), it takes an optimizer. `params` and
    gradients are any pytree; a leaf's name is the path to it, as '0.weight' in a nested dict by structural name. All is
    computed in float32 (or float64), and updates have the dtype of the gradients. Weight decay applies to all that is
    in `params`, biases too, as in Gluon's Trainer: pass what is trained (`layer.partition`).

    Args:
        learning_rate: the rate; 0.01 if neither a rate nor a scheduler is given. Or a schedule: one of
            `gluonjax.lr_scheduler`, or any function of how many updates came before, as optax counts (0 in the first).
        wd: weight decay.
        rescale_grad: gradients are first multiplied by it.
        clip_gradient: elements of the gradient are clipped to [-clip_gradient, clip_gradient], where the optimizer
            does so; None for not at all.
        lr_scheduler: one of `gluonjax.lr_scheduler`, or any function of the number of the update, as MXNet counts: the
            first update has number 1. `learning_rate`, a class's default too (Adam's 0.001), then
            replaces the scheduler's `base_lr` as in MXNet, see `LRScheduler.with_base_lr`; None does not.
        begin_num_update: how many updates were made before.
        multi_precision: accepted for parameters of float32 and wider, where it has no effect.
        lr_mult: dict from patterns (matched from a name's beginning) to factors on the rate; the first that matches
            counts, and 0 freezes.
        wd_mult: the same for weight decay.

    Raises:
        ArgumentError: if an option is unknown or has no such value; in `init`, if parameters are of half precision and
            `multi_precision` asks for a second copy of them.
        PatternError: in `init`, if a pattern matches no parameter.
        ParamsError: in `update`, if there are no params, or gradients of another structure.

    An optimizer of your own returns from `transformation` what is done with the gradients, which come rescaled and in
    float32:

    >>> class Lion(Optimizer):
    ...     def __init__(self, learning_rate=0.0001, beta1=0.9, beta2=0.99, **options):
    ...         super().__init__(learning_rate=learning_rate, **options)
    ...         self.beta1, self.beta2 = beta1, beta2
    ...
    ...     def transformation(self):
    ...         lion = optax.scale_by_lion(self.beta1, self.beta2)
    ...         return optax.chain(lion, add_weight_decay(), scale_by_learning_rate())
    >>> import optax
    >>> from gluonjax.optimizer.transforms import add_weight_decay, scale_by_learning_rate
    >>> lion, params = Lion(lr_mult={'bias': 2}), {'weight': jnp.ones(2), 'bias': jnp.ones(1)}
    >>> updates, state = lion.update({'weight': jnp.ones(2), 'bias': jnp.ones(1)}, lion.init(params), params)
    >>> updates
    {'bias': Array([-0.0002], dtype=float32), 'weight': Array([-0.0001, -0.0001], dtype=float32)}
    """

    _remedy = 'make a new optimizer, or set the rate in its state: with_learning_rate(state, value)'

    # Whether the state counts the updates of each parameter, which begin again for one that was not there before;
    # otherwise `ParamInfo.number` is the number of the optimizer's update.
    counts_each: ClassVar[bool] = True

    def __init__(
        self,
        *,
        learning_rate: Rate = None,
        wd: float = 0.0,
        rescale_grad: float = 1.0,
        clip_gradient: float | None = None,
        lr_scheduler: Schedule | None = None,
        begin_num_update: int = 0,
        multi_precision: bool = False,
        lr_mult: Mapping[str, float] | None = None,
        wd_mult: Mapping[str, float] | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise ArgumentError(
                f'{type(self).__name__} has no option {sorted(unknown)}', expected=f'options of {_options(type(self))}'
            )
        if lr_scheduler is None and learning_rate is None:
            learning_rate = 0.01
        if callable(learning_rate):
            if lr_scheduler is not None:
                raise ArgumentError('learning_rate and lr_scheduler are both schedules', remedy='give one of them')
            ours = isinstance(learning_rate, LRScheduler | type)
            learning_rate, lr_scheduler = None, learning_rate if ours else OptaxSchedule(learning_rate)
        self.learning_rate: float | None = (
            None if learning_rate is None else checks.number('learning_rate', learning_rate)
        )
        self.wd: float = checks.number('wd', wd)
        self.rescale_grad: float = checks.number('rescale_grad', rescale_grad)
        self.clip_gradient: float | None = (
            None if clip_gradient is None else checks.positive('clip_gradient', clip_gradient)
        )
        self.lr_scheduler: Any = _scheduler(lr_scheduler, self.learning_rate)
        self.begin_num_update: int = checks.size('begin_num_update', begin_num_update, least=0, most=2**31 - 1)
        self.multi_precision: bool = checks.flag('multi_precision', multi_precision)
        self.lr_mult: Mapping[str, float] | None = _factors('lr_mult', lr_mult)
        self.wd_mult: Mapping[str, float] | None = _factors('wd_mult', wd_mult)

    def transformation(self) -> Transformation:
        """The transformation of rescaled gradients into updates; it is handed `info`, see `optimizer.transforms`.

        A subclass returns it; it is called again whenever the transformation is needed.
        """
        raise ArgumentError(f'{type(self).__name__} has no transformation', remedy='override transformation(self)')

    def clip(self) -> Transformation:
        """The transformation that clips elements to `clip_gradient`, for `transformation` to put where it belongs."""
        return tx.clip_elements(self.clip_gradient)

    def with_multipliers(self, lr_mult: Mapping[str, float], wd_mult: Mapping[str, float]) -> Self:
        """A copy in which these factors, of whole names, come before those that it has."""
        rates, decays = of_whole_names(lr_mult), of_whole_names(wd_mult)
        changed = copy.copy(self)
        vars(changed).update(
            lr_mult=FrozenDict({**rates, **(self.lr_mult or {}), **rates}),
            wd_mult=FrozenDict({**decays, **(self.wd_mult or {}), **decays}),
        )
        return changed

    def for_names(self, names: Sequence[Sequence[str]]) -> Self:
        """A copy whose patterns have been matched with all names of each parameter, the first of which params have."""
        changed = copy.copy(self)
        for option in ('lr_mult', 'wd_mult'):
            factors = vars(self)[option] or {}
            unknown = {p: factor for p, factor in factors.items() if not any(matches(p, each) for each in names)}
            known = {p: factor for p, factor in factors.items() if p not in unknown}
            if factors:
                vars(changed)[option] = FrozenDict({**of_whole_names(factors_of(option, known, names)), **unknown})
        return changed

    @suggests_keywords
    def init(self, params: Any) -> OptimizerState:
        """The state before the first update."""
        names = jax.tree.leaves(_names(params))
        for name, leaf in zip(names, jax.tree.leaves(params), strict=True):
            if not (hasattr(leaf, 'dtype') or isinstance(leaf, complex | float | int)):
                raise ParamsError(f'parameter {name!r} is no array', expected='a tree of arrays', got=repr(leaf))
        for pattern in {**(self.lr_mult or {}), **(self.wd_mult or {})}:
            if names and not matches(pattern, names):  # of no parameters at all, any pattern may speak
                raise no_match(pattern, [SimpleNamespace(names=names)])
        if self.multi_precision and any(jnp.result_type(leaf).itemsize < 4 for leaf in jax.tree.leaves(params)):
            raise ArgumentError(
                'multi_precision does not keep a second copy of parameters in half precision',
                remedy="keep them in float32 and compute in half: Trainer(..., precision='bfloat16')",
            )
        kind = OptimizerState if self.lr_scheduler is None else ScheduledState
        count = jnp.array(self.begin_num_update, jnp.int32)
        counts = jax.tree.map(lambda _: jnp.copy(count), params) if self.counts_each else None
        inner = self.transformation().init(jax.tree.map(_wide, params))
        return kind(count, self._rate_of(count, self.learning_rate), inner, counts)

    @suggests_keywords
    def update(self, grads: Any, state: OptimizerState, params: Any = None) -> tuple[Any, OptimizerState]:
        """The updates, to be added to params (`optax.apply_updates`), and the next state."""
        shapes, needed = jax.tree.map(jnp.shape, params), jax.tree.map(jnp.shape, grads)
        if params is None or shapes != needed:
            raise ParamsError(
                f'{type(self).__name__} needs the params of the gradients',
                expected=needed,
                got=shapes,
                remedy='updates, state = optimizer.update(grads, state, params)',
            )
        if not hasattr(state, 'counts'):
            raise ArgumentError(
                f'this is no state of {type(self).__name__}', got=type(state).__name__, remedy='optimizer.init(params)'
            )
        leaves, structure = jax.tree.flatten(state.counts)
        number, counts = state.count + 1, structure.unflatten(tx.vectorized(lambda count: count + 1, leaves))
        rate = self._rate_of(number, state.learning_rate)
        numbers = jax.tree.map(lambda _: number, grads) if counts is None else counts
        infos = jax.tree.map(lambda name, number: self._info(name, rate, number), _names(grads), numbers)
        gradients = jax.tree.map(_wide, grads)
        if self.rescale_grad != 1:
            gradients = jax.tree.map(lambda gradient: gradient * self.rescale_grad, gradients)
        updates, inner = tx.with_extra_args_support(self.transformation()).update(
            gradients, state.inner, jax.tree.map(_wide, params), info=UpdateInfo(number, rate, infos)
        )
        updates = jax.tree.map(lambda u, g: u if u.dtype == g.dtype else u.astype(g.dtype), updates, grads)
        return updates, type(state)(number, rate, inner, counts)

    def _rate_of(self, number: Any, rate: Any) -> jax.Array:
        return jnp.asarray(rate if self.lr_scheduler is None else self.lr_scheduler(number), jnp.float32)

    def _info(self, name: str, rate: Any, number: Any) -> ParamInfo:
        factor = _factor(self.lr_mult, name)
        return ParamInfo(name, rate if factor == 1 else rate * factor, self.wd * _factor(self.wd_mult, name), number)

    def __repr__(self) -> str:
        first, common = constructor_call(self), constructor_call(self, Optimizer, hidden=_named_options(type(self)))
        inside = [call.partition('(')[2].removesuffix(')') for call in (first, common)]
        return f'{type(self).__name__}({", ".join(filter(None, inside))})'


OPTIMIZERS = Registry(
    'optimizer',
    Optimizer,
    left_out={
        'lbsgd': "'lars' for large batches, and optax.MultiSteps to add up gradients",
        'ccsgd': "'sgd', which it was another name of",
        'test': "'sgd'",
    },
)


def register(cls: _Class) -> _Class:
    """Class decorator: makes an optimizer known to `create` by its name in lower case."""
    return OPTIMIZERS.register(cls)


def create(optimizer: Any, **options: Any) -> Any:
    """An optimizer by name, with its options; or an optimizer or optax transformation as it is.

    Of MXNet's names 'lbsgd', 'ccsgd' and 'test' are left out: the first has an adaptation of its own kind that no
    paper describes, and the others are another name and a stub.

    Args:
        optimizer: a name in any case, or anything with `init` and `update`.
        **options: for the optimizer's constructor.

    Raises:
        ArgumentError: for an unknown name or option, something else, or options for what exists already.

    >>> create('sgd', learning_rate=0.1, momentum=0.9)
    SGD(momentum=0.9, learning_rate=0.1)
    """
    if isinstance(optimizer, str):
        return OPTIMIZERS.create(optimizer, **options)
    if isinstance(optimizer, type) or not (hasattr(optimizer, 'init') and hasattr(optimizer, 'update')):
        raise ArgumentError(
            'this is no optimizer',
            expected='a name, an instance, or an optax.GradientTransformation',
            got=repr(optimizer),
        )
    if options:
        raise ArgumentError(
            'an optimizer that exists takes no options', got=sorted(options), remedy='pass them where it is made'
        )
    return optimizer


@suggests_keywords
def with_multipliers(optimizer: Any, rates: Mapping[str, float], decays: Mapping[str, float]) -> Any:
    """An optimizer, or an optax transformation, with factors on the rate and the weight decay of parameters.

    Args:
        optimizer: either of them.
        rates: whole name of a parameter -> what its learning rate is multiplied with.
        decays: the same for weight decay.

    Raises:
        ArgumentError: if an optax transformation is to take decays.
    """
    if isinstance(optimizer, Optimizer):
        return optimizer.with_multipliers(rates, decays)
    if decays:
        raise ArgumentError(
            f'an optax transformation takes no wd_mult, and {sorted(decays)} have one',
            remedy="an optimizer by name, such as 'adamw'; or optax.masked(optax.add_decayed_weights(...), mask)",
        )

    if not hasattr(optimizer, 'init'):
        raise ArgumentError('this is no optimizer', got=repr(optimizer), remedy="gluonjax.optimizer.create('sgd')")

    def scale(updates: Any, state: Any, params: Any = None) -> Any:
        flat = flatten(updates)
        return nest({name: update * rates.get(name, 1) for name, update in flat.items()}), state

    return tx.chain(optimizer, tx.GradientTransformation(lambda params: tx.NoState(), scale))


def _scheduler(scheduler: Any, rate: float | None) -> Any:
    if scheduler is not None and (isinstance(scheduler, type) or not callable(scheduler)):
        raise ArgumentError(
            'this is no scheduler',
            expected='a scheduler of gluonjax.lr_scheduler, or a function of the number of the update',
            got=repr(scheduler),
        )
    return scheduler.with_base_lr(rate) if isinstance(scheduler, LRScheduler) and rate is not None else scheduler


def _factors(name: str, factors: Mapping[str, float] | None) -> FrozenDict | None:
    if factors is None:
        return None
    if not isinstance(factors, Mapping):
        raise ArgumentError(f"{name} must be a dict such as {{'.*bias': 0}}, got {factors!r}")
    return FrozenDict({pattern: checks.number(name, factor, 0, finite=True) for pattern, factor in factors.items()})


def factors_of(option: str, factors: Mapping[str, float] | None, names: Sequence[Sequence[str]]) -> dict[str, float]:
    """The first name of each parameter that a pattern matches by any of its names -> the factor of that pattern.

    Args:
        option: how an error calls the factors.
        factors: pattern -> factor; the first that matches counts.
        names: all names of each parameter.

    Raises:
        ArgumentError: for what is no dict of numbers from 0 on.
        PatternError: for a pattern that matches no name.
    """
    given, found = _factors(option, factors) or {}, {}
    for pattern in given:
        if names and not any(matches(pattern, each) for each in names):  # of no parameters at all, any may speak
            raise no_match(pattern, [SimpleNamespace(names=each) for each in names])
    for each in names:
        if matching := [factor for pattern, factor in given.items() if matches(pattern, each)]:
            found[each[0]] = matching[0]
    return found


def of_whole_names(factors: Mapping[str, float]) -> dict[str, float]:
    """The factors by patterns that match these names alone."""
    return {f'{re.escape(name)}$': factor for name, factor in factors.items()}


def _factor(factors: Mapping[str, float] | None, name: str) -> float:
    return next((factor for pattern, factor in (factors or {}).items() if matches(pattern, [name])), 1.0)


def _names(params: Any) -> Any:
    """A tree like params with the name of each leaf."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: jax.tree_util.keystr(path, simple=True, separator='.'), params
    )


def _wide(array: Any) -> jax.Array:
    wide = checks.at_least_float32(jnp.result_type(array))
    return array if getattr(array, 'dtype', None) == wide else jnp.asarray(array, wide)


def _named_options(cls: type) -> list[str]:
    """The options that the class's constructor names itself."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]


def _options(cls: type) -> list[str]:
    """All options of a class of optimizers: those that it names itself, and those of its bases."""
    return sorted({option for base in cls.__mro__ if issubclass(base, Optimizer) for option in _named_options(base)})


def fraction(name: str, value: Any) -> float:
    """A number from 0 on and below 1, such as a decay rate or a momentum coefficient."""
    if checks.number(name, value, 0) >= 1:
        raise ArgumentError(f'{name} must be a number >= 0 and < 1, got {value!r}')
    return float(value)
