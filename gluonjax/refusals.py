"""What an error of a layer's `forward` was: inputs that it does not take, or that are no arrays."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from gluonjax.errors import ArgumentError, GluonError
from gluonjax.run import Bindable, Run, takes
from gluonjax.shapes import shape_text, shapes_text


def of_call(
    run: Run, error: Exception, layer: Bindable, forward: Callable[..., Any], inputs: Any, named: Any
) -> ArgumentError | None:
    """The error that says so; None for another one, which says best itself what it was."""
    if isinstance(error, TypeError) and not takes(forward, inputs, named):
        return _of_other_inputs(layer, forward, inputs, named)
    values = (*inputs, *named.values())
    if not _used_as_array(error, layer, values):
        return None
    got = ', '.join(map(_kind, values))
    return ArgumentError(
        f'{type(layer).__name__} takes arrays', got=got, remedy='jnp.asarray(x), or a jax.ShapeDtypeStruct'
    )


def _of_other_inputs(layer: Bindable, forward: Callable[..., Any], inputs: Any, named: Any) -> ArgumentError:
    kind, given = type(layer).__name__, [*map(_text, inputs), *(f'{name}={_text(x)}' for name, x in named.items())]
    taken = [
        parameter.replace(annotation=parameter.empty) for parameter in inspect.signature(forward).parameters.values()
    ]
    expected = f'{kind}{inspect.Signature(taken)}'
    return ArgumentError(f'{kind} takes other inputs', expected=expected, got=', '.join(given))


def _used_as_array(error: Exception, layer: Bindable, inputs: Sequence[Any]) -> bool:
    """Whether this error arose because an input is no array: a list, None, a string."""
    if isinstance(error, GluonError):
        return False
    if isinstance(error, AttributeError):
        return any(error.obj is value and not hasattr(value, 'dtype') for value in inputs)
    ours = type(layer).__module__.partition('.')[0] == 'gluonjax'
    return ours and isinstance(error, TypeError | ValueError) and not all(hasattr(v, 'dtype') for v in inputs)


def _kind(value: Any) -> str:
    """An input, as an error says it."""
    return f'an array of shape {shape_text(value.shape)}' if hasattr(value, 'dtype') else type(value).__name__


def _text(values: Any) -> str:
    return shapes_text([np.shape(leaf) for leaf in jax.tree.leaves(values)])
