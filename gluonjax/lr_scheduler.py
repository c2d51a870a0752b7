"""Learning-rate schedulers of MXNet, as pure functions of the number of the update.

A scheduler is immutable and remembers nothing: the rate depends on the number of the update (1 for the first) alone.
It takes a Python number, a NumPy array or a JAX array, traced or not; Python and NumPy are computed in float64, JAX in
float32.

>>> scheduler = FactorScheduler(step=2, factor=0.5, base_lr=1.0)
>>> [scheduler(t) for t in range(1, 7)]
[1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
>>> jax.jit(scheduler)(5)
Array(0.25, dtype=float32, weak_type=True)
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax import checks
from gluonjax.config import Frozen
from gluonjax.errors import ArgumentError
from gluonjax.lazy import suggests_keywords
from gluonjax.packages import refuses_unknown

__all__ = [
    'CosineScheduler', 'FactorScheduler', 'LRScheduler', 'MultiFactorScheduler', 'OptaxSchedule', 'PolyScheduler',
]  # fmt: skip


def __dir__() -> list[str]:
    return sorted(__all__)


def _checked(num_update: Any) -> Any:
    """The number of an update, if it is a number or an array of numbers."""
    if not jnp.issubdtype(getattr(num_update, 'dtype', type(num_update)), np.number):
        raise ArgumentError(f'the number of an update must be a number >= 1, got {num_update!r}')
    return num_update


WarmupMode = Literal['linear', 'constant']


class LRScheduler(Frozen):
    """The base of schedulers: the warm-up, and `after_warmup`, which a subclass defines.

    Args:
        base_lr: the rate at which the warm-up ends and the schedule starts.
        warmup_steps: updates with a smaller number belong to the warm-up.
        warmup_begin_lr: the rate at which the warm-up starts.
        warmup_mode: 'linear', from `warmup_begin_lr` to `base_lr`; 'constant', `warmup_begin_lr` throughout.

    Raises:
        ArgumentError: if an argument has a value that is not allowed.

    A scheduler of your own:

    >>> class InverseRoot(LRScheduler):
    ...     def after_warmup(self, num_update, xp):
    ...         return self.base_lr / xp.sqrt(num_update)
    >>> InverseRoot(base_lr=1.0, warmup_steps=4)(np.array([1, 2, 4, 16]))
    array([0.25, 0.5 , 0.5 , 0.25])
    """

    _remedy = 'make a new scheduler'

    def __init__(
        self,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0.0,
        warmup_mode: WarmupMode = 'linear',
    ) -> None:
        self.base_lr: float = checks.number('base_lr', base_lr)
        self.warmup_steps: int = checks.size('warmup_steps', warmup_steps, least=0)
        self.warmup_begin_lr: float = checks.number('warmup_begin_lr', warmup_begin_lr, most=self.base_lr)
        self.warmup_mode: WarmupMode = checks.one_of('warmup_mode', warmup_mode, ('linear', 'constant'))
        self.warmup_final_lr: float = self.base_lr

    def after_warmup(self, num_update: Any, xp: Any) -> Any:
        """The rate of an update after the warm-up; `xp` is the numpy or jax.numpy that `num_update` belongs to.

        It is evaluated for updates of the warm-up too, and the result not used.
        """
        raise ArgumentError(
            f'{type(self).__name__} has no schedule', remedy='override after_warmup(self, num_update, xp)'
        )

    @overload
    def __call__(self, num_update: int | float) -> float: ...
    @overload
    def __call__(self, num_update: Any) -> Any: ...
    @suggests_keywords
    def __call__(self, num_update: Any) -> Any:
        """The learning rate of the update with this number; a float for a Python number, else an array."""
        xp = jnp if isinstance(_checked(num_update), jax.Array) else np
        with jax.numpy_dtype_promotion('standard'):  # the number of the update is of integers
            warming = num_update < self.warmup_steps
            rate = xp.where(warming, self._warmup(num_update), self.after_warmup(num_update, xp))
        return float(rate) if isinstance(num_update, int | float) else rate

    def _warmup(self, num_update: Any) -> Any:
        if self.warmup_mode == 'constant' or not self.warmup_steps:
            return self.warmup_begin_lr
        return self.warmup_begin_lr + (self.warmup_final_lr - self.warmup_begin_lr) * (num_update / self.warmup_steps)

    def with_base_lr(self, base_lr: float) -> Self:
        """What MXNet makes of a scheduler when an optimizer is given `learning_rate` too.

        The schedule starts from the new rate, but the warm-up still ends at the old one. `PolyScheduler` and
        `CosineScheduler` stay as they are.
        """
        changed = copy.copy(self)
        object.__setattr__(changed, 'base_lr', float(base_lr))
        return changed


class FactorScheduler(LRScheduler):
    """`base_lr * factor^k`, where k counts how often `step` updates are over; never below `stop_factor_lr`.

    The factor is first applied in update `step + 1`. Updates of the warm-up count.

    Args:
        step: the number of updates between changes.
        factor: from 0 to 1.
        stop_factor_lr: the rate stops falling here.
        base_lr, warmup_steps, warmup_begin_lr, warmup_mode: see `LRScheduler`.
    """

    def __init__(
        self,
        step: int,
        factor: float = 1.0,
        stop_factor_lr: float = 1e-8,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0.0,
        warmup_mode: WarmupMode = 'linear',
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        self.step: int = checks.size('step', step)
        self.factor: float = checks.number('factor', factor, 0, 1)
        self.stop_factor_lr: float = checks.number('stop_factor_lr', stop_factor_lr)

    def after_warmup(self, num_update: Any, xp: Any) -> Any:
        changes = xp.maximum(num_update - 1, 0) // self.step
        fallen = xp.maximum(self.base_lr * self.factor**changes, self.stop_factor_lr)
        return xp.where(changes > 0, fallen, self.base_lr)


class MultiFactorScheduler(LRScheduler):
    """`base_lr * factor^k`, where k counts the entries of `step` that are smaller than the number of the update.

    Args:
        step: ints in increasing order.
        factor: from 0 to 1.
        base_lr, warmup_steps, warmup_begin_lr, warmup_mode: see `LRScheduler`.
    """

    def __init__(
        self,
        step: Sequence[int],
        factor: float = 1.0,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0.0,
        warmup_mode: WarmupMode = 'linear',
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        if not isinstance(step, list | tuple) or not step or sorted(set(step)) != list(step):
            raise ArgumentError(f'step must be a list of increasing ints, got {step!r}')
        self.step: tuple[int, ...] = tuple(checks.size('step', number) for number in step)
        self.factor: float = checks.number('factor', factor, 0, 1)

    def after_warmup(self, num_update: Any, xp: Any) -> Any:
        changes = sum(xp.where(num_update > number, 1, 0) for number in self.step)
        return self.base_lr * self.factor**changes


class _Decay(LRScheduler):
    """From `base_lr` to `final_lr`, which is reached in update `max_update`."""

    def __init__(
        self,
        max_update: int,
        base_lr: float,
        final_lr: float,
        warmup_steps: int,
        warmup_begin_lr: float,
        warmup_mode: WarmupMode,
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        self.max_update: int = checks.size('max_update', max_update, least=self.warmup_steps + 1)
        self.final_lr: float = checks.number('final_lr', final_lr)

    def remaining(self, fraction: Any, xp: Any) -> Any:
        """The fraction of the decay that is still to come, after this fraction of the updates."""
        raise NotImplementedError

    def after_warmup(self, num_update: Any, xp: Any) -> Any:
        fraction = xp.clip((num_update - self.warmup_steps) / (self.max_update - self.warmup_steps), 0, 1)
        return self.final_lr + (self.base_lr - self.final_lr) * self.remaining(fraction, xp)

    def with_base_lr(self, base_lr: float) -> Self:
        return self


class PolyScheduler(_Decay):
    """From `base_lr` to `final_lr` as `(1 - fraction)^pwr`, `fraction` of the updates after the warm-up being done.

    After update `max_update` the rate stays `final_lr`.

    Args:
        max_update: the number of the update in which `final_lr` is reached.
        base_lr: the rate after the warm-up.
        pwr: the power.
        final_lr: the rate at the end.
        warmup_steps, warmup_begin_lr, warmup_mode: see `LRScheduler`.
    """

    def __init__(
        self,
        max_update: int,
        base_lr: float = 0.01,
        pwr: float = 2.0,
        final_lr: float = 0.0,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0.0,
        warmup_mode: WarmupMode = 'linear',
    ) -> None:
        super().__init__(max_update, base_lr, final_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        self.pwr: float = checks.number('pwr', pwr, 0)

    def remaining(self, fraction: Any, xp: Any) -> Any:
        return (1 - fraction) ** self.pwr


class CosineScheduler(_Decay):
    """From `base_lr` to `final_lr` along half a cosine (Loshchilov and Hutter, 2017).

    After update `max_update` the rate stays `final_lr`.

    Args:
        max_update: the number of the update in which `final_lr` is reached.
        base_lr: the rate after the warm-up.
        final_lr: the rate at the end.
        warmup_steps, warmup_begin_lr, warmup_mode: see `LRScheduler`.
    """

    def __init__(
        self,
        max_update: int,
        base_lr: float = 0.01,
        final_lr: float = 0.0,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0.0,
        warmup_mode: WarmupMode = 'linear',
    ) -> None:
        super().__init__(max_update, base_lr, final_lr, warmup_steps, warmup_begin_lr, warmup_mode)

    def remaining(self, fraction: Any, xp: Any) -> Any:
        return (1 + xp.cos(math.pi * fraction)) / 2


class OptaxSchedule(Frozen):
    """A schedule in optax's way of counting, as a scheduler: a function of how many updates came before.

    `learning_rate=optax.cosine_decay_schedule(0.1, 1000)` makes one of itself; the first update has the rate of 0.

    Args:
        schedule: any function of an int, such as those of optax.

    >>> scheduler = OptaxSchedule(lambda count: 0.5**count)
    >>> [float(scheduler(number)) for number in (1, 2, 3)]
    [1.0, 0.5, 0.25]
    """

    _remedy = 'make a new schedule'

    def __init__(self, schedule: Callable[[Any], Any]) -> None:
        if isinstance(schedule, type) or not callable(schedule):
            raise ArgumentError('this is no schedule', expected='a function of the count', got=repr(schedule))
        self.schedule: Callable[[Any], Any] = schedule

    @suggests_keywords
    def __call__(self, num_update: Any) -> Any:
        """The learning rate of the update with this number, which is 1 for the first."""
        xp = jnp if isinstance(_checked(num_update), jax.Array) else np
        with jax.numpy_dtype_promotion('standard'):
            return self.schedule(xp.maximum(num_update - 1, 0))


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = refuses_unknown(globals())
