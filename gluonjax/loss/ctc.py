"""Connectionist temporal classification."""

from __future__ import annotations

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array, lax

from gluonjax import checks
from gluonjax.errors import ShapeError
from gluonjax.loss.base import Loss
from gluonjax.loss.inputs import check_rank

_NEVER = -1e30  # the logarithm of a probability of zero, finite so that gradients are


class CTCLoss(Loss):
    """Connectionist temporal classification (Graves et al., 2006): `-log p(label)` over all alignments with `pred`.

    Call it as `loss(pred, label, pred_lengths=None, label_lengths=None, sample_weight=None)`. The result has the shape
    (N,).

    - `pred` has the shape of `layout` and holds logits; its last class is the blank.
    - `label` has the shape of `label_layout` and holds classes from 0 on. A label ends before its first negative
      number, or has the length given in `label_lengths`, of shape (N,). A class out of range is taken as the nearest.
    - `pred_lengths`, of shape (N,), are the numbers of valid steps.

    A label that needs more steps than there are (one for each class, and one for the blank between two equal ones) has
    the loss 0 and the gradient 0, as MXNet's loss is. A label whose probability is 0 because logits are -inf has the
    loss inf and the gradient 0.

    Args:
        layout: 'NTC' or 'TNC', of `pred`.
        label_layout: 'NT' or 'TN', of `label`.
        weight: a number that multiplies every loss; None for none.

    >>> CTCLoss()(jnp.zeros((1, 2, 3)), jnp.array([[0, -1]]))  # of nine equal paths, three say 0: (0 0), (0 -), (- 0)
    Array([1.098612], dtype=float32)
    """

    def __init__(
        self,
        layout: Literal['NTC', 'TNC'] = 'NTC',
        label_layout: Literal['NT', 'TN'] = 'NT',
        weight: float | None = None,
    ) -> None:
        self.layout: Literal['NTC', 'TNC'] = checks.one_of('layout', layout, ('NTC', 'TNC'))
        self.label_layout: Literal['NT', 'TN'] = checks.one_of('label_layout', label_layout, ('NT', 'TN'))
        super().__init__(weight, label_layout.index('N'))

    def forward(
        self,
        pred: Array,
        label: Array,
        pred_lengths: Array | None = None,
        label_lengths: Array | None = None,
        sample_weight: Array | None = None,
    ) -> Array:
        check_rank('pred', pred, self.layout)
        check_rank('label', label, self.label_layout)
        pred = jnp.moveaxis(pred, self.layout.index('T'), 0)
        label = jnp.moveaxis(label, self.batch_axis, 0).astype(jnp.int32)
        steps, samples, _ = pred.shape
        if label.shape[0] != samples:
            raise ShapeError('pred and label differ in the number of samples', expected=samples, got=label.shape[0])
        if pred_lengths is None:
            pred_lengths = jnp.full(samples, steps)
        if label_lengths is None:
            label_lengths = jnp.cumprod(label >= 0, axis=1).sum(axis=1)
        pred_lengths = _clipped_lengths('pred_lengths', pred_lengths, samples, steps)
        label_lengths = _clipped_lengths('label_lengths', label_lengths, samples, label.shape[1])
        return self.weighted(_ctc(pred, label, pred_lengths, label_lengths), sample_weight)


def _ctc(logits: Array, label: Array, steps: Array, lengths: Array) -> Array:
    """-log p of each label (N, L), given logits (T, N, C): one pass forward over the steps.

    `blank[n]` holds the log probability of all paths that have emitted n classes and end in a blank, `emitted[n]` of
    those that end in the last of these classes; `emitted[0]` is impossible.
    """
    valid = jnp.arange(len(logits))[:, None] < steps[None]  # padding does not matter
    log_p = jnp.maximum(jax.nn.log_softmax(jnp.where(valid[..., None], logits, 0)), _NEVER)
    classes = jnp.clip(label, 0, logits.shape[2] - 1)
    repeated = (classes == jnp.roll(classes, 1, axis=1)) & (jnp.arange(label.shape[1]) > 0)[None]

    def after_impossible(emitted):  # a path that has emitted nothing yet
        return jnp.pad(emitted, ((0, 0), (1, 0)), constant_values=_NEVER)

    def step(state, now):
        valid, log_p = now
        blank, emitted = state
        before = after_impossible(emitted)
        fresh = jnp.logaddexp(blank[:, :-1], jnp.where(repeated, _NEVER, before[:, :-1]))
        after = (
            jnp.logaddexp(blank, before) + log_p[:, -1:],
            jnp.logaddexp(emitted, fresh) + jnp.take_along_axis(log_p, classes, axis=1),
        )
        return jax.tree.map(functools.partial(jnp.where, valid[:, None]), after, state), None

    emitted = jnp.full(label.shape, _NEVER, log_p.dtype)
    blank = after_impossible(emitted).at[:, 0].set(0)
    (blank, emitted), _ = lax.scan(step, (blank, emitted), (valid, log_p))
    total = jnp.take_along_axis(jnp.logaddexp(blank, after_impossible(emitted)), lengths[:, None], axis=1)[:, 0]
    needed = lengths + (repeated & (jnp.arange(label.shape[1])[None] < lengths[:, None])).sum(axis=1)
    return jnp.where(needed > steps, 0, jnp.where(total > _NEVER / 2, -total, jnp.inf))


def _clipped_lengths(name: str, lengths: Array, samples: int, most: int) -> Array:
    """One int per sample, at most `most`."""
    if lengths.shape != (samples,):
        raise ShapeError(f'{name} has one number per sample', expected=(samples,), got=lengths.shape)
    return jnp.clip(lengths.astype(jnp.int32), 0, most)
