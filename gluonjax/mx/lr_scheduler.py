"""`mx.lr_scheduler`: learning rates by the number of the update, with attributes that may be changed.

>>> halving = FactorScheduler(step=2, factor=0.5, base_lr=1.0)
>>> [halving(number) for number in range(1, 6)]
[1.0, 1.0, 0.5, 0.5, 0.25]
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, ClassVar

from gluonjax import lr_scheduler as native
from gluonjax.mx.entry import explain_calls


class LRScheduler:
    """The base of schedulers. Your own has `__call__(num_update)`.

    Args:
        base_lr: the rate from which the schedule starts.
        warmup_steps: updates with a smaller number belong to the warm-up.
        warmup_begin_lr: the rate at which that starts.
        warmup_mode: 'linear' or 'constant'.

    Raises:
        ArgumentError: if an argument has a value that is not allowed.
    """

    def __init__(
        self, base_lr: float = 0.01, warmup_steps: int = 0, warmup_begin_lr: float = 0, warmup_mode: Any = 'linear'
    ):
        native.LRScheduler(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)  # which looks at them
        self.base_lr: float = base_lr
        self.warmup_steps: int = warmup_steps
        self.warmup_begin_lr: float = warmup_begin_lr
        self.warmup_final_lr: float = base_lr
        self.warmup_mode: Any = warmup_mode

    def get_warmup_lr(self, num_update: int) -> float:
        """The rate of an update of the warm-up."""
        if self.warmup_mode == 'constant':
            return self.warmup_begin_lr
        return self.warmup_begin_lr + (self.warmup_final_lr - self.warmup_begin_lr) * num_update / self.warmup_steps

    def __call__(self, num_update: int) -> float:
        """The rate of the update with a number, 1 for the first."""
        raise NotImplementedError(f'{type(self).__name__}.__call__')


class _Native(LRScheduler):
    """A scheduler of `gluonjax.lr_scheduler`, by the same arguments."""

    own: ClassVar[Any]

    def __init__(self, *args: Any, **kwargs: Any):
        made = self.own(*args, **kwargs)
        super().__init__(made.base_lr, made.warmup_steps, made.warmup_begin_lr, made.warmup_mode)
        names = inspect.signature(self.own).parameters
        self._names: tuple[str, ...] = tuple(name for name in names if name != 'base_lr')
        for name in self._names:
            setattr(self, name, getattr(made, name))


class FactorScheduler(_Native):
    """The rate times `factor` every `step` updates; see `gluonjax.lr_scheduler.FactorScheduler`."""

    own: ClassVar[Any] = native.FactorScheduler
    base_lr: float
    step: int
    factor: float
    stop_factor_lr: float
    count: int = 0  # the update after which the rate was last multiplied

    def __call__(self, num_update: int) -> float:
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        while num_update > self.count + self.step:  # rounds as MXNet does, whose programs read `base_lr`
            self.count += self.step
            self.base_lr = max(self.base_lr * self.factor, self.stop_factor_lr)
        return self.base_lr


class MultiFactorScheduler(_Native):
    """The rate times `factor` after each of some updates; see `gluonjax.lr_scheduler.MultiFactorScheduler`.

    As MXNet's, it goes on from where it was: programs that print the rates of all updates first train with the last.
    """

    own: ClassVar[Any] = native.MultiFactorScheduler
    base_lr: float
    step: list[int]
    factor: float
    count: int = 0  # the update after which the rate was last multiplied
    cur_step_ind: int = 0

    def __call__(self, num_update: int) -> float:
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        while self.cur_step_ind < len(self.step) and num_update > self.step[self.cur_step_ind]:
            self.count = self.step[self.cur_step_ind]
            self.cur_step_ind += 1
            self.base_lr *= self.factor
        return self.base_lr


class _Decay(_Native):
    """One that reaches its last rate in update `max_update`, after which `base_lr` stays what it is."""

    base_lr: float
    max_update: int

    def __call__(self, num_update: int) -> float:
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        if num_update <= self.max_update:
            values = tuple((name, getattr(self, name)) for name in self._names)
            self.base_lr = _made(self.own, values, self.warmup_final_lr)(int(num_update))
        return self.base_lr


@functools.lru_cache(64)
def _made(own: Any, values: tuple[tuple[str, Any], ...], base_lr: float) -> Any:
    return own(**dict(values), base_lr=base_lr)


class PolyScheduler(_Decay):
    """A power of what remains; see `gluonjax.lr_scheduler.PolyScheduler`."""

    own: ClassVar[Any] = native.PolyScheduler


class CosineScheduler(_Decay):
    """Half a wave of the cosine; see `gluonjax.lr_scheduler.CosineScheduler`."""

    own: ClassVar[Any] = native.CosineScheduler


explain_calls(globals())
