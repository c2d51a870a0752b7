"""The loss of a linear layer and a softmax together, in chunks."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.ad_checkpoint import checkpoint_name
from jax.typing import DTypeLike

from gluonjax import checks
from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.loss.base import Loss

_SUMS = 'sums of a softmax'  # what the backward pass keeps of a chunk, one number for each token


class LinearSoftmaxCrossEntropyLoss(Loss):
    """`SoftmaxCrossEntropyLoss` of `x @ weight.T + bias`, which never holds all logits: for large vocabularies.

    It is called with the three outputs of `nn.DenseFactors`, and labels. Logits are computed for a chunk of tokens at a
    time, and again in the backward pass: 50,000 words at 16,384 tokens would be 3.3 GB, in chunks of 1,024 they are
    0.2 GB. Values and gradients are those of the two in a row, to rounding, in float32 at least.

    Labels are the numbers of classes, of the shape of `x` without its last axis; one out of range is taken as the
    nearest, and refused by a Trainer. The losses that `sample_weight` multiplies have the shape of the labels and one
    axis of 1 more.

    Args:
        chunk: how many tokens have logits at one moment.
        ignore_label: a label that counts nothing; the loss of a sample is then the mean over its other labels, and 0
            if there are none. None for none.
        dtype: what is multiplied in, with sums in float32; None for float32, or float64 where inputs are. With
            `Trainer(..., precision='bfloat16')`, give 'bfloat16'.
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.

    Raises:
        ArgumentError: if an argument has a value that is not allowed.
        ShapeError: when called, if shapes do not fit each other.
        DTypeError: when called, if `x` is not of floating point.

    >>> from gluonjax import Trainer, nn
    >>> net = nn.Sequential(nn.Embedding(1000, 8), nn.DenseFactors(1000))
    >>> net.initialize(key=0)
    >>> tokens = jnp.array([[4, 7, 1], [3, 2, 2]])
    >>> loss = Trainer(net, LinearSoftmaxCrossEntropyLoss(chunk=2), 'adam').step(tokens[:, :-1], tokens[:, 1:])
    >>> bool(abs(loss - jnp.log(1000)) < 0.01)
    True
    """

    labelled_output: ClassVar[int] = 1  # the weight, with a row for each class

    def __init__(
        self,
        chunk: int = 1024,
        ignore_label: int | None = None,
        dtype: DTypeLike | None = None,
        weight: float | None = None,
        batch_axis: int = 0,
    ) -> None:
        super().__init__(weight, batch_axis)
        self.chunk: int = checks.size('chunk', chunk)
        self.ignore_label: int | None = (
            None if ignore_label is None else checks.size('ignore_label', ignore_label, least=None)
        )
        self.dtype: str | None = None if dtype is None else _name(dtype)

    def allowed_labels(self, pred_shape: tuple[int, ...], label: Any) -> tuple[Any, str] | None:
        """As of any loss; `pred_shape` is that of the weight."""
        classes, ignored = pred_shape[0], '' if self.ignore_label is None else f', or {self.ignore_label}'
        is_class = (label >= 0) & (label < classes) & (label // 1 == label)
        allowed = is_class if self.ignore_label is None else is_class | (label == self.ignore_label)
        return allowed, f'ints from 0 to {classes - 1}, for {classes} classes{ignored}'

    def forward(self, x: Array, weight: Array, bias: Array, label: Array, sample_weight: Array | None = None) -> Array:
        _check_shapes(x, weight, bias, label)
        dtype = x.dtype if self.dtype is None else self.dtype
        tokens, labels = x.reshape(-1, x.shape[-1]), label.reshape(-1).astype(jnp.int32)
        nearest = jnp.clip(labels, 0, len(weight) - 1)
        losses = _losses(tokens.astype(dtype), weight, bias, nearest, min(self.chunk, max(len(tokens), 1)), dtype)
        losses = losses.reshape(*x.shape[:-1], 1)
        if self.ignore_label is None:
            return self.mean(losses, sample_weight)
        valid = label.reshape(losses.shape) != self.ignore_label
        axes = self.other_axes(losses)
        total = self.weighted(jnp.where(valid, losses, 0), sample_weight).sum(axes)
        return total / jnp.maximum(valid.sum(axes), 1)


def _name(dtype: DTypeLike) -> str:
    try:
        if jnp.issubdtype(dtype, jnp.floating):
            return jnp.dtype(dtype).name
    except TypeError:
        pass
    raise ArgumentError('this is no dtype of floating point', expected="one such as 'bfloat16'", got=repr(dtype))


def _check_shapes(x: Array, weight: Array, bias: Array, label: Array) -> None:
    if weight.ndim != 2 or x.ndim < 2 or x.shape[-1] != weight.shape[1] or bias.shape != weight.shape[:1]:
        raise ShapeError(
            'x, weight and bias are no linear layer',
            expected='(N, ..., C), (classes, C) and (classes,)',
            got=f'{x.shape}, {weight.shape} and {bias.shape}',
            remedy='nn.DenseFactors(classes) at the end of the network returns the three',
        )
    if label.shape not in (x.shape[:-1], (*x.shape[:-1], 1)):
        raise ShapeError('labels are the numbers of classes', expected=x.shape[:-1], got=label.shape)


def _losses(tokens: Array, weight: Array, bias: Array, labels: Array, chunk: int, dtype: Any) -> Array:
    """The losses of tokens (M, C) with labels (M,), of which `chunk` at a time have logits."""
    count = len(tokens)
    chunks = -(-count // chunk)
    padding = chunk * chunks - count

    def in_chunks(array: Array) -> Array:
        """(M, ...) -> (chunks, chunk, ...); of tokens of all samples, so that batches stay cut."""
        padded = jnp.pad(array, ((0, padding), *((0, 0),) * (array.ndim - 1)))
        return padded.reshape(chunk, chunks, *array.shape[1:]).swapaxes(0, 1)

    narrow = weight.astype(dtype)

    @functools.partial(jax.checkpoint, policy=jax.checkpoint_policies.save_only_these_names(_SUMS), prevent_cse=False)
    def losses_of(tokens: Array, labels: Array, weight: Array, narrow: Array, bias: Array) -> Array:
        logits = _product(tokens, weight, narrow)
        return _cross_entropy(logits + bias.astype(logits.dtype)[None], labels)

    def step(_: None, chunk_of: tuple[Array, Array]) -> tuple[None, Array]:
        return None, losses_of(*chunk_of, weight, narrow, bias)

    _, losses = lax.scan(step, None, (in_chunks(tokens), in_chunks(labels)))
    return losses.swapaxes(0, 1).reshape(-1)[:count]


@jax.custom_jvp
def _product(tokens: Array, weight: Array, narrow: Array) -> Array:
    """`tokens @ weight.T`, in float32 at least, by the weight in the dtype of the tokens.

    Gradients are products in that dtype, and those of the weight are summed in its own.
    """
    return _dot(tokens, narrow, checks.at_least_float32(tokens.dtype))


@_product.defjvp
def _product_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    (tokens, _, narrow), (token_slopes, weight_slopes, _) = primals, tangents
    logits = _product(*primals)
    slopes = _dot(token_slopes, narrow), _dot(tokens, weight_slopes.astype(narrow.dtype))
    return logits, slopes[0].astype(logits.dtype) + slopes[1].astype(logits.dtype)


def _dot(tokens: Array, weight: Array, dtype: Any = None) -> Array:
    return lax.dot_general(tokens, weight, (((1,), (1,)), ((), ())), preferred_element_type=dtype)


@jax.custom_jvp
def _cross_entropy(logits: Array, labels: Array) -> Array:
    """The losses (M,) of logits (M, classes), whose gradient is one pass over them."""
    return _with_exponentials(logits, labels)[0]


@_cross_entropy.defjvp
def _cross_entropy_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Any]) -> tuple[Array, Array]:
    (logits, labels), (slopes, _) = primals, tangents
    losses, top, total = _with_exponentials(logits, labels)
    wanted = labels[:, None] == jnp.arange(logits.shape[1], dtype=labels.dtype)[None]
    return losses, (slopes * (jnp.exp(logits - top) / total - wanted)).sum(1)


def _with_exponentials(logits: Array, labels: Array) -> tuple[Array, Array, Array]:
    """The losses; the largest logits (M, 1), and the sums (M, 1) of the exponentials of what is below them."""
    top = checkpoint_name(lax.stop_gradient(logits.max(1, keepdims=True)), _SUMS)
    total = checkpoint_name(jnp.exp(logits - top).sum(1, keepdims=True), _SUMS)
    picked = jnp.take_along_axis(logits, labels[:, None], 1)
    return (jnp.log(total) + top - picked)[:, 0], top, total
