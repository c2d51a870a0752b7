"""Rules for where the parameters of transformers belong, made from the layers of a network."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jax.sharding import Mesh, PartitionSpec

from gluonjax.block import Block
from gluonjax.checks import one_of
from gluonjax.errors import ArgumentError
from gluonjax.layer import Layer, layers_of, leaves_of
from gluonjax.lazy import suggests_keywords
from gluonjax.nn.attention import MultiHeadAttention
from gluonjax.nn.dense import Dense
from gluonjax.nn.embedding import Embedding
from gluonjax.tree import matches


@suggests_keywords
def transformer(
    net: Block | Layer,
    *inputs: Any,
    mesh: Mesh,
    model: str | None = 'model',
    fsdp: str | tuple[str, ...] | None = 'data',
    **named: Any,
) -> dict[str, PartitionSpec]:
    r"""Rules for a transformer: `Trainer(net, ..., mesh=mesh, sharding=sharding.transformer(net, x, mesh=mesh))`.

    Attention heads and the widths of MLPs are cut over the axis `model` (Megatron's tensor parallelism: a layer that
    widens by its outputs, one that narrows by its inputs), tables of embeddings by rows, and all of them over the axis
    `fsdp` too (fully sharded data parallelism, or ZeRO 3: parameters, gradients and optimizer state), as are the
    weights of all other layers, such as convolutions. Where `fsdp` does not divide that size, it cuts another: of a
    table of 50,257 words the columns. Vectors of norms are everywhere. 'model' or 'data' may be missing in the mesh;
    heads are not cut over a `model` that does not divide those of keys and values (`num_kv_heads`), but for those of
    queries in `MultiHeadAttention(implementation='xla')`: cuDNN wants all cut alike.

    Args:
        net: a network, initialized or not, or a layer.
        *inputs: inputs, or their shapes, which decide the shapes of parameters.
        mesh: the devices.
        model: the name of the axis for heads and widths; None for none.
        fsdp: the name of the axis for everything else, which may be that of the batches, or names of several; None for
            none.
        **named: inputs by name.

    Returns:
        A rule for each parameter that is cut. They come in the order of the parameters; change or add some as you like.

    Raises:
        ArgumentError: for what is no network, no mesh, or no axis of it.

    >>> import jax
    >>> from gluonjax import nn
    >>> mesh = jax.make_mesh((1, 1), ('data', 'model'))
    >>> net = nn.Sequential(nn.Embedding(16, 4), nn.MultiHeadAttention(4, 2))
    >>> rules = transformer(net, jax.ShapeDtypeStruct((2, 3), 'int32'), mesh=mesh)
    >>> rules[r'1\.query\.weight$'] == PartitionSpec('model', 'data')
    True
    """
    definition = definition_of(net, mesh)
    heads, everything = _checked_axes(mesh, model, fsdp)
    layers = {'.'.join(path): layer for path, layer in layers_of(definition)}
    specs, rules = definition.specs(*inputs, **named), {}
    for name, spec in specs.items():
        copies = len(spec.copies)
        path = name.rpartition('.')[0]
        shape, layer = spec.shape[copies:], layers.get(path)
        wanted: list[tuple[str, ...]] = [()] * len(shape)
        if isinstance(layer, Embedding):  # each device looks up the rows that it has
            wanted[0] = (*heads, *everything)
        elif isinstance(layer, Dense):
            weight = specs[f'{path}.weight'.lstrip('.')].shape[-2:]
            axis = _model_axis(path, layers, weight, math.prod(mesh.shape[name] for name in heads))
            if axis is not None and axis < len(shape):
                wanted[axis] = heads
            if len(shape) > 1:
                wanted[1 - (axis or 0)] = everything
        elif len(shape) > 1:
            wanted[0] = everything
        cut = _cut(shape, wanted, everything if len(shape) > 1 else (), mesh)
        if any(cut):
            rules[f'{re.escape(name)}$'] = PartitionSpec(*[None] * copies, *cut)
    return rules


def zero(
    net: Block | Layer,
    *inputs: Any,
    mesh: Mesh,
    axis: str | tuple[str, ...] = 'data',
    sharding: Mapping[str, PartitionSpec] | None = None,
    **named: Any,
) -> dict[str, PartitionSpec]:
    r"""Rules for ZeRO: `Trainer(net, ..., mesh=mesh, optimizer_sharding=sharding.zero(net, x, mesh=mesh))`.

    What an optimizer keeps is cut over the devices that batches are cut over, while parameters are on every device.
    Each parameter is cut along the largest of its axes that the number of devices divides; one without such an axis is
    not cut. Every device then updates its part, and sends it to the others.

    Args:
        net: a network, initialized or not, or a layer.
        *inputs: inputs, or their shapes, which decide the shapes of parameters.
        mesh: the devices.
        axis: the name of the axis of the mesh, or names of several.
        sharding: the rules of the parameters, such as those of `transformer(..., fsdp=None)`; what the optimizer keeps
            of a parameter is cut as that is, and over `axis` too. None if parameters are on every device.
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
    definition, rules, axes = definition_of(net, mesh), {}, _names(axis)
    for one in axes:
        one_of('axis', one, mesh.axis_names)
    names = {leaf.name: leaf.names for leaf in leaves_of(definition)}
    for name, spec in definition.specs(*inputs, **named).items():
        own = [_names(entry) for entry in spec_of(names[name], sharding or {})]
        cut = _cut(spec.shape, own + [()] * (len(spec.shape) - len(own)), axes, mesh)
        if any(cut):
            rules[f'{re.escape(name)}$'] = PartitionSpec(*cut)
    return rules


def spec_of(names: Sequence[str], rules: Mapping[str, PartitionSpec]) -> PartitionSpec:
    """That of the first rule that matches any name of a parameter; it is everywhere if none does."""
    return next((spec for pattern, spec in rules.items() if matches(pattern, names)), PartitionSpec())


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
    # XLA repeats keys and values for queries that are on other devices; cuDNN wants all three cut alike
    apart = attention.implementation == 'xla' and name in ('query', 'out')
    if (attention.num_heads if apart else attention.num_kv_heads) % parts:
        return None
    return 1 if name == 'out' else 0


def _checked_axes(mesh: Mesh, model: str | None, fsdp: str | tuple[str, ...] | None) -> tuple[tuple[str, ...], ...]:
    """The axes of the mesh for heads, and for everything."""
    heads, everything = _names(model), _names(fsdp)
    for name, axes in (('model', heads), ('fsdp', everything)):
        for one in axes:
            if one not in ('model', 'data'):
                one_of(name, one, mesh.axis_names)
    if set(heads) & set(everything) or not {*heads, *everything} & {*mesh.axis_names}:
        raise ArgumentError(
            'model= and fsdp= are different axes, and the mesh has one of them at least',
            expected=f'axes among {mesh.axis_names}',
            got=f'model={model!r}, fsdp={fsdp!r}',
            remedy="jax.make_mesh((4, 2), ('data', 'model')); or model=None, or fsdp=None, where nothing is cut so",
        )
    return tuple(tuple(one for one in axes if one in mesh.shape) for axes in (heads, everything))


def _names(axes: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (axes,) if isinstance(axes, str) else tuple(axes or ())


def _cut(shape: tuple[int, ...], wanted: Sequence[tuple[str, ...]], rest: tuple[str, ...], mesh: Mesh) -> list[Any]:
    """Entries of a spec: the wanted axes of the mesh that divide, and those of the rest that are not used by these.

    The rest cuts the largest size that it divides. Of wanted axes for one size the last are left out first.
    """
    cut = [_fitting(axes, size, mesh) for axes, size in zip(wanted, shape, strict=True)]
    left = tuple(axis for axis in rest if not any(axis in axes for axes in cut))
    for i in sorted(range(len(shape)), key=lambda i: shape[i], reverse=True):
        if shape[i] and _fitting(cut[i] + left, shape[i], mesh) == cut[i] + left:
            cut[i] += left
            break
    return [axes if len(axes) > 1 else next(iter(axes), None) for axes in cut]


def _fitting(axes: tuple[str, ...], size: int, mesh: Mesh) -> tuple[str, ...]:
    while size % math.prod(mesh.shape[axis] for axis in axes):
        axes = axes[:-1]
    return axes
