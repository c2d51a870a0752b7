"""`mx.autograd`: what runs under `record` is recorded, and `backward` writes gradients.

>>> from gluonjax.mx import autograd, nd
>>> x = nd.array([1, 2, 3])
>>> x.attach_grad()
>>> with autograd.record():
...     y = (x * x).sum()
>>> y.backward()
>>> x.grad.asnumpy()
array([2., 4., 6.], dtype=float32)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gluonjax.errors import ArgumentError, GluonError
from gluonjax.mx import tape
from gluonjax.mx.array import NDArray, head_gradient
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.recorded import get_symbol
from gluonjax.mx.tape import Scoped, Tracked

__all__ = [
    'Function',
    'backward',
    'get_symbol',
    'grad',
    'is_recording',
    'is_training',
    'mark_variables',
    'pause',
    'predict_mode',
    'record',
    'set_recording',
    'set_training',
    'train_mode',
]
Arrays = NDArray | Sequence[NDArray]


def record(train_mode: bool = True) -> Scoped:
    """A `with` block in which operations are recorded."""
    return Scoped(True, train_mode)


def pause(train_mode: bool = False) -> Scoped:
    """A `with` block in which they are not."""
    return Scoped(False, train_mode)


def train_mode() -> Scoped:
    """A `with` block in which layers train."""
    return Scoped(None, True)


def predict_mode() -> Scoped:
    """A `with` block in which layers predict."""
    return Scoped(None, False)


def is_recording() -> bool:
    """Whether operations are recorded."""
    return tape.scope().recording


def is_training() -> bool:
    """Whether layers train."""
    return tape.scope().training


def set_recording(is_recording: bool) -> bool:
    """Switches recording, and returns what it was."""
    return tape.enter(is_recording, None).recording


def set_training(train_mode: bool) -> bool:
    """Switches training, and returns what it was."""
    return tape.enter(None, train_mode).training


def mark_variables(variables: Arrays, gradients: Arrays, grad_reqs: str | Sequence[str] = 'write') -> None:
    """Makes arrays variables, whose gradients are written into other arrays.

    Raises:
        ArgumentError: for lists of unequal lengths.
    """
    marked, buffers = _listed(variables), _listed(gradients)
    requests = [grad_reqs] * len(marked) if isinstance(grad_reqs, str) else list(grad_reqs)
    if not len(marked) == len(buffers) == len(requests):
        lengths = f'{len(marked)}, {len(buffers)}, {len(requests)}'
        raise ArgumentError('there is one gradient and one request for each variable', got=lengths)
    for variable, gradient, request in zip(marked, buffers, requests, strict=True):
        variable.mark(gradient, request)


def backward(
    heads: Arrays,
    head_grads: NDArray | Sequence[NDArray | None] | None = None,
    retain_graph: bool = False,
    train_mode: bool = True,
) -> None:
    """Writes the gradients of variables, of the sum of all elements of the heads.

    Args:
        heads: what is differentiated.
        head_grads: what each element counts, of the shapes of the heads; 1 by default.
        retain_graph: whether `backward` can be called again.
        train_mode: accepted; what was recorded is differentiated as it ran.
    """
    listed = _listed(heads)
    tape.run_backward([x.tracked for x in listed], _head_gradients(listed, head_grads), retain_graph, train_mode)


def grad(
    heads: Arrays,
    variables: Arrays,
    head_grads: NDArray | Sequence[NDArray | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    train_mode: bool = True,
) -> list[NDArray]:
    """The gradients of variables, which are not written anywhere: a list of them.

    Args:
        heads: what is differentiated.
        variables: arrays on the tape.
        head_grads: what each element of the heads counts.
        retain_graph: whether the tape can be used again; as `create_graph` by default.
        create_graph: whether the gradients are recorded, so that they can be differentiated.
        train_mode: accepted; what was recorded is differentiated as it ran.

    Raises:
        ArgumentError: for a variable on no tape, or one on which the heads do not depend.

    >>> from gluonjax.mx import autograd, nd
    >>> x = nd.array([3])
    >>> x.attach_grad()
    >>> with autograd.record():
    ...     (slope,) = autograd.grad(x**3, x, create_graph=True)
    >>> slope.backward()
    >>> x.grad.asscalar()
    np.float32(18.0)
    """
    listed, wanted = _listed(heads), _listed(variables)
    entries = [variable.entry for variable in wanted if variable.entry is not None]
    if len(entries) < len(wanted):
        raise ArgumentError('a variable is on no tape', remedy='x.attach_grad() before recording')
    retain = create_graph if retain_graph is None else retain_graph
    with Scoped(create_graph, train_mode):
        found = tape.differentiate(
            [x.tracked for x in listed], _head_gradients(listed, head_grads), frozenset(entries), retain, create_graph
        )
    unreached = [i for i, entry in enumerate(entries) if entry not in found]
    if unreached:
        raise ArgumentError(f'the heads do not depend on variable {unreached[0]}')
    return [variable.like(found[entry]) for variable, entry in zip(wanted, entries, strict=True)]


class Function:
    """An operation with a gradient of one's own: `forward` and `backward` are yours.

    >>> from gluonjax.mx import autograd, nd
    >>> class Twice(autograd.Function):
    ...     def forward(self, x):
    ...         return 2 * x
    ...
    ...     def backward(self, dy):
    ...         return 20 * dy
    >>> x = nd.array([1])
    >>> x.attach_grad()
    >>> with autograd.record():
    ...     y = Twice()(x)
    >>> y.backward()
    >>> y.asscalar(), x.grad.asscalar()
    (np.float32(2.0), np.float32(20.0))
    """

    def __init__(self) -> None:
        self.saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *args: Any) -> None:
        """Keeps arrays as `self.saved_tensors`."""
        self.saved_tensors = args

    def forward(self, *inputs: Any) -> Any:
        """The outputs: an array or several."""
        raise NotImplementedError('forward')

    def backward(self, *output_grads: Any) -> Any:
        """The gradients of the inputs, from those of the outputs."""
        raise NotImplementedError('backward')

    def __call__(self, *inputs: NDArray) -> Any:
        """Runs `forward`; recorded, its gradient is `backward`."""
        recording = is_recording()
        with pause(is_training()):
            results = self.forward(*inputs)
        single = isinstance(results, NDArray)
        outputs = _listed(results)
        wanted = tuple(i for i, x in enumerate(inputs) if x.tracked.is_recorded and tape.is_inexact(x.value))
        if not recording or not wanted:
            return results
        arrays = [output.value for output in outputs]
        inexact = [output for output in outputs if tape.is_inexact(output.value)]

        def pull(cotangents: list[jax.Array]) -> list[jax.Array]:
            given = self.backward(*(x.like(Tracked(ct)) for x, ct in zip(inexact, cotangents, strict=True)))
            gradients = _listed(given)
            if len(gradients) != len(inputs):
                what = f'backward of {type(self).__name__} gives one gradient for each input'
                raise GluonError(what, expected=len(inputs), got=len(gradients))
            return [jnp.asarray(gradients[i].value, inputs[i].value.dtype) for i in wanted]

        node = tape.Node(type(self).__name__, [x.tracked for x in inputs], wanted, arrays, pull)
        tracked = [x.like(new) for x, new in zip(outputs, tape.attach(node, arrays), strict=True)]
        return tracked[0] if single else tracked


def _listed(arrays: Any) -> list[NDArray]:
    return [arrays] if isinstance(arrays, NDArray) else list(arrays)


def _head_gradients(heads: list[NDArray], given: Any) -> list[Tracked]:
    gradients = [given] * len(heads) if given is None or isinstance(given, NDArray) else list(given)
    if len(gradients) != len(heads):
        raise ArgumentError('there is one head gradient for each head', expected=len(heads), got=len(gradients))
    return [head_gradient(head, gradient) for head, gradient in zip(heads, gradients, strict=True)]


explain_calls(globals())
