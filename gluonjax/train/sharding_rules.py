"""Rules for where the parameters of transformers belong, made from the layers of a network."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from jax.sharding import Mesh, PartitionSpec

from gluonjax.block import Block
from gluonjax.checks import one_of
from gluonjax.errors import ArgumentError
from gluonjax.layer import Layer, layers_of
from gluonjax.lazy import suggests_keywords
from gluonjax.nn.attention import MultiHeadAttention
from gluonjax.nn.dense import Dense
from gluonjax.nn.embedding import Embedding


@suggests_keywords
def transformer(
    net: Block | Layer, *inputs: Any, mesh: Mesh, model: str = 'model', fsdp: str | None = 'data', **named: Any
) -> dict[str, PartitionSpec]:
    r"""Rules for a transformer: `Trainer(net, ..., mesh=mesh, sharding=sharding.transformer(net, x, mesh=mesh))`.

    Attention heads and the widths of MLPs are cut over the axis `model` (Megatron's tensor parallelism: a layer that
    widens by its outputs, one that narrows by its inputs), tables of embeddings by rows, and all of them over the axis
    `fsdp` too (fully sharded data parallelism, or ZeRO 3: parameters, gradients and optimizer state). Vectors of norms
    are everywhere. An axis that the mesh lacks, or that does not divide a size or the number of heads, cuts nothing.

    Args:
        net: a network, initialized or not, or a layer.
        *inputs: inputs, or their shapes, which decide the shapes of parameters.
        mesh: the devices.
        model: the name of the axis for heads and widths.
        fsdp: the name of the axis for everything else, which may be that of the batches; None for none.
        **named: inputs by name.

    Returns:
        A rule for each parameter that is cut. They come in the order of the parameters; change or add some as you like.

    Raises:
        ArgumentError: if there is no such layer or mesh.

    >>> import jax
    >>> from gluonjax import nn
    >>> mesh = jax.make_mesh((1, 1), ('data', 'model'))
    >>> net = nn.Sequential(nn.Embedding(16, 4), nn.MultiHeadAttention(4, 2))
    >>> rules = transformer(net, jax.ShapeDtypeStruct((2, 3), 'int32'), mesh=mesh)
    >>> rules[r'1\.query\.weight$'] == PartitionSpec('model', 'data')
    True
    """
    definition = definition_of(net, mesh)
    layers = {'.'.join(path): layer for path, layer in layers_of(definition)}
    specs, rules = definition.specs(*inputs, **named), {}
    cut_by_model = {
        path: _model_axis(path, layers, specs[f'{path}.weight'].shape[-2:], mesh.shape.get(model, 1))
        for path, layer in layers.items()
        if isinstance(layer, Dense) and f'{path}.weight' in specs
    }
    for name, spec in specs.items():
        copies = len(spec.copies)
        path, _, attribute = name.rpartition('.')
        wanted: list[Any] = [None] * (len(spec.shape) - copies)
        if path in cut_by_model:
            axis = cut_by_model[path]
            if axis == 0 or (axis == 1 and attribute == 'weight'):
                wanted[axis] = model
            if attribute == 'weight':
                wanted[1 - (axis or 0)] = fsdp
        elif isinstance(layers.get(path), Embedding):  # each device looks up the rows that it has
            wanted[0] = (model, fsdp) if fsdp else model
        elif len(wanted) > 1:
            wanted[0] = fsdp
        cut = [_fitting(axes, size, mesh) for axes, size in zip(wanted, spec.shape[copies:], strict=True)]
        if any(cut):
            rules[f'{re.escape(name)}$'] = PartitionSpec(*[None] * copies, *cut)
    return rules


def zero(net: Block | Layer, *inputs: Any, mesh: Mesh, axis: str = 'data', **named: Any) -> dict[str, PartitionSpec]:
    r"""Rules for ZeRO: `Trainer(net, ..., mesh=mesh, optimizer_sharding=sharding.zero(net, x, mesh=mesh))`.

    What an optimizer keeps is cut over the devices that batches are cut over, while parameters are on every device.
    Each parameter is cut along the largest of its axes that the number of devices divides; one without such an axis is
    not cut. Every device then updates its part, and sends it to the others.

    Args:
        net: a network, initialized or not, or a layer.
        *inputs: inputs, or their shapes, which decide the shapes of parameters.
        mesh: the devices.
        axis: the name of the axis of the mesh.
        **named: inputs by name.

    Returns:
        A rule for each parameter that is cut.

    Raises:
        ArgumentError: for what is no network, or an axis that the mesh lacks.

    >>> import jax
    >>> from gluonjax import nn
    >>> mesh, x = jax.make_mesh((1,), ('data',)), jax.ShapeDtypeStruct((2, 8), 'float32')
    >>> zero(nn.Dense(16), x, mesh=mesh)[r'weight$'] == PartitionSpec('data', None)
    True
    """
    definition, rules = definition_of(net, mesh), {}
    one_of('axis', axis, mesh.axis_names)
    for name, spec in definition.specs(*inputs, **named).items():
        fitting = [size for size in spec.shape if size and size % mesh.shape[axis] == 0]
        if fitting:
            cut: list[Any] = [None] * len(spec.shape)
            cut[spec.shape.index(max(fitting))] = axis
            rules[f'{re.escape(name)}$'] = PartitionSpec(*cut)
    return rules


def definition_of(net: Block | Layer, mesh: Mesh) -> Layer:
    """The definition of what rules are made for.

    Raises:
        ArgumentError: if it is no network or layer, or the mesh is none.
    """
    if not isinstance(net, Block | Layer):
        raise ArgumentError('rules are made for a network or a layer', got=type(net).__name__)
    if not isinstance(mesh, Mesh):
        raise ArgumentError('this is no mesh', expected="jax.make_mesh((4, 2), ('data', 'model'))", got=repr(mesh))
    return net.definition if isinstance(net, Block) else net


def _model_axis(path: str, layers: Mapping[str, Layer], shape: tuple[int, ...], parts: int) -> int | None:
    """The axis of a `Dense`'s weight, (units, inputs), that is cut over the model axis; None for none."""
    above, _, name = path.rpartition('.')
    attention = layers.get(above)
    if not isinstance(attention, MultiHeadAttention):
        return 0 if shape[0] >= shape[1] else 1
    heads = attention.num_kv_heads if name in ('key', 'value') else attention.num_heads
    if heads % parts:
        return None
    return 1 if name == 'out' else 0


def _fitting(axes: Any, size: int, mesh: Mesh) -> Any:
    """Those of the axes that the mesh has and that divide the size, the last ones left out first."""
    kept = [axis for axis in ((axes,) if isinstance(axes, str) else axes or ()) if axis in mesh.shape]
    while kept and size % math.prod(mesh.shape[axis] for axis in kept):
        kept.pop()
    return tuple(kept) if len(kept) > 1 else next(iter(kept), None)
