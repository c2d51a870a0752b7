"""What Gluon's programs read of layers besides their parameters: how they print, and attributes such as `_channels`.

>>> from gluonjax.mx import gluon
>>> gluon.nn.Conv2D(3, kernel_size=5, padding=2, activation='relu')
Conv2D(None -> 3, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2), Activation(relu))
>>> gluon.nn.Dense(3, in_units=4)._in_units
4
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gluonjax import nn, rnn
from gluonjax.layer import Layer

_GATES = {'LSTM': 4, 'GRU': 3, 'RNN': 1}


def attributes_of(layer: Layer) -> dict[str, Any]:
    """The attributes that Gluon's layers have, by name; without those that nobody reads."""
    find = _kind_of(layer)
    return find[0](layer) if find else {}


def described(layer: Layer, name: str, shape: tuple[int, ...] | None) -> str | None:
    """How Gluon prints a layer; None if it prints no arguments.

    Args:
        layer: the layer.
        name: the name of its class.
        shape: the shape of its first parameter, with 0 for unknown sizes.
    """
    find = _kind_of(layer)
    return find[1](name, attributes_of(layer), shape or (0, 0)) if find else None


def _dense(layer: Any) -> dict[str, Any]:
    return {
        '_units': layer.units,
        '_in_units': layer.in_units or 0,
        '_flatten': layer.flatten,
        '_activation': layer.activation,
    }


def _print_dense(name: str, found: Mapping[str, Any], shape: tuple[int, ...]) -> str:
    return f'{name}({shape[1] or None} -> {shape[0]}, {_activation(found) or "linear"})'


def _activation(found: Mapping[str, Any]) -> str | None:
    return found['_activation'] and f'Activation({found["_activation"]})'


def _conv(layer: Any) -> dict[str, Any]:
    kwargs = {
        'kernel': layer.kernel_size,
        'stride': layer.strides,
        'dilate': layer.dilation,
        'pad': layer.padding,
        'num_filter': layer.channels,
        'num_group': layer.groups,
        'no_bias': not layer.use_bias,
        'layout': layer.layout,
    }
    transposed = hasattr(layer, 'output_padding')
    return {
        '_channels': layer.channels,
        '_in_channels': layer.in_channels or 0,
        '_op_name': 'Deconvolution' if transposed else 'Convolution',
        '_kwargs': kwargs | ({'adj': layer.output_padding} if transposed else {}),
        '_activation': layer.activation,
    }


def _print_conv(name: str, found: Mapping[str, Any], shape: tuple[int, ...]) -> str:
    kwargs = found['_kwargs']
    parts = [
        f'{shape[1] or None} -> {shape[0]}',
        f'kernel_size={kwargs["kernel"]}',
        f'stride={kwargs["stride"]}',
    ]
    parts += [f'padding={kwargs["pad"]}'] if any(kwargs['pad']) else []
    parts += [f'dilation={kwargs["dilate"]}'] if any(size != 1 for size in kwargs['dilate']) else []
    parts += [f'groups={kwargs["num_group"]}'] if kwargs['num_group'] != 1 else []
    parts += ['bias=False'] if kwargs['no_bias'] else []
    activation = _activation(found)
    return f'{name}({", ".join(parts + ([activation] if activation else []))})'


def _pool(layer: Any) -> dict[str, Any]:
    ones, is_global = (1,) * (len(layer.layout) - 2), not hasattr(layer, 'pool_size')
    full = is_global or layer.ceil_mode
    kwargs = {
        'kernel': ones if is_global else layer.pool_size,
        'stride': ones if is_global else layer.strides,
        'pad': tuple(0 for _ in ones) if is_global else layer.padding,
        'global_pool': is_global,
        'pool_type': 'max' if 'Max' in ''.join(cls.__name__ for cls in type(layer).__mro__) else 'avg',
        'layout': layer.layout,
        'pooling_convention': 'full' if full else 'valid',
    }
    counted = hasattr(layer, 'count_include_pad')
    return {'_kwargs': kwargs | ({'count_include_pad': layer.count_include_pad} if counted else {})}


def _print_pool(name: str, found: Mapping[str, Any], shape: tuple[int, ...]) -> str:
    kwargs = found['_kwargs']
    sizes = f'size={kwargs["kernel"]}, stride={kwargs["stride"]}, padding={kwargs["pad"]}'
    kind = f'global_pool={kwargs["global_pool"]}, pool_type={kwargs["pool_type"]}, layout={kwargs["layout"]}'
    return f'{name}({sizes}, ceil_mode={kwargs["pooling_convention"] == "full"}, {kind})'


def _batch_norm(layer: Any) -> dict[str, Any]:
    kwargs = {
        'axis': layer.axis,
        'eps': layer.epsilon,
        'momentum': layer.momentum,
        'fix_gamma': not layer.scale,
        'use_global_stats': layer.use_global_stats,
    }
    return {'_kwargs': kwargs, '_axis': layer.axis}


def _print_batch_norm(name: str, found: Mapping[str, Any], shape: tuple[int, ...]) -> str:
    return _print_norm(name, found, (shape[0] or None,))  # type: ignore[arg-type]


def _norm(layer: Any) -> dict[str, Any]:
    kwargs = {'eps': layer.epsilon, 'axis': layer.axis, 'center': layer.center, 'scale': layer.scale}
    return {'_kwargs': kwargs, '_axis': layer.axis, '_epsilon': layer.epsilon}


def _group_norm(layer: Any) -> dict[str, Any]:
    kwargs = {
        'eps': layer.epsilon,
        'num_groups': layer.num_groups,
        'center': layer.center,
        'scale': layer.scale,
    }
    return {'_kwargs': kwargs, '_num_groups': layer.num_groups, '_epsilon': layer.epsilon}


def _print_norm(name: str, found: Mapping[str, Any], shape: tuple[int | None, ...]) -> str:
    return f'{name}({_listed(found)}, in_channels={shape[0]})'


def _print_group_norm(name: str, found: Mapping[str, Any], shape: tuple[int, ...]) -> str:
    return f'{name}({_listed(found)})'


def _listed(found: Mapping[str, Any]) -> str:
    return ', '.join(f'{key}={value}' for key, value in found['_kwargs'].items())


def _embedding(layer: Any) -> dict[str, Any]:
    kwargs = {
        'input_dim': layer.input_dim,
        'output_dim': layer.output_dim,
        'dtype': str(layer.weight.dtype),
        'sparse_grad': False,
    }
    return {'_kwargs': kwargs, '_input_dim': layer.input_dim, '_output_dim': layer.output_dim}


def _print_embedding(name: str, found: Mapping[str, Any], shape: tuple[int, ...]) -> str:
    return f'{name}({found["_input_dim"]} -> {found["_output_dim"]}, {found["_kwargs"]["dtype"]})'


def _recurrent(layer: Any) -> dict[str, Any]:
    kind = next(cls.__name__ for cls in type(layer).__mro__ if cls.__name__ in _GATES)
    return {
        '_hidden_size': layer.hidden_size,
        '_num_layers': layer.num_layers,
        '_input_size': layer.input_size or 0,
        '_projection_size': layer.projection_size,
        '_layout': layer.layout,
        '_dropout': layer.dropout,
        '_dir': 2 if layer.bidirectional else 1,
        '_gates': _GATES[kind],
        '_mode': f'rnn_{layer.activation}' if kind == 'RNN' else kind.lower(),
    }


def _print_recurrent(name: str, found: Mapping[str, Any], shape: tuple[int, ...]) -> str:
    parts = [f'{shape[1] or None} -> {found["_hidden_size"]}', found['_layout']]
    parts += [f'num_layers={found["_num_layers"]}'] if found['_num_layers'] != 1 else []
    parts += [f'dropout={found["_dropout"]}'] if found['_dropout'] else []
    return f'{name}({", ".join(parts + ["bidirectional"] * (found["_dir"] == 2))})'


_Find = Callable[[Any], dict[str, Any]]
_Print = Callable[[str, Mapping[str, Any], tuple[int, ...]], str]

_KINDS: list[tuple[type | tuple[type, ...], _Find, _Print]] = [
    (nn.Dense, _dense, _print_dense),
    (nn.BatchNorm, _batch_norm, _print_batch_norm),
    ((nn.LayerNorm, nn.InstanceNorm), _norm, _print_norm),
    (nn.GroupNorm, _group_norm, _print_group_norm),
    (nn.Embedding, _embedding, _print_embedding),
    ((rnn.RNN, rnn.LSTM, rnn.GRU), _recurrent, _print_recurrent),
    (
        nn.Dropout,
        lambda layer: {'_rate': layer.rate, '_axes': layer.axes},
        lambda name, found, shape: f'{name}(p = {found["_rate"]}, axes={found["_axes"]})',
    ),
    (nn.Flatten, lambda layer: {}, lambda name, found, shape: name),
    (
        nn.Activation,
        lambda layer: {'_act_type': layer.activation},
        lambda name, found, shape: f'{name}({found["_act_type"]})',
    ),
    (
        nn.LeakyReLU,
        lambda layer: {'_alpha': layer.alpha},
        lambda name, found, shape: f'{name}({found["_alpha"]})',
    ),
]


def _kind_of(layer: Any) -> tuple[_Find, _Print] | None:
    found = next((kind[1:] for kind in _KINDS if isinstance(layer, kind[0])), None)
    if found is None and hasattr(layer, 'kernel_size') and hasattr(layer, 'channels'):
        return _conv, _print_conv
    if found is None and 'Pool' in type(layer).__name__ and hasattr(layer, 'layout'):
        return _pool, _print_pool
    return found
