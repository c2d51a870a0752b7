"""`mx.contrib.autograd`: gradients by functions, as before there was `mx.autograd`.

>>> from gluonjax.mx import nd
>>> slope, value = grad_and_loss(lambda x: x * x)(nd.array([3]))
>>> slope[0].asscalar(), value.asscalar()
(np.float32(6.0), np.float32(9.0))
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from gluonjax.errors import DTypeError
from gluonjax.mx import autograd
from gluonjax.mx.array import NDArray
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.tape import Scoped, enter

mark_variables: Callable[..., None] = autograd.mark_variables


def set_is_training(is_train: bool) -> bool:
    """Switches recording and training together, and returns whether layers trained."""
    return enter(is_train, is_train).training


def train_section() -> Scoped:
    """A `with` block in which operations are recorded and layers train."""
    return Scoped(True, True)


def test_section() -> Scoped:
    """A `with` block in which they are not, and do not."""
    return Scoped(False, False)


def backward(outputs: Sequence[NDArray], out_grads: Any = None, retain_graph: bool = False) -> None:
    """Writes the gradients of variables, of the sum of all elements of the outputs."""
    autograd.backward(outputs, out_grads, retain_graph)


def compute_gradient(outputs: Sequence[NDArray]) -> None:
    """`backward`."""
    backward(outputs)


def grad_and_loss(func: Callable[..., Any], argnum: int | list[int] | None = None) -> Callable[..., Any]:
    """A function that gives the gradients of arguments, in a list, and what `func` gives.

    Args:
        func: of arrays.
        argnum: the numbers of the arguments whose gradients are asked; all by default.
    """

    @functools.wraps(func)
    def wrapped(*args: Any) -> tuple[list[NDArray], Any]:
        numbers = range(len(args)) if argnum is None else argnum if isinstance(argnum, list) else [argnum]
        variables = [args[i] for i in numbers]
        if wrong := [type(x).__name__ for x in variables if not isinstance(x, NDArray)]:
            raise DTypeError('gradients are those of NDArrays', got=wrong[0])
        gradients = [x.zeros_like() for x in variables]
        mark_variables(variables, gradients)
        with train_section():
            outputs = func(*args)
        backward([outputs] if isinstance(outputs, NDArray) else outputs)
        return gradients, outputs

    return wrapped


def grad(func: Callable[..., Any], argnum: int | list[int] | None = None) -> Callable[..., list[NDArray]]:
    """A function that gives the gradients of arguments, in a list."""
    both = grad_and_loss(func, argnum)

    @functools.wraps(func)
    def wrapped(*args: Any) -> list[NDArray]:
        return both(*args)[0]

    return wrapped


explain_calls(globals())
