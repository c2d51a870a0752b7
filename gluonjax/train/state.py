"""TrainState: all that a training step changes, as a pytree of arrays."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax.metric import double_float


class LossScale(NamedTuple):
    """What the loss is multiplied with before the gradient, so that float16 does not lose small ones.

    It halves when a gradient overflows, and doubles after `GROWTH` steps without (Micikevicius et al., 2018).
    """

    value: jax.Array
    good: jax.Array  # steps since it changed

    GROWTH = 2000
    MOST = 2.0**24

    @classmethod
    def initial(cls) -> LossScale:
        """The scale before the first step."""
        return cls(jnp.float32(2**15), jnp.int32(0))

    def after(self, finite: jax.Array) -> LossScale:
        """The scale after a step whose gradients were finite, or not."""
        grown = self.good + 1 >= self.GROWTH
        value = jnp.where(grown, jnp.minimum(self.value * 2, self.MOST), self.value)
        return LossScale(
            jnp.where(finite, value, jnp.maximum(self.value / 2, 1.0)),
            jnp.where(finite & ~grown, self.good + 1, 0),
        )


class TrainState(NamedTuple):
    """Everything that a step changes: a pytree of arrays.

    Attributes:
        params: all values of the network, running statistics too.
        optimizer: the optimizer's state, of the trainable params only.
        key: the random key from which the next step's is split.
        metrics: the states of the metrics, by name.
        average: the moving average of the trainable params; None without one.
        scale: the loss scale of float16; None without one.
        skipped: how many steps changed nothing, as they were not finite; None without skip_nonfinite.
        totals: the sum of the losses and the number of the samples since the metrics were reset, as `Totals` reads
            them; of steps that changed something.
        carry: what the network carries to the next batch; None if nothing.
    """

    params: dict[str, Any]
    optimizer: Any
    key: jax.Array
    metrics: dict[str, Any] = {}  # noqa: RUF012  (never changed in place)
    average: dict[str, Any] | None = None
    scale: LossScale | None = None
    skipped: jax.Array | None = None
    totals: jax.Array | None = None
    carry: Any = None


class Totals(NamedTuple):
    """What was added up over steps: the losses of samples, and their number."""

    loss: float = 0.0
    samples: float = 0.0

    @classmethod
    def zero(cls) -> jax.Array:
        """Those of no step, as a state has them."""
        return double_float.zero((2,))

    @classmethod
    def after(cls, totals: jax.Array, loss: jax.Array, samples: jax.Array) -> jax.Array:
        """Those after a step of this mean loss, as a state has them."""
        sums = [double_float.add(totals[:, i], double_float.of(x)) for i, x in enumerate((loss * samples, samples))]
        return jnp.stack(sums, 1)

    @classmethod
    def of(cls, state: TrainState) -> Totals:
        """Those of a state; this waits for the device."""
        return cls() if state.totals is None else cls(*double_float.value(np.asarray(state.totals)).tolist())

    @property
    def mean(self) -> float:
        """The mean loss of the samples; nan of none."""
        return self.loss / self.samples if self.samples else math.nan
