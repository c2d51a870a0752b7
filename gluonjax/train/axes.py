"""Along which axis samples lie in the inputs and the outputs of a network, and how outputs are joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from gluonjax.data.batching import rows_of
from gluonjax.errors import DataError
from gluonjax.layer import Layer, declarations_of, layers_of, leaves_of
from gluonjax.run import Run

UNKNOWN = -1  # in place of an axis: an output has none of samples, or more than one


def axis_of_inputs(definition: Layer, inputs: Any) -> int | None:
    """The axis of samples in the inputs; None if they share no size there.

    It is the first, but for networks with a layer in the layout TNC: there it is the second if the first is the time
    of that layer, or if the inputs (sequences and states) share no size in the first.

    Args:
        definition: of the network.
        inputs: those by position and those by name.
    """
    layers = {path for path, layer in layers_of(definition) if getattr(layer, 'layout', None) == 'TNC'}
    rows = rows_of(inputs)
    if rows is None or (layers and _is_time(definition, layers, inputs, rows)):
        return 1 if layers and rows_of(inputs, 1) is not None else None
    return 0


def _is_time(definition: Layer, layers: set[Any], inputs: Any, rows: int) -> bool:
    """Whether the time of one of these layers grows with the first axis of the inputs."""
    try:
        once, twice = (_calls(definition, resized(inputs, 0, size)) for size in (rows, 2 * rows))
    except Exception:  # the network takes one size only, or it is for the call itself to say what is wrong
        return False
    return any(a[0][0] != b[0][0] for (path, a), (_, b) in zip(once, twice, strict=False) if path in layers)


def _calls(definition: Layer, inputs: Any) -> list[tuple[Any, list[tuple[int, ...]]]]:
    """The path of each layer that is called, and the shapes of its inputs."""
    run = Run(declarations_of(definition), None, {leaf.name: leaf.shape for leaf in leaves_of(definition)})
    jax.eval_shape(lambda inputs: run(definition, *inputs), inputs)
    return [(call.path, call.inputs) for call in run.history]


def resized(tree: Any, axis: int, size: int) -> Any:
    """The shapes of arrays with another size along an axis."""

    def shape_of(leaf: Any) -> jax.ShapeDtypeStruct:
        shape = np.shape(leaf)
        return jax.ShapeDtypeStruct((*shape[:axis], size, *shape[axis + 1 :]), leaf.dtype)

    return jax.tree.map(shape_of, tree)


def axes_of_outputs(infer: Callable[[Any], Any], inputs: Any, axis: int, rows: int) -> Any:
    """The axis of samples in each output: that which grows with the axis of the inputs.

    Args:
        infer: from inputs to outputs, of which only shapes are asked for.
        inputs: of a batch.
        axis: of samples in the inputs.
        rows: how many samples they have.

    Returns:
        A tree as the outputs, of axes; `UNKNOWN` for an output that has none, or more than one.
    """

    def grown(small: Any, large: Any) -> int:
        sizes = [(i, *pair) for i, pair in enumerate(zip(small.shape, large.shape, strict=False))]
        changed = [(i, a, b) for i, a, b in sizes if a != b]
        same = len(small.shape) == len(large.shape) and len(changed) == 1 and changed[0][1:] == (rows, 2 * rows)
        return changed[0][0] if same else UNKNOWN

    def of_this_size(leaf: Any) -> int:
        found = [i for i, size in enumerate(leaf.shape) if size == rows]
        return axis if axis in found else next(iter(found), UNKNOWN)

    once = jax.eval_shape(infer, resized(inputs, axis, rows))
    try:
        twice = jax.eval_shape(infer, resized(inputs, axis, 2 * rows))
    except Exception:  # a network of one size of batch
        return jax.tree.map(of_this_size, once)
    return jax.tree.map(grown, once, twice)


def joined(outputs: Sequence[Any], rows: Sequence[int | None], axes: Any) -> Any:
    """The outputs of many batches as one, each less its padding.

    Raises:
        DataError: naming an output that has no axis of samples, or whose other axes differ from batch to batch.
    """
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(outputs[0])]
    leaves = [jax.tree.leaves(output) for output in outputs]
    found = []
    for path, axis, *parts in zip(paths, jax.tree.leaves(axes), *leaves, strict=True):
        shapes = list(dict.fromkeys(part.shape for part in parts))
        if axis == UNKNOWN:
            raise _not_joined(path, 'has no axis that is the samples of a batch, and more than one batch', shapes)
        parts = [
            part if n is None else part[(slice(None),) * axis + (slice(n),)]
            for part, n in zip(parts, rows, strict=True)
        ]
        if len({(*part.shape[:axis], *part.shape[axis + 1 :]) for part in parts}) > 1:
            raise _not_joined(
                path, 'has other sizes than the number of samples that differ from batch to batch', shapes
            )
        found.append(np.concatenate(parts, axis))
    return jax.tree.unflatten(jax.tree.structure(outputs[0]), found)


def _not_joined(path: str, what: str, shapes: list[tuple[int, ...]]) -> DataError:
    return DataError(
        f'output{path} {what}, so that batches cannot be joined',
        got=f'shapes {", ".join(map(str, shapes[:4]))}',
        remedy='[trainer.predict([batch]) for batch in batches] gives the outputs of each batch; '
        'sequences that are padded to one length, and outputs with a row for each sample, can be joined',
    )
