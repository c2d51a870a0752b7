"""Loss: the base of losses."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from gluonjax import checks
from gluonjax.arrays import admit
from gluonjax.config import Frozen
from gluonjax.errors import ArgumentError, DataError, DTypeError, GluonError, KeywordError
from gluonjax.lazy import suggests_keywords
from gluonjax.loss.inputs import axis_of, broadcast


class Loss(Frozen):
    """The base of losses: a configuration without parameters, and `forward`, a pure function of arrays.

    A loss is immutable. Two are equal if they are of one class and made with equal arguments, and equal ones have
    equal hashes: a loss may be a static argument of `jax.jit`.

    Args:
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples; a loss averages over all others.

    Raises:
        ArgumentError: if an argument has a value that is not allowed.
        ShapeError: in a call, if the shapes of the inputs do not fit each other.
        DTypeError: in a call, if the prediction is not of floating point.

    A loss of your own overrides `forward`:

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

    mixes_samples: ClassVar[bool] = False  # whether the loss of a sample depends on the others of its batch
    labelled_output: ClassVar[int] = 0  # of a network's outputs, the one whose shape `allowed_labels` is given

    def __init__(self, weight: float | None, batch_axis: int) -> None:
        if weight is not None:
            checks.number('weight', weight)
        self.weight: float | None = weight
        self.batch_axis: int = checks.size('batch_axis', batch_axis, least=None)

    def forward(self, *inputs: Any, **named: Any) -> Array:
        """What the loss computes. Inputs are JAX arrays or None, those of half precision already in float32."""
        raise ArgumentError(
            f'{type(self).__name__} computes nothing', remedy='override forward(self, pred, label, ...)'
        )

    @suggests_keywords
    def __call__(self, *inputs: ArrayLike | None, **named: ArrayLike | None) -> Array:
        return self.checked_call(self.forward, inputs, named)

    def per_sample(self, *inputs: ArrayLike | None, **named: ArrayLike | None) -> Array:
        """The losses of a training step: one number for each sample, whose mean over the batch is minimized."""
        return self(*inputs, **named)

    def checked_call(self, forward: Callable[..., Array], inputs: tuple[Any, ...], named: dict[str, Any]) -> Array:
        """What `forward`, or a function like it, gives on wide floats, in the dtype of the prediction."""
        try:
            call = bound_inputs(inspect.signature(forward), inputs, named)
            arrays, others = [_array(x) for x in call.args], {name: _array(x) for name, x in call.kwargs.items()}
            dtype = arrays[0].dtype
            if not jnp.issubdtype(dtype, jnp.floating):
                raise DTypeError('a prediction is of floating point', got=dtype, remedy="pred.astype('float32')")
            return forward(*map(_wide, arrays), **{name: _wide(x) for name, x in others.items()}).astype(dtype)
        except GluonError as error:
            raise type(error)(f'{self}: {error}') from None

    def allowed_labels(self, pred_shape: tuple[int, ...], label: Any) -> tuple[Any, str] | None:
        """Which labels this loss is defined for, where it can tell; with operators alone, so inside `jit` too.

        Args:
            pred_shape: the shape of the prediction.
            label: the labels, in an array of NumPy or JAX.

        Returns:
            An array of bool in the shape of `label`, and in words which labels are allowed; or None.
        """

    def check_labels(self, pred_shape: tuple[int, ...], label: ArrayLike) -> None:
        """Refuses labels that this loss is not defined for, where it can tell; values are looked at on the host.

        Args:
            pred_shape: the shape of the prediction.
            label: the labels, in an array.

        Raises:
            DataError: naming the first such label, and what is allowed.
        """
        labels = np.asarray(label)
        allowed = self.allowed_labels(pred_shape, labels)
        if allowed is not None and not allowed[0].all():
            invalid = ~allowed[0]
            index = np.argwhere(invalid)[0].tolist()
            raise DataError(
                f'{self}: {labels[tuple(index)]} is no label ({invalid.sum()} of {labels.size} are none)',
                expected=allowed[1],
                got=f'{labels[tuple(index)]} at {index} of labels of shape {labels.shape}',
            )

    def weighted(self, loss: Array, sample_weight: Array | None = None) -> Array:
        """`loss * sample_weight * weight`, in the shape of `loss`."""
        if sample_weight is not None:
            loss = loss * broadcast('sample_weight', sample_weight, loss)
        return loss if self.weight is None else loss * self.weight

    def mean(self, loss: Array, sample_weight: Array | None = None) -> Array:
        """The weighted mean over all axes but the samples'."""
        return self.weighted(loss, sample_weight).mean(self.other_axes(loss))

    def other_axes(self, x: Array) -> tuple[int, ...]:
        """All axes but that of samples."""
        batch_axis = axis_of('batch_axis', self.batch_axis, x)
        return tuple(axis for axis in range(x.ndim) if axis != batch_axis)

    def hybridize(self, active: bool = True, **options: Any) -> None:
        """Does nothing, as Gluon programs call it: a loss is a pure function, and `jax.jit` compiles it."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *sorted(vars(self).items())))


def bound_inputs(
    signature: inspect.Signature, inputs: tuple[Any, ...], named: dict[str, Any]
) -> inspect.BoundArguments:
    """The inputs of a loss under their names.

    Raises:
        KeywordError: for another number of them, or another name.
        ArgumentError: if one that has no default is None.
    """
    try:
        call = signature.bind(*inputs, **named)
    except TypeError as error:
        raise KeywordError(str(error), expected=', '.join(signature.parameters)) from None
    for name, value in call.arguments.items():
        if value is None and signature.parameters[name].default is inspect.Parameter.empty:
            raise ArgumentError(f'{name} must be an array, got None')
    return call


def _array(x: Any) -> Any:
    try:
        return None if x is None else jnp.asarray(admit(x))
    except (TypeError, ValueError, OverflowError):
        got = f'{type(x).__name__} {x!r:.60}'
        raise ArgumentError('inputs are arrays of numbers', got=got, remedy='jnp.asarray(x), of one shape') from None


def _wide(array: Array | None) -> Array | None:
    """An input of `forward`: at least float32 where it is of floating point."""
    if array is None:
        return None
    if jnp.iscomplexobj(array):
        raise DTypeError('losses are of real numbers', got=f'{array.dtype} of shape {array.shape}')
    floating = jnp.issubdtype(array.dtype, jnp.floating)
    return array.astype(checks.at_least_float32(array.dtype)) if floating else array
