"""Losses: pure functions of arrays with Gluon's options. They know nothing of layers.

`nn.Sequential` and `init`/`apply` give predictions; a loss turns them and labels into one number per sample:

>>> L2Loss()(jnp.array([[1.0, 3.0], [0.0, 0.0]]), jnp.array([[1.0, 1.0], [0.0, 2.0]]))
Array([1., 1.], dtype=float32)

All of them, and every subclass of `Loss`, share this:

- Inputs are NumPy or JAX arrays. A label may be of integers or bools. It is reshaped like the prediction, so that it
  only needs as many elements.
- The result has the dtype of the first input. Half-precision inputs are taken to float32 first, so only the result is
  rounded; cast the prediction to float32 to keep all digits.
- `sample_weight` multiplies the loss of each element before the mean. It broadcasts, as NumPy does, to the shape of
  these losses, (N, 1) beside (N, C), and may not enlarge it.
"""

import functools
import inspect
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gluonjax import checks
from gluonjax.config import Frozen
from gluonjax.errors import ArgumentError, DataError, DTypeError, GluonError, ShapeError

__all__ = [
    'CTCLoss',
    'CosineEmbeddingLoss',
    'HingeLoss',
    'HuberLoss',
    'KLDivLoss',
    'L1Loss',
    'L2Loss',
    'LogisticLoss',
    'Loss',
    'PoissonNLLLoss',
    'SDMLLoss',
    'SigmoidBCELoss',
    'SigmoidBinaryCrossEntropyLoss',
    'SoftmaxCELoss',
    'SoftmaxCrossEntropyLoss',
    'SquaredHingeLoss',
    'TripletLoss',
]


def __dir__() -> list[str]:
    return sorted(__all__)


_NEVER = -1e30  # the logarithm of a probability of zero, finite so that gradients are


class Loss(Frozen):
    """The base of losses: a configuration without parameters, and `forward`, a pure function of arrays.

    A loss is immutable. Two are equal if they are of one class and made with equal arguments, and equal ones have
    equal hashes: a loss may be a static argument of `jax.jit`.

    Args:
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples; a loss averages over all others.

    Raises:
        ArgumentError: if an argument has no such value.
        ShapeError: in a call, if the shapes of the inputs do not fit each other.
        DTypeError: in a call, if the prediction is not of floating point.

    A loss of one's own says in `forward` what it computes:

    >>> class LogCosh(Loss):
    ...     def __init__(self, scale=1.0, weight=None, batch_axis=0):
    ...         super().__init__(weight, batch_axis)
    ...         self.scale = scale
    ...
    ...     def forward(self, pred, label, sample_weight=None):
    ...         return self.mean(jnp.log(jnp.cosh((label - pred) / self.scale)), sample_weight)
    >>> LogCosh(weight=2)(jnp.zeros((2, 1)), jnp.array([[0.0], [1.0]]))
    Array([0.  , 0.867], dtype=float32)
    """

    _ignored_arguments = ('prefix', 'params')
    _remedy = 'make a new loss'

    def __init__(self, weight, batch_axis):
        if weight is not None:
            checks.number('weight', weight)
        self.weight, self.batch_axis = weight, checks.size('batch_axis', batch_axis, least=None)

    def forward(self, *inputs, **named):
        """What the loss computes. Inputs are JAX arrays or None, those of half precision already in float32."""
        raise ArgumentError(f'{type(self).__name__} says nothing', remedy='override forward(self, pred, label, ...)')

    def __call__(self, *inputs, **named):
        call = inspect.signature(self.forward).bind(*inputs, **named)
        arrays, others = [_array(x) for x in call.args], {name: _array(x) for name, x in call.kwargs.items()}
        dtype = arrays[0].dtype
        try:
            if not jnp.issubdtype(dtype, jnp.floating):
                raise DTypeError('a prediction is of floating point', got=dtype, remedy="pred.astype('float32')")
            return self.forward(*map(_wide, arrays), **{name: _wide(x) for name, x in others.items()}).astype(dtype)
        except GluonError as error:
            raise type(error)(f'{self}: {error}') from None

    def allowed_labels(self, pred_shape: tuple[int, ...], label) -> tuple[Any, str] | None:
        """Which labels this loss is defined for, where it can tell; with operators alone, so inside `jit` too.

        Args:
            pred_shape: the shape of the prediction.
            label: the labels, in an array of NumPy or JAX.

        Returns:
            An array of bool in the shape of `label`, and in words which labels are allowed; or None.
        """

    def check_labels(self, pred_shape: tuple[int, ...], label) -> None:
        """Refuses labels that this loss is not defined for, where it can tell; values are looked at on the host.

        Args:
            pred_shape: the shape of the prediction.
            label: the labels, in an array.

        Raises:
            DataError: naming the first such label, and what is allowed.
        """
        label = np.asarray(label)
        allowed = self.allowed_labels(pred_shape, label)
        if allowed is not None and not allowed[0].all():
            wrong = ~allowed[0]
            place = np.argwhere(wrong)[0].tolist()
            raise DataError(
                f'{self}: {label[tuple(place)]} is no label ({wrong.sum()} of {label.size} are none)',
                expected=allowed[1],
                got=f'{label[tuple(place)]} at {place} of labels of shape {label.shape}',
            )

    def weighted(self, loss, sample_weight=None):
        """`loss * sample_weight * weight`, in the shape of `loss`."""
        if sample_weight is not None:
            loss = loss * _broadcast('sample_weight', sample_weight, loss)
        return loss if self.weight is None else loss * self.weight

    def mean(self, loss, sample_weight=None):
        """The weighted mean over all axes but the samples'."""
        return self.weighted(loss, sample_weight).mean(self._other_axes(loss))

    def _other_axes(self, x) -> tuple[int, ...]:
        """All axes but that of samples."""
        batch_axis = _axis('batch_axis', self.batch_axis, x)
        return tuple(axis for axis in range(x.ndim) if axis != batch_axis)

    def hybridize(self, active=True, **options):
        """Does nothing, as Gluon programs call it: a loss is a pure function, and `jax.jit` compiles it."""

    def __eq__(self, other) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *sorted(vars(self).items())))


class L1Loss(Loss):
    """`|label - pred|`, averaged over each sample. Its gradient where they are equal is 0.

    Args:
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.

    >>> L1Loss()(jnp.array([[1.0, 3.0]]), jnp.array([[1.0, 1.0]]))
    Array([1.], dtype=float32)
    """

    def __init__(self, weight=None, batch_axis=0):
        super().__init__(weight, batch_axis)

    def forward(self, pred, label, sample_weight=None):
        error = _like(label, pred) - pred
        return self.mean(error * lax.stop_gradient(jnp.sign(error)), sample_weight)  # jnp.abs has the slope 1 at 0


class L2Loss(Loss):
    """`(label - pred)² / 2`, averaged over each sample.

    Args:
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.

    >>> L2Loss()(jnp.array([[1.0, 3.0]]), jnp.array([[1.0, 1.0]]))
    Array([1.], dtype=float32)
    """

    def __init__(self, weight=1.0, batch_axis=0):
        super().__init__(weight, batch_axis)

    def forward(self, pred, label, sample_weight=None):
        import optax

        return self.mean(optax.l2_loss(pred, _like(label, pred)), sample_weight)


class HuberLoss(Loss):
    """`(label - pred)² / (2 rho)` where the error is at most `rho`, `|label - pred| - rho / 2` beyond; averaged.

    Args:
        rho: the error at which the square becomes a line; a number above 0.
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.

    >>> HuberLoss()(jnp.array([[0.5], [3.0]]), jnp.zeros((2, 1)))
    Array([0.125, 2.5  ], dtype=float32)
    """

    def __init__(self, rho=1, weight=None, batch_axis=0):
        super().__init__(weight, batch_axis)
        self.rho = rho
        if checks.number('rho', rho) <= 0:
            raise ArgumentError('rho cannot be this', expected='a number above 0', got=repr(rho))

    def forward(self, pred, label, sample_weight=None):
        # optax's is rho times this, and takes twice as long: its minimum splits gradients at ties
        error = jnp.abs(pred - _like(label, pred))
        far = error > self.rho
        near = jnp.where(far, 0, error)
        return self.mean(jnp.where(far, error - self.rho / 2, near**2 / (2 * self.rho)), sample_weight)


class HingeLoss(Loss):
    """`max(0, margin - pred * label)` for labels -1 and 1, averaged over each sample.

    Args:
        margin: the product of prediction and label from which on there is no loss; any number.
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.

    >>> HingeLoss()(jnp.array([[2.0], [0.5]]), jnp.array([[1], [-1]]))
    Array([0. , 1.5], dtype=float32)
    """

    def __init__(self, margin=1, weight=None, batch_axis=0):
        super().__init__(weight, batch_axis)
        checks.number('margin', margin)
        self.margin = margin

    def forward(self, pred, label, sample_weight=None):
        return self.mean(jax.nn.relu(self.margin - pred * _like(label, pred)), sample_weight)


class SquaredHingeLoss(HingeLoss):
    """`max(0, margin - pred * label)²` for labels -1 and 1, averaged over each sample.

    Args:
        margin: the product of prediction and label from which on there is no loss; any number.
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.

    >>> SquaredHingeLoss()(jnp.array([[2.0], [0.5]]), jnp.array([[1], [-1]]))
    Array([0.  , 2.25], dtype=float32)
    """

    def forward(self, pred, label, sample_weight=None):
        return self.mean(jnp.square(jax.nn.relu(self.margin - pred * _like(label, pred))), sample_weight)


class SigmoidBinaryCrossEntropyLoss(Loss):
    """The cross-entropy of yes-or-no labels, averaged over each sample. `SigmoidBCELoss` is the same class.

    `-label * log(p) * pos_weight - (1 - label) * log(1 - p)`, where `p` is `sigmoid(pred)`. It is computed from
    `pred` at once, exactly at logits of any size. Labels lie between 0 and 1.

    With `from_sigmoid=True` the prediction is `p` itself, and 1e-12 is added inside the logarithms as MXNet does.

    Call it as `loss(pred, label, sample_weight=None, pos_weight=None)`. `pos_weight` broadcasts to the shape of
    `pred`, as (1, C) or (C,) does for a weight per class.

    MXNet's gradient at `pred == 0` lacks its `0.5`; here it is `sigmoid(0) - label`.

    Args:
        from_sigmoid: whether the prediction is a probability.
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.

    >>> SigmoidBCELoss()(jnp.array([[0.0], [1e4]]), jnp.array([[1], [0]]))
    Array([6.931472e-01, 1.000000e+04], dtype=float32)
    """

    def __init__(self, from_sigmoid=False, weight=None, batch_axis=0):
        super().__init__(weight, batch_axis)
        self.from_sigmoid = from_sigmoid

    def allowed_labels(self, pred_shape, label):
        return (label >= 0) & (label <= 1), 'numbers from 0 to 1'

    def forward(self, pred, label, sample_weight=None, pos_weight=None):
        if self.from_sigmoid:
            rest = lax.optimization_barrier(1 - pred)  # or XLA may add 1 and 1e-12 first, which makes 1
            log_p, log_not_p = jnp.log(pred + 1e-12), jnp.log(rest + 1e-12)
        else:
            log_p, log_not_p = jax.nn.log_sigmoid(pred), jax.nn.log_sigmoid(-pred)
        label = _like(label, pred)
        positive = label if pos_weight is None else label * _broadcast('pos_weight', pos_weight, label)
        return self.mean(-_times(positive, log_p) - _times(1 - label, log_not_p), sample_weight)


SigmoidBCELoss = SigmoidBinaryCrossEntropyLoss


class LogisticLoss(Loss):
    """`log(1 + exp(-pred * label))` for labels -1 and 1, averaged over each sample.

    MXNet's gradient at `pred == 0` lacks its `0.5`, as that of `SigmoidBCELoss` does.

    Args:
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.
        label_format: 'signed' for labels -1 and 1; 'binary' for 0 and 1.

    >>> LogisticLoss()(jnp.array([[0.0], [1e4]]), jnp.array([[1], [-1]]))
    Array([6.931472e-01, 1.000000e+04], dtype=float32)
    """

    def __init__(self, weight=None, batch_axis=0, label_format='signed'):
        super().__init__(weight, batch_axis)
        self.label_format = _choice('label_format', label_format, 'signed', 'binary')

    def allowed_labels(self, pred_shape, label):
        low, high = (-1, 1) if self.label_format == 'signed' else (0, 1)
        return (label == low) | (label == high), f'{low} and {high}'

    def forward(self, pred, label, sample_weight=None):
        label = _like(label, pred)
        if self.label_format == 'signed':
            label = (label + 1) / 2
        loss = -_times(label, jax.nn.log_sigmoid(pred)) - _times(1 - label, jax.nn.log_sigmoid(-pred))
        return self.mean(loss, sample_weight)


class SoftmaxCrossEntropyLoss(Loss):
    """The cross-entropy of classes, averaged over each sample. `SoftmaxCELoss` is the same class.

    With `sparse_label=True` a label is the number of a class, and the loss is `-log_softmax(pred)[label]`. Labels have
    the shape of `pred` without `axis`, or with 1 there; floats are truncated. A label out of range counts as the
    nearest class, as in MXNet: -1 is class 0. To leave samples out, give them `sample_weight` 0.

    With `sparse_label=False` a label is a distribution over the classes, of the shape of `pred`, and the loss is
    `-sum(label * log_softmax(pred))`.

    Logits may be of any size; -inf says that a class is impossible. The losses that `sample_weight` multiplies have
    the shape of `pred` with 1 along `axis`.

    Args:
        axis: the axis of classes.
        sparse_label: whether a label is the number of a class, rather than a distribution.
        from_logits: whether `pred` holds logarithms of probabilities already, as `log_softmax` gives them.
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.

    >>> pred = jnp.array([[0.0, 0.0], [1e4, 0.0]])
    >>> SoftmaxCELoss()(pred, jnp.array([0, 1]))
    Array([6.931472e-01, 1.000000e+04], dtype=float32)
    >>> SoftmaxCELoss(sparse_label=False)(pred, jnp.array([[0.5, 0.5], [0, 1]]))
    Array([6.931472e-01, 1.000000e+04], dtype=float32)
    """

    def __init__(self, axis=-1, sparse_label=True, from_logits=False, weight=None, batch_axis=0):
        super().__init__(weight, batch_axis)
        self.axis = checks.size('axis', axis, least=None)
        self.sparse_label, self.from_logits = sparse_label, from_logits

    def allowed_labels(self, pred_shape, label):
        if not self.sparse_label or not -len(pred_shape) <= self.axis < len(pred_shape):
            return None
        classes = pred_shape[self.axis]
        is_class = (label >= 0) & (label < classes) & (label // 1 == label)
        return is_class, f'whole numbers from 0 to {classes - 1}, for {classes} classes'

    def forward(self, pred, label, sample_weight=None):
        axis = _axis('axis', self.axis, pred)
        if not self.sparse_label:
            if label.size != pred.size and label.size * pred.shape[axis] == pred.size:
                raise ShapeError(
                    'labels with sparse_label=False are distributions over the classes',
                    expected=pred.shape,
                    got=label.shape,
                    remedy='sparse_label=True takes the numbers of classes',
                )
            log_p = pred if self.from_logits else jax.nn.log_softmax(pred, axis)
            return self.mean(-_times(_like(label, pred), log_p).sum(axis, keepdims=True), sample_weight)
        picked = jnp.take_along_axis(pred, _classes(label, pred, axis), axis, mode='promise_in_bounds')
        if self.from_logits:
            return self.mean(-picked, sample_weight)
        # The difference of two large numbers is taken first, and nothing of the size of `pred` is written down.
        top = lax.stop_gradient(pred.max(axis, keepdims=True))
        return self.mean(jnp.log(jnp.exp(pred - top).sum(axis, keepdims=True)) - (picked - top), sample_weight)


SoftmaxCELoss = SoftmaxCrossEntropyLoss


class KLDivLoss(Loss):
    """The Kullback-Leibler divergence: `label * (log(label + 1e-12) - log p)`, summed over each sample.

    Args:
        from_logits: whether `pred` is `log p`, as `log_softmax` gives it; otherwise `log p` is `log_softmax(pred)`.
        axis: the axis of that softmax.
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.

    >>> KLDivLoss(from_logits=False)(jnp.zeros((1, 2)), jnp.array([[1.0, 0.0]]))
    Array([0.6931472], dtype=float32)
    """

    def __init__(self, from_logits=True, axis=-1, weight=None, batch_axis=0):
        super().__init__(weight, batch_axis)
        self.from_logits, self.axis = from_logits, checks.size('axis', axis, least=None)

    def forward(self, pred, label, sample_weight=None):
        if not self.from_logits:
            pred = jax.nn.log_softmax(pred, _axis('axis', self.axis, pred))
        label = _like(label, pred)
        loss = label * jnp.log(label + 1e-12) - _times(label, pred)
        return self.weighted(loss, sample_weight).sum(self._other_axes(loss))


class CTCLoss(Loss):
    """Connectionist temporal classification (Graves et al., 2006): `-log p(label)` over all alignments with `pred`.

    Call it as `loss(pred, label, pred_lengths=None, label_lengths=None, sample_weight=None)`. The result has the shape
    (N,).

    - `pred` has the shape of `layout` and holds logits; its last class is the blank.
    - `label` has the shape of `label_layout` and holds classes from 0 on. A label ends where its first negative
      number stands, or where `label_lengths`, of shape (N,), says. A class out of range counts as the nearest one.
    - `pred_lengths`, of shape (N,), says how many steps count.

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

    def __init__(self, layout='NTC', label_layout='NT', weight=None):
        self.layout = _choice('layout', layout, 'NTC', 'TNC')
        self.label_layout = _choice('label_layout', label_layout, 'NT', 'TN')
        super().__init__(weight, label_layout.index('N'))

    def forward(self, pred, label, pred_lengths=None, label_lengths=None, sample_weight=None):
        _rank('pred', pred, self.layout)
        _rank('label', label, self.label_layout)
        pred = jnp.moveaxis(pred, self.layout.index('T'), 0)
        label = jnp.moveaxis(label, self.batch_axis, 0).astype(jnp.int32)
        steps, samples, _ = pred.shape
        if label.shape[0] != samples:
            raise ShapeError('pred and label differ in the number of samples', expected=samples, got=label.shape[0])
        if pred_lengths is None:
            pred_lengths = jnp.full(samples, steps)
        if label_lengths is None:
            label_lengths = jnp.cumprod(label >= 0, axis=1).sum(axis=1)
        pred_lengths = _lengths('pred_lengths', pred_lengths, samples, steps)
        label_lengths = _lengths('label_lengths', label_lengths, samples, label.shape[1])
        return self.weighted(_ctc(pred, label, pred_lengths, label_lengths), sample_weight)


def _ctc(logits, label, steps, lengths):
    """-log p of each label (N, L), given logits (T, N, C): one pass forward over the steps.

    Where a path stands is told by how many classes it has said, and by whether it is at a blank or at the last of
    them: `blank[n]` and `said[n]` hold the logarithms of the probabilities, `said[0]` being impossible.
    """
    counts = jnp.arange(len(logits))[:, None] < steps[None]  # what stands in the padding does not matter
    log_p = jnp.maximum(jax.nn.log_softmax(jnp.where(counts[..., None], logits, 0)), _NEVER)
    classes = jnp.clip(label, 0, logits.shape[2] - 1)
    repeated = (classes == jnp.roll(classes, 1, axis=1)) & (jnp.arange(label.shape[1]) > 0)[None]

    def after_impossible(said):  # a path that has said nothing yet
        return jnp.pad(said, ((0, 0), (1, 0)), constant_values=_NEVER)

    def step(state, now):
        counts, log_p = now
        blank, said = state
        before = after_impossible(said)
        fresh = jnp.logaddexp(blank[:, :-1], jnp.where(repeated, _NEVER, before[:, :-1]))
        news = (
            jnp.logaddexp(blank, before) + log_p[:, -1:],
            jnp.logaddexp(said, fresh) + jnp.take_along_axis(log_p, classes, axis=1),
        )
        return jax.tree.map(functools.partial(jnp.where, counts[:, None]), news, state), None

    said = jnp.full(label.shape, _NEVER, log_p.dtype)
    blank = after_impossible(said).at[:, 0].set(0)
    (blank, said), _ = lax.scan(step, (blank, said), (counts, log_p))
    total = jnp.take_along_axis(jnp.logaddexp(blank, after_impossible(said)), lengths[:, None], axis=1)[:, 0]
    needed = lengths + (repeated & (jnp.arange(label.shape[1])[None] < lengths[:, None])).sum(axis=1)
    return jnp.where(needed > steps, 0, jnp.where(total > _NEVER / 2, -total, jnp.inf))


class TripletLoss(Loss):
    """`max(0, |positive - pred|² - |negative - pred|² + margin)`, the squares summed over each sample.

    Call it as `loss(pred, positive, negative, sample_weight=None)`, all three with as many elements. MXNet 1.9 has no
    `sample_weight` here.

    Args:
        margin: by how much the negative is to be farther away than the positive; any number.
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.

    >>> TripletLoss()(jnp.array([[0.0, 0.0]]), jnp.array([[1.0, 1.0]]), jnp.array([[0.0, 1.0]]))
    Array([2.], dtype=float32)
    """

    def __init__(self, margin=1, weight=None, batch_axis=0):
        super().__init__(weight, batch_axis)
        checks.number('margin', margin)
        self.margin = margin

    def forward(self, pred, positive, negative, sample_weight=None):
        positive, negative = _like(positive, pred, 'positive'), _like(negative, pred, 'negative')
        apart = jnp.square(positive - pred) - jnp.square(negative - pred)
        return self.weighted(jax.nn.relu(apart.sum(self._other_axes(pred)) + self.margin), sample_weight)


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

    def __init__(self, weight=None, from_logits=True, batch_axis=0, compute_full=False):
        super().__init__(weight, batch_axis)
        self.from_logits, self.compute_full = from_logits, compute_full

    def forward(self, pred, target, sample_weight=None, epsilon=1e-08):
        target = _like(target, pred, 'target')
        loss = jnp.exp(pred) - target * pred if self.from_logits else pred - target * jnp.log(pred + epsilon)
        if self.compute_full:
            large = jnp.where(target > 1, target, 1)
            stirling = large * jnp.log(large) - large + 0.5 * jnp.log(2 * math.pi * large)
            loss = loss + jnp.where(target > 1, stirling, 0)
        return self.weighted(loss, sample_weight).mean().reshape(1)


class CosineEmbeddingLoss(Loss):
    """`1 - cos` for vectors that belong together, label 1, and `max(0, cos - margin)` for others, label -1.

    `cos` is `input1 · input2 / max(|input1| |input2|, 1e-12)` along the last axis. The result has the shape **(N, 1)**,
    as MXNet's has, N being the number of vectors, and so have the losses that `sample_weight` multiplies. Another label
    gives 0.

    Call it as `loss(input1, input2, label, sample_weight=None)`; `label` has N elements. The gradient of a vector of
    zeros is 0, where MXNet's is NaN.

    Args:
        weight: a number that multiplies every loss; None for none.
        batch_axis: MXNet's; vectors lie along the last axis.
        margin: the cosine up to which vectors that do not belong together are well apart; any number.

    >>> input1, input2 = jnp.array([[1.0, 0.0], [1.0, 0.0]]), jnp.array([[0.0, 1.0], [2.0, 0.0]])
    >>> CosineEmbeddingLoss()(input1, input2, jnp.array([1, -1]))
    Array([[1.],
           [1.]], dtype=float32)
    """

    def __init__(self, weight=None, batch_axis=0, margin=0):
        super().__init__(weight, batch_axis)
        checks.number('margin', margin)
        self.margin = margin

    def forward(self, input1, input2, label, sample_weight=None):
        _axis('axis', -1, input1)
        input2 = _like(input2, input1, 'input2')
        cosine = _cosine(input1, input2).reshape(-1, 1)
        if label.size != cosine.size:
            raise ShapeError('a label says one number per pair of vectors', expected=cosine.shape, got=label.shape)
        label = label.reshape(cosine.shape)
        apart = jnp.where(label == -1, jax.nn.relu(cosine - self.margin), 0)
        return self.weighted(jnp.where(label == 1, 1 - cosine, apart), sample_weight)


def _cosine(x, y):
    """Along the last axis; 0 with a gradient of 0 if one of them is zero."""
    lengths = _norm(x) * _norm(y)
    nonzero = lengths > 0
    return jnp.where(nonzero, (x * y).sum(-1), 0) / jnp.where(nonzero, jnp.maximum(lengths, 1e-12), 1)


def _norm(x):
    """Along the last axis, with a gradient of 0 at zero."""
    square = jnp.square(x).sum(-1)
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)


class SDMLLoss(Loss):
    """Batchwise smoothed deep metric learning (Bonadiman et al., arXiv:1905.12786).

    Row i of `x1` belongs to row i of `x2` and to no other. The loss of sample i is the Kullback-Leibler divergence,
    with `KLDivLoss`'s 1e-12, between the smoothed label (`1 - smoothing_parameter` for i, the rest shared by the
    others) and the softmax over j of `-|x1[i] - x2[j]|²`.

    Call it as `loss(x1, x2)`, both of shape (N, D). MXNet forgets `weight` here, and gives NaN for a batch of one; here
    `weight` counts, and a batch of one has nothing to share.

    Args:
        smoothing_parameter: the part of the label that the others share; from 0 to less than 1.
        weight: a number that multiplies every loss; None for none.
        batch_axis: MXNet's; samples are rows.

    >>> SDMLLoss()(jnp.array([[0.0], [3.0]]), jnp.array([[0.0], [3.0]]))
    Array([2.089, 2.089], dtype=float32)
    """

    def __init__(self, smoothing_parameter=0.3, weight=1.0, batch_axis=0):
        super().__init__(weight, batch_axis)
        self.smoothing_parameter = smoothing_parameter
        if not 0 <= checks.number('smoothing_parameter', smoothing_parameter) < 1:
            raise ArgumentError(
                'smoothing_parameter cannot be this', expected='a number from 0 to less than 1', got=smoothing_parameter
            )

    def forward(self, x1, x2):
        _rank('x1', x1, 'ND')
        if x1.shape != x2.shape:
            raise ShapeError('x1 and x2 are pairs of rows', expected=x1.shape, got=x2.shape)
        n = len(x1)
        own = jnp.eye(n, dtype=x1.dtype)
        label = own * (1 - self.smoothing_parameter) + (1 - own) * self.smoothing_parameter / max(n - 1, 1)
        log_p = jax.nn.log_softmax(-jnp.square(x1[:, None] - x2[None]).sum(-1), axis=1)
        return self.weighted((label * (jnp.log(label + 1e-12) - log_p)).sum(1))


# What the losses share.


def _array(x) -> Any:
    return None if x is None else jnp.asarray(x)


def _wide(array):
    """An input of `forward`: at least float32 where it is of floating point."""
    if array is None:
        return None
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise DTypeError('losses are of real numbers', got=f'{array.dtype} of shape {array.shape}')
    floating = jnp.issubdtype(array.dtype, jnp.floating)
    return array.astype(jnp.promote_types(array.dtype, jnp.float32)) if floating else array


def _like(label, pred, name='label'):
    """The label in the shape and the dtype of the prediction."""
    if label.size != pred.size:
        raise ShapeError(
            f'pred and {name} differ in size', expected=f'{name} of shape {pred.shape}, that of pred', got=label.shape
        )
    return label.reshape(pred.shape).astype(pred.dtype)


def _broadcast(name: str, weight, loss):
    """The weight in the shape and the dtype of what it multiplies."""
    try:
        return jnp.broadcast_to(weight, loss.shape).astype(loss.dtype)
    except ValueError:
        raise ShapeError(
            f'{name} does not broadcast to the losses that it multiplies',
            expected=f'{loss.shape}, or 1 for a size of it',
            got=weight.shape,
            remedy=f'{name}.reshape({(*weight.shape, *[1] * (loss.ndim - weight.ndim))}) for one weight per sample'
            if weight.ndim < loss.ndim and weight.shape == loss.shape[: weight.ndim]
            else None,
        ) from None


def _axis(name: str, axis: int, x) -> int:
    """The axis, counted from the first."""
    if not -x.ndim <= axis < x.ndim:
        raise ShapeError(f'{name}={axis} is no axis of the input', got=x.shape)
    return axis % x.ndim


def _rank(name: str, x, layout: str) -> None:
    if x.ndim != len(layout):
        raise ShapeError(f'{name} has the wrong number of axes', expected=f'{len(layout)} ({layout})', got=x.shape)


def _choice(name: str, value, *known: str) -> str:
    if value not in known:
        raise ArgumentError(f'{name} is unknown', expected=f'one of {known}', got=repr(value))
    return value


def _classes(label, pred, axis: int):
    """The numbers of classes as indices along `axis`, the nearest where they are out of range."""
    kept = (*pred.shape[:axis], 1, *pred.shape[axis + 1 :])
    squeezed = (*pred.shape[:axis], *pred.shape[axis + 1 :])
    if label.shape not in (kept, squeezed):
        distributions = label.shape == pred.shape
        raise ShapeError(
            'labels with sparse_label=True are the numbers of classes',
            expected=f'label of shape {squeezed} or {kept} beside pred {pred.shape}',
            got=label.shape,
            remedy='sparse_label=False takes distributions over the classes' if distributions else None,
        )
    last = pred.shape[axis] - 1
    if jnp.issubdtype(label.dtype, jnp.integer):
        last = min(last, jnp.iinfo(label.dtype).max)
    return jnp.clip(label, 0, last).astype(jnp.int32).reshape(kept)


def _lengths(name: str, lengths, samples: int, most: int):
    """One whole number per sample, at most `most`."""
    if lengths.shape != (samples,):
        raise ShapeError(f'{name} says one number per sample', expected=(samples,), got=lengths.shape)
    return jnp.clip(lengths.astype(jnp.int32), 0, most)


def _times(factor, logarithm):
    """Their product, where nothing times an infinite logarithm is nothing."""
    return factor * jnp.where((factor == 0) & jnp.isinf(logarithm), 0, logarithm)
