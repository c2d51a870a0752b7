"""What a step makes of its loss: one of Gluon's, a function of all outputs and labels, or a dict of them by output."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

from gluonjax.arrays import is_array
from gluonjax.errors import ArgumentError
from gluonjax.keywords import call_text
from gluonjax.loss import Loss
from gluonjax.refusals import takes

LossLike = Callable[..., Any] | Mapping[str, Callable[..., Any]]


def check_loss(loss: Any) -> None:
    """Refuses what is no loss.

    Raises:
        ArgumentError: naming what is wrong.
    """
    losses = loss if isinstance(loss, Mapping) else {'': loss}
    if not losses:
        raise ArgumentError('a dict of losses has none', expected="loss={'output': L2Loss(), ...}", got=loss)
    for name, one in losses.items():
        what = f'the loss {name!r}' if name else 'the loss'
        if not callable(one):
            raise ArgumentError(f'{what} cannot be called', expected='loss(output, label)', got=repr(one))
        if not isinstance(one, Loss | type) and not _takes_two(one):
            raise ArgumentError(f'{what} takes other arguments', expected='loss(output, label)', got=repr(one))
        if isinstance(one, type):
            remedy = f'an object of it: {one.__name__}()'
            raise ArgumentError(f'{what if name else "this"} is the class of a loss', got=one.__name__, remedy=remedy)


def _takes_two(loss: Any) -> bool:
    try:
        return takes(loss, ('output', 'label'), {})
    except ValueError:  # a function of C, which does not say what it takes
        return True


def losses_of(loss: LossLike, output: Any, label: Any) -> Iterator[tuple[str, Any, Any, int]]:
    """The losses of samples that each loss gives: with its name ('' of a single one), its label and its batch axis."""
    for name, one, pred, target in _parts(loss, output, label):
        yield name, _called(one, pred, target), target, getattr(one, 'batch_axis', 0)


def checkable(loss: LossLike, output: Any = None, label: Any = None) -> Iterator[tuple[Loss, Any, Any]]:
    """Each of Gluon's losses with the output and the label that it checks, where both are arrays."""
    for _, one, pred, target in _parts(loss, output, label):
        outputs, target = _several(pred), _several(target)[0]
        if isinstance(one, Loss) and one.labelled_output < len(outputs):
            pred = outputs[one.labelled_output]
            if is_array(pred) and is_array(target):
                yield one, pred, target


def checks_labels(loss: LossLike) -> bool:
    """Whether a loss can say which labels it takes."""
    losses = loss.values() if isinstance(loss, Mapping) else [loss]
    return any(isinstance(one, Loss) and type(one).allowed_labels is not Loss.allowed_labels for one in losses)


def _parts(loss: LossLike, output: Any, label: Any) -> Iterator[tuple[str, Any, Any, Any]]:
    """Each loss with its name, its output and its label."""
    if not isinstance(loss, Mapping):
        yield '', loss, output, label
        return
    for what, tree in (('the outputs', output), ('the labels', label)):
        if not isinstance(tree, Mapping) or not loss.keys() <= tree.keys():
            raise ArgumentError(
                f'each loss of a dict has an output and a label of its name, and {what} have not all of them',
                expected=f'a dict with {sorted(loss)}',
                got=f'a dict with {sorted(tree)}' if isinstance(tree, Mapping) else type(tree).__name__,
                remedy="forward returns {'a': ..., 'b': ...}, and the batch is (x, {'a': ..., 'b': ...})",
            )
    for name, one in loss.items():
        yield name, one, output[name], label[name]


def _several(tree: Any) -> tuple[Any, ...]:
    return tuple(tree) if isinstance(tree, tuple | list) and tree else (tree,)


def _called(loss: Any, output: Any, label: Any) -> Any:
    """What a loss gives: Gluon's are called with each output and each label, a function with all of them."""
    if not isinstance(loss, Loss):
        return loss(output, label)
    arrays = (*_several(output), *_several(label))
    try:
        inspect.signature(loss.forward).bind(*arrays)
        fits = all(map(is_array, arrays))
    except TypeError:
        fits = False
    if not fits:
        raise ArgumentError(
            f'{loss!r} takes other outputs and labels, each an array',
            expected=call_text(type(loss).__name__, loss.forward),
            got=f'outputs {jax.tree.map(_shape, output)} and labels {jax.tree.map(_shape, label)}',
            remedy='a function loss(outputs, labels) takes all that the network returns, and all labels; '
            "loss={'name': ...} has one for each output of a dict",
        )
    return loss.per_sample(*arrays)


def _shape(leaf: Any) -> Any:
    return getattr(leaf, 'shape', leaf)
