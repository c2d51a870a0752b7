"""Losses of symbols: the operators that a loss of Gluon is in a graph of MXNet's."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from gluonjax import loss as losses
from gluonjax.errors import ArgumentError
from gluonjax.loss import Loss
from gluonjax.loss.base import bound_inputs
from gluonjax.mx.symbol import Symbol
from gluonjax.mx.symbol import op as F

_GRAPHS: dict[type[Loss], Callable[..., Symbol]] = {}
_Graph = Callable[..., Symbol]


def graph_of(loss: Loss) -> _Graph:
    """The function of symbols that builds the graph of a loss.

    >>> from gluonjax import loss
    >>> from gluonjax.mx import sym
    >>> graph_of(loss.L2Loss())(sym.var('pred'), sym.var('label')).list_arguments()
    ['label', 'pred']

    Raises:
        ArgumentError: if MXNet's operators do not make up this loss.
    """
    for cls in type(loss).__mro__:
        if cls in _GRAPHS:
            return functools.partial(_built, _GRAPHS[cls], loss)
    known = ', '.join(sorted(cls.__name__ for cls in _GRAPHS))
    raise ArgumentError(
        f'{type(loss).__name__} has no graph of symbols', expected=known, remedy='call it with mx.nd.array(x)'
    )


def _built(graph: _Graph, loss: Loss, *inputs: Any, **named: Any) -> Symbol:
    given = bound_inputs(inspect.signature(loss.forward), inputs, named)
    return graph(loss, *given.args, **given.kwargs)


def _of(cls: type[Loss]) -> Callable[[_Graph], _Graph]:
    """Registers the graph of a class of losses."""
    return lambda graph: _GRAPHS.setdefault(cls, graph)


def _of_samples(cls: type[Loss], reduce: str = 'mean', reshape: bool = True) -> Callable[[_Graph], _Graph]:
    """Registers what a loss computes of each element; samples' weights and the reduction over a sample follow."""

    def register(elements: _Graph) -> _Graph:
        def graph(
            loss: Any, pred: Symbol, label: Symbol, sample_weight: Symbol | None = None, *others: Any, **named: Any
        ) -> Symbol:
            label = F.reshape_like(label, pred) if reshape else label
            weighted = _weighted(loss, elements(loss, pred, label, *others, **named), sample_weight)
            return getattr(F, reduce)(weighted, axis=loss.batch_axis, exclude=True)

        _GRAPHS[cls] = graph
        return elements

    return register


def _weighted(loss: Any, values: Symbol, sample_weight: Symbol | None) -> Symbol:
    values = values if sample_weight is None else F.broadcast_mul(values, sample_weight)
    return values if loss.weight is None else values * loss.weight


def _softplus(x: Symbol) -> Symbol:
    return F.Activation(x, act_type='softrelu')


def _logistic(pred: Symbol, target: Symbol) -> Symbol:
    """Of logits, with targets in [0, 1]: `log(1 + exp(pred)) - pred * target`, without overflow."""
    return F.relu(pred) - pred * target + _softplus(-F.abs(pred))


@_of_samples(losses.L1Loss)
def _l1(loss: Any, pred: Symbol, label: Symbol) -> Symbol:
    return F.abs(label - pred)


@_of_samples(losses.L2Loss)
def _l2(loss: Any, pred: Symbol, label: Symbol) -> Symbol:
    return F.square(label - pred) / 2


@_of_samples(losses.HuberLoss)
def _huber(loss: Any, pred: Symbol, label: Symbol) -> Symbol:
    error = F.abs(label - pred)
    return F.where(error > loss.rho, error - loss.rho / 2, F.square(error) * (0.5 / loss.rho))


@_of_samples(losses.HingeLoss)
def _hinge(loss: Any, pred: Symbol, label: Symbol) -> Symbol:
    return F.relu(loss.margin - pred * label)


@_of_samples(losses.SquaredHingeLoss)
def _squared_hinge(loss: Any, pred: Symbol, label: Symbol) -> Symbol:
    return F.square(_hinge(loss, pred, label))


@_of_samples(losses.LogisticLoss)
def _logistic_loss(loss: Any, pred: Symbol, label: Symbol) -> Symbol:
    return _logistic(pred, (label + 1) / 2 if loss.label_format == 'signed' else label)


@_of_samples(losses.SigmoidBinaryCrossEntropyLoss)
def _sigmoid(loss: Any, pred: Symbol, label: Symbol, pos_weight: Symbol | None = None) -> Symbol:
    if loss.from_sigmoid:
        positive = F.log(pred + 1e-12) * label
        positive = positive if pos_weight is None else F.broadcast_mul(positive, pos_weight)
        return -(positive + F.log(1 - pred + 1e-12) * (1 - label))
    if pos_weight is None:
        return _logistic(pred, label)
    scale = F.broadcast_mul(pos_weight - 1, label) + 1
    return pred - pred * label + scale * (_softplus(-F.abs(pred)) + F.relu(-pred))


@_of_samples(losses.KLDivLoss, reduce='sum', reshape=False)
def _kl(loss: Any, pred: Symbol, label: Symbol) -> Symbol:
    return label * (F.log(label + 1e-12) - (pred if loss.from_logits else F.log_softmax(pred, axis=loss.axis)))


@_of_samples(losses.SoftmaxCrossEntropyLoss, reshape=False)
def _softmax(loss: Any, pred: Symbol, label: Symbol) -> Symbol:
    log_p = pred if loss.from_logits else F.log_softmax(pred, axis=loss.axis)
    if loss.sparse_label:
        return -F.pick(log_p, label, axis=loss.axis, keepdims=True)
    return -F.sum(log_p * F.reshape_like(label, pred), axis=loss.axis, keepdims=True)


@_of(losses.PoissonNLLLoss)
def _poisson(
    loss: Any, pred: Symbol, target: Symbol, sample_weight: Symbol | None = None, epsilon: float = 1e-8
) -> Symbol:
    target = F.reshape_like(target, pred)
    values = F.exp(pred) - target * pred if loss.from_logits else pred - target * F.log(pred + epsilon)
    if loss.compute_full:
        stirling = target * F.log(target) - target + F.log(target * 6.283185307179586) / 2
        values = values + stirling * (target > 1)
    return F.mean(_weighted(loss, values, sample_weight))


@_of(losses.TripletLoss)
def _triplet(
    loss: Any, pred: Symbol, positive: Symbol, negative: Symbol, sample_weight: Symbol | None = None
) -> Symbol:
    near, far = (F.square(F.reshape_like(x, pred) - pred) for x in (positive, negative))
    gap = F.sum(near - far, axis=loss.batch_axis, exclude=True)
    return _weighted(loss, F.relu(gap + loss.margin), sample_weight)


@_of(losses.CosineEmbeddingLoss)
def _cosine(loss: Any, input1: Symbol, input2: Symbol, label: Symbol, sample_weight: Symbol | None = None) -> Symbol:
    input1, label = F.reshape_like(input1, input2), F.reshape(label, shape=(-1, 1))
    dot, norm1, norm2 = (
        F.reshape(x, shape=(-1, 1))
        for x in (F.sum(input1 * input2, axis=-1), F.norm(input1, axis=-1), F.norm(input2, axis=-1))
    )
    cosine = dot / F.clip(norm1 * norm2, a_min=1e-12, a_max=3e38)
    values = (1 - cosine) * (label == 1) + F.relu((label == -1) * (cosine - loss.margin))
    return _weighted(loss, values, sample_weight)


@_of(losses.CTCLoss)
def _ctc(
    loss: Any,
    pred: Symbol,
    label: Symbol,
    pred_lengths: Symbol | None = None,
    label_lengths: Symbol | None = None,
    sample_weight: Symbol | None = None,
) -> Symbol:
    lengths = {'data_lengths': pred_lengths, 'label_lengths': label_lengths}
    values = F.CTCLoss(
        F.swapaxes(pred, dim1=0, dim2=1) if loss.layout == 'NTC' else pred,
        F.swapaxes(label, dim1=0, dim2=1) if loss.label_layout == 'TN' else label,
        **{name: x for name, x in lengths.items() if x is not None},
        use_data_lengths=pred_lengths is not None,
        use_label_lengths=label_lengths is not None,
        blank_label='last',
    )
    return _weighted(loss, values, sample_weight)
