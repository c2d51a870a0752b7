"""What an error of a layer's `forward` was, and where: inputs that it does not take or that are no arrays."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax

from gluonjax.errors import ArgumentError, GluonError, ShapeError
from gluonjax.keywords import call_text
from gluonjax.messages import inputs_text, layer_text
from gluonjax.run import Bindable, Run, path_of
from gluonjax.shapes import Shape, is_known, shape_text, shapes_text
from gluonjax.tree import Path

_EAGER = 'net.hybridize(active=False) runs it op by op, and forward may look at them'
_AUTOMATIC = (
    'jax.make_mesh(sizes, names, axis_types=(jax.sharding.AxisType.Auto,) * len(names)) makes axes for that; with '
    'explicit ones: jax.sharding.auto_axes(net.apply, axes=mesh.axis_names, out_sharding=NamedSharding(mesh, spec))'
)
_OF_TRACERS = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


def explain(run: Run, error: Exception, layer: Bindable, forward: Any, inputs: Any, named: Any) -> None:
    """Adds to an error, once, in which layer it arose, and the shapes on the way there.

    Raises:
        ArgumentError: in its place, if it arose because `forward` does not take these inputs.
    """
    refusal = _refusal(error, layer, forward, inputs, named)
    _locate(run, refusal or error, layer, inputs)
    if refusal is not None:
        raise refusal from error


def _locate(run: Run, error: Exception, layer: Bindable, inputs: Any) -> None:
    here = f'in {layer_text(path_of(layer))} ({type(layer).__name__}), input {inputs_text(inputs)}'
    if isinstance(error, GluonError):
        calls = [call for call in run.history if call.leaf][-8:]
        flow = [f'  {layer_text(c.path)} ({c.kind}): {shapes_text(c.inputs)} -> {shapes_text(c.output)}' for c in calls]
        error.locate(here, *(['after', *flow] if flow else []))
    elif not getattr(error, '__notes__', None):
        error.add_note(here)
        if isinstance(error, _OF_TRACERS) or 'of concrete values' in str(error):  # as sizes
            error.add_note(f'values are not known while a network is compiled: {_EAGER}')
        if type(error).__name__ == 'ShardingTypeError':
            error.add_note(f'layers leave it to XLA how to compute over devices: {_AUTOMATIC}')
        if isinstance(error, AttributeError) and error.name == 'data':
            error.add_note('in forward a parameter reads as its array: self.weight, without .data()')


def shape_error(
    run: Run, path: Path, shape: Shape | None, needed: Shape, merged: Shape | None, inputs: Any
) -> ShapeError:
    """How the shape of the parameter at `path` disagrees with the one that the input needs.

    Args:
        run: the run in which it was found.
        path: of the parameter.
        shape: its shape, as far as it is known.
        needed: what `infer_shape` returned.
        merged: what satisfies both, without features; None if nothing does.
        inputs: of the layer.
    """
    name = '.'.join(path)
    if merged is not None:
        return ShapeError(
            f'the shape of {name!r} cannot be inferred from an input without features',
            got=f'the input {inputs_text(inputs)}, which needs {shape_text(needed)}',
            remedy='give an input with one feature or more',
        )
    if run.declarations[name].param.transform is not None and not is_known(shape):
        return ShapeError(
            f'{name!r} is tied through a transform to a parameter whose shape is still unknown',
            got=shape,
            remedy='declare the sizes of the source (in_units=, in_channels=), or run it before this layer',
        )
    return ShapeError(
        f'{name!r} has shape {shape_text(shape)}, but the input {inputs_text(inputs)} '
        f'of {layer_text(path[:-1])} needs {shape_text(needed)}',
        remedy='check the widths on the way here' if run.history else 'check the width of the input',
    )


def _refusal(
    error: Exception, layer: Bindable, forward: Callable[..., Any], inputs: Any, named: Any
) -> ArgumentError | None:
    """What an error was, if it was one of the inputs; None for another one, which says best itself what it was."""
    if isinstance(error, TypeError) and not takes(forward, inputs, named):
        return _of_other_inputs(layer, forward, inputs, named)
    values = (*inputs, *named.values())
    if not _used_as_array(error, layer, values):
        return None
    got = ', '.join(map(_kind, values))
    return ArgumentError(
        f'{type(layer).__name__} takes arrays', got=got, remedy='jnp.asarray(x), or a jax.ShapeDtypeStruct'
    )


def takes(forward: Callable[..., Any], inputs: Any, named: Any) -> bool:
    """Whether a function can be called with such arguments."""
    try:
        inspect.signature(forward).bind(*inputs, **named)
    except (TypeError, ValueError) as error:  # of some functions in C nobody knows
        return isinstance(error, ValueError)
    return True


def _of_other_inputs(layer: Bindable, forward: Callable[..., Any], inputs: Any, named: Any) -> ArgumentError:
    kind, given = (
        type(layer).__name__,
        [*map(inputs_text, inputs), *(f'{name}={inputs_text(x)}' for name, x in named.items())],
    )
    expected = call_text(kind, forward)
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
