"""Losses of numbers."""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from gluonjax import checks
from gluonjax.errors import ArgumentError
from gluonjax.loss.base import Loss
from gluonjax.loss.inputs import like


class L1Loss(Loss):
    """`|label - pred|`, averaged over each sample. Its gradient where they are equal is 0.

    Args:
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.

    >>> L1Loss()(jnp.array([[1.0, 3.0]]), jnp.array([[1.0, 1.0]]))
    Array([1.], dtype=float32)
    """

    def __init__(self, weight: float | None = None, batch_axis: int = 0) -> None:
        super().__init__(weight, batch_axis)

    def forward(self, pred: Array, label: Array, sample_weight: Array | None = None) -> Array:
        error = like(label, pred) - pred
        return self.mean(error * lax.stop_gradient(jnp.sign(error)), sample_weight)  # jnp.abs has the slope 1 at 0


class L2Loss(Loss):
    """`(label - pred)² / 2`, averaged over each sample.

    Args:
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.

    >>> L2Loss()(jnp.array([[1.0, 3.0]]), jnp.array([[1.0, 1.0]]))
    Array([1.], dtype=float32)
    """

    def __init__(self, weight: float | None = 1.0, batch_axis: int = 0) -> None:
        super().__init__(weight, batch_axis)

    def forward(self, pred: Array, label: Array, sample_weight: Array | None = None) -> Array:
        return self.mean(jnp.square(pred - like(label, pred)) / 2, sample_weight)


class HuberLoss(Loss):
    """`(label - pred)² / (2 rho)` where the error is at most `rho`, `|label - pred| - rho / 2` beyond; averaged.

    Args:
        rho: the error at which the square becomes a line; a number above 0.
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.

    >>> HuberLoss()(jnp.array([[0.5], [3.0]]), jnp.zeros((2, 1)))
    Array([0.125, 2.5  ], dtype=float32)
    """

    def __init__(self, rho: float = 1, weight: float | None = None, batch_axis: int = 0) -> None:
        super().__init__(weight, batch_axis)
        self.rho: float = rho
        if checks.number('rho', rho) <= 0:
            raise ArgumentError(f'rho must be a number above 0, got {rho!r}')

    def forward(self, pred: Array, label: Array, sample_weight: Array | None = None) -> Array:
        # optax's is rho times this, and takes twice as long: its minimum splits gradients at ties
        error = jnp.abs(pred - like(label, pred))
        far = error > self.rho
        near = jnp.where(far, 0, error)
        return self.mean(jnp.where(far, error - self.rho / 2, near**2 / (2 * self.rho)), sample_weight)


class PoissonNLLLoss(Loss):
    """`-log p(target)` for a count `target` of a Poisson distribution: **one mean of all**, of shape (1,), as MXNet's.

    `exp(pred) - target * pred`, where `pred` is the logarithm of the rate; with `from_logits=False` it is the rate, and
    the loss is `pred - target * log(pred + epsilon)`.

    Call it as `loss(pred, target, sample_weight=None, epsilon=1e-08)`.

    Args:
        weight: a number that multiplies every loss; None for none.
        from_logits: whether `pred` is the logarithm of the rate.
        batch_axis: MXNet's; the mean is over all axes.
        compute_full: whether to add Stirling's `log(target!)`, for targets above 1. It is 0 for a target of 0, which
            MXNet turns into NaN.

    >>> PoissonNLLLoss()(jnp.array([[0.0], [1.0]]), jnp.array([[1], [2]]))
    Array([0.8591409], dtype=float32)
    """

    def __init__(
        self, weight: float | None = None, from_logits: bool = True, batch_axis: int = 0, compute_full: bool = False
    ) -> None:
        super().__init__(weight, batch_axis)
        self.from_logits: bool = from_logits
        self.compute_full: bool = compute_full

    def forward(
        self, pred: Array, target: Array, sample_weight: Array | None = None, epsilon: ArrayLike = 1e-08
    ) -> Array:
        return self.weighted(self._losses(pred, target, epsilon), sample_weight).mean().reshape(1)

    def per_sample(self, *inputs: ArrayLike | None, **named: ArrayLike | None) -> Array:
        """The mean of each sample, shape (batch,), whose mean over the batch is the loss."""
        return self.checked_call(self._of_samples, inputs, named)

    def _of_samples(self, pred, target, sample_weight=None, epsilon=1e-08):
        return self.mean(self._losses(pred, target, epsilon), sample_weight)

    def _losses(self, pred: Array, target: Array, epsilon: ArrayLike) -> Array:
        target = like(target, pred, 'target')
        loss = jnp.exp(pred) - target * pred if self.from_logits else pred - target * jnp.log(pred + epsilon)
        if not self.compute_full:
            return loss
        large = jnp.where(target > 1, target, 1)
        stirling = large * jnp.log(large) - large + 0.5 * jnp.log(2 * math.pi * large)
        return loss + jnp.where(target > 1, stirling, 0)
