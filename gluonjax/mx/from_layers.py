"""What MXNet's operators make of layers: for every class of layer that has a counterpart, a function that builds it.

Each takes the scope, the layer and the symbols of its inputs, and returns the symbol of its output.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gluonjax import nn
from gluonjax.mx.building import Scope
from gluonjax.mx.gluon.symbol_block import SymbolBlock
from gluonjax.mx.op.rnn import layout
from gluonjax.mx.symbol import Symbol
from gluonjax.nn.activation import FUNCTIONS
from gluonjax.param import Param
from gluonjax.rnn.layers import GRU, LSTM, RecurrentLayer

Translation = Callable[..., Any]
_OF_MXNET = ('relu', 'sigmoid', 'softrelu', 'softsign', 'tanh')  # kinds of the operator `Activation`


def _name_of(activation: Any) -> str | None:
    """The name of an activation that may be one of JAX's functions; None for any other function."""
    if isinstance(activation, str):
        return activation
    return next((name for name, function in FUNCTIONS.items() if function is activation), None)


def activated(scope: Scope, x: Symbol, activation: Any) -> Symbol:
    """An activation of a symbol; None changes nothing."""
    name = _name_of(activation)
    if name is None:
        return x
    if name in _OF_MXNET:
        return scope.op('Activation', x, suffix=f'{name}_fwd', act_type=name)
    if name in ('silu', 'swish'):
        return _swish(scope, x, 1.0)
    if name == 'mish':
        softplus = scope.op('Activation', x, suffix='softrelu', act_type='softrelu')
        return scope.op('elemwise_mul', x, scope.op('tanh', softplus, suffix='tanh'), suffix='mish_fwd')
    if name == 'log_sigmoid':
        softplus = scope.op('Activation', scope.op('negative', x, suffix='negative'), act_type='softrelu')
        return scope.op('negative', softplus, suffix='log_sigmoid_fwd')
    slope: dict[str, Any] = {'slope': 1.0} if name == 'elu' else {}
    return scope.op('LeakyReLU', x, suffix=f'{name}_fwd', act_type=name, **slope)


def _swish(scope: Scope, x: Symbol, beta: float) -> Symbol:
    scaled = x if beta == 1 else scope.op('_mul_scalar', x, suffix='scaled', scalar=beta)
    return scope.op('elemwise_mul', x, scope.op('sigmoid', scaled, suffix='sigmoid'))


def _with_bias(scope: Scope, layer: Any) -> list[Symbol]:
    return [scope.parameter(name) for name in ('weight', 'bias')[: 1 + layer.use_bias]]


def _dense(scope: Scope, layer: nn.Dense, x: Symbol) -> Symbol:
    options = {'num_hidden': layer.units, 'no_bias': not layer.use_bias, 'flatten': layer.flatten}
    return activated(scope, scope.op('FullyConnected', x, *_with_bias(scope, layer), **options), layer.activation)


def _convolution(scope: Scope, layer: Any, x: Symbol) -> Symbol:
    options = {
        'kernel': layer.kernel_size,
        'stride': layer.strides,
        'dilate': layer.dilation,
        'pad': layer.padding,
        'num_filter': layer.channels,
        'num_group': layer.groups,
        'no_bias': not layer.use_bias,
        'layout': layer.layout,
    }
    if hasattr(layer, 'output_padding'):
        op, options['adj'] = 'Deconvolution', layer.output_padding
    else:
        op = 'Convolution'
    return activated(scope, scope.op(op, x, *_with_bias(scope, layer), **options), layer.activation)


def _pool(scope: Scope, layer: Any, x: Symbol) -> Symbol:
    options = {
        'kernel': layer.pool_size,
        'stride': layer.strides,
        'pad': layer.padding,
        'pool_type': 'avg' if hasattr(layer, 'count_include_pad') else 'max',
        'pooling_convention': 'full' if layer.ceil_mode else 'valid',
        'layout': layer.layout,
    }
    if options['pool_type'] == 'avg':
        options['count_include_pad'] = layer.count_include_pad
    return scope.op('Pooling', x, **options)


def _global_pool(pool_type: str) -> Translation:
    def pool(scope: Scope, layer: Any, x: Symbol) -> Symbol:
        kernel = (1,) * (len(layer.layout) - 2)
        return scope.op('Pooling', x, kernel=kernel, global_pool=True, pool_type=pool_type, layout=layer.layout)

    return pool


def _batch_norm(scope: Scope, layer: nn.BatchNorm, x: Symbol) -> Symbol:
    parameters = [scope.parameter(name) for name in ('gamma', 'beta', 'running_mean', 'running_var')]
    options = {
        'axis': layer.axis,
        'eps': layer.epsilon,
        'momentum': layer.momentum,
        'fix_gamma': not layer.scale,
        'use_global_stats': layer.use_global_stats,
    }
    return scope.op('BatchNorm', x, *parameters, **options)


def _batch_norm_relu(scope: Scope, layer: nn.BatchNormReLU, x: Symbol) -> Symbol:
    return activated(scope, _batch_norm(scope, layer, x), 'relu')


def _scaled(scope: Scope) -> list[Symbol]:
    return [scope.parameter(name) for name in ('gamma', 'beta')]


def _layer_norm(scope: Scope, layer: nn.LayerNorm, x: Symbol) -> Symbol:
    return scope.op('LayerNorm', x, *_scaled(scope), axis=layer.axis, eps=layer.epsilon)


def _group_norm(scope: Scope, layer: nn.GroupNorm, x: Symbol) -> Symbol:
    return scope.op('GroupNorm', x, *_scaled(scope), num_groups=layer.num_groups, eps=layer.epsilon)


def _instance_norm(scope: Scope, layer: nn.InstanceNorm, x: Symbol) -> Symbol:
    if layer.axis == 1:
        return scope.op('InstanceNorm', x, *_scaled(scope), eps=layer.epsilon)
    x = scope.op('SwapAxis', x, suffix='channels_first', dim1=1, dim2=layer.axis)
    y = scope.op('InstanceNorm', x, *_scaled(scope), eps=layer.epsilon)
    return scope.op('SwapAxis', y, suffix='channels_back', dim1=1, dim2=layer.axis)


def _dropout(scope: Scope, layer: nn.Dropout, x: Symbol) -> Symbol:
    return scope.op('Dropout', x, p=layer.rate, axes=layer.axes) if layer.rate else x


def _activation(scope: Scope, layer: nn.Activation, x: Symbol) -> Symbol:
    return activated(scope, x, layer.activation)


def _leaky_relu(scope: Scope, layer: nn.LeakyReLU, x: Symbol) -> Symbol:
    return scope.op('LeakyReLU', x, act_type='leaky', slope=layer.alpha)


def _elu(scope: Scope, layer: nn.ELU, x: Symbol) -> Symbol:
    return scope.op('LeakyReLU', x, act_type='elu', slope=layer.alpha)


def _prelu(scope: Scope, layer: nn.PReLU, x: Symbol) -> Symbol:
    return scope.op('LeakyReLU', x, scope.parameter('alpha'), act_type='prelu')


def _named(activation: str) -> Translation:
    return lambda scope, layer, x: activated(scope, x, activation)


def _gelu(scope: Scope, layer: nn.GELU, x: Symbol) -> Symbol:
    if layer.approximation == 'erf':
        return activated(scope, x, 'gelu')
    cube = scope.op(
        '_mul_scalar', scope.op('_power_scalar', x, suffix='cube', scalar=3), suffix='term', scalar=0.044715
    )
    inner = scope.op('_mul_scalar', scope.op('elemwise_add', x, cube, suffix='sum'), suffix='inner', scalar=_GELU)
    outer = scope.op('_plus_scalar', scope.op('tanh', inner, suffix='tanh'), suffix='outer', scalar=1.0)
    return scope.op('elemwise_mul', scope.op('_mul_scalar', x, suffix='half', scalar=0.5), outer)


def _swish_layer(scope: Scope, layer: nn.Swish, x: Symbol) -> Symbol:
    return _swish(scope, x, layer.beta)


def _embedding(scope: Scope, layer: nn.Embedding, x: Symbol) -> Symbol:
    sizes: dict[str, Any] = {'input_dim': layer.input_dim, 'output_dim': layer.output_dim}
    return scope.op('Embedding', x, scope.parameter('weight'), **sizes)


def _flatten(scope: Scope, layer: nn.Flatten, x: Symbol) -> Symbol:
    return scope.op('Flatten', x)


def _reflection_pad(scope: Scope, layer: nn.ReflectionPad2D, x: Symbol) -> Symbol:
    return scope.op('Pad', x, mode='reflect', pad_width=tuple(layer.padding))


def _symbol_block(scope: Scope, layer: SymbolBlock, *inputs: Symbol) -> Any:
    given = dict(zip(layer.input_names, inputs, strict=True))
    given |= {name: scope.parameter(name) for name, field in vars(layer).items() if isinstance(field, Param)}
    scope.builder.np_shape |= layer.symbol.np_shape
    outputs = list(layer.symbol(**given))
    return outputs[0] if len(outputs) == 1 else outputs


_GELU = math.sqrt(2 / math.pi)
_MODES = {LSTM: 'lstm', GRU: 'gru'}


def _recurrent(scope: Scope, layer: Any, x: Symbol, states: Any = None, sequence_length: Any = None) -> Any:
    """MXNet's RNN operator, whose parameters are one vector; without states it starts from zeros."""
    mode = next((mode for kind, mode in _MODES.items() if isinstance(layer, kind)), None) or f'rnn_{layer.activation}'
    sides, size = len(layer.sides), layer.hidden_size
    parts = layout(1, size, layer.num_layers, sides, mode, layer.projection_size)
    names = [f'{layer.sides[part.side]}{part.layer}_{part.kind}' for part in parts]
    flat = [scope.op('Reshape', scope.parameter(name), suffix=f'{name}_flat', shape=(-1,)) for name in names]
    packed = scope.op('_rnn_param_concat', *flat, suffix='parameters', dim=0)
    if layer.layout == 'NTC':
        x = scope.op('SwapAxis', x, suffix='time_first', dim1=0, dim2=1)
    options = {'state_size': size, 'num_layers': layer.num_layers, 'bidirectional': sides == 2, 'mode': mode}
    options |= {'p': layer.dropout, 'state_outputs': states is not None, **_lstm_options(layer)}
    if sequence_length is not None:
        options |= {'use_sequence_length': True, 'sequence_length': sequence_length}
    output = scope.op('RNN', x, packed, *_first_states(scope, layer, states), **options)
    y, *last = list(output)
    if layer.layout == 'NTC':
        y = scope.op('SwapAxis', y, suffix='batch_first', dim1=0, dim2=1)
    return y if states is None else (y, last)


def _first_states(scope: Scope, layer: Any, states: Any) -> list[Symbol]:
    if states is not None:
        return list(states) if isinstance(states, list | tuple) else [states]
    shapes = [(shape[0], 0, shape[2]) for shape in (state['shape'] for state in layer.state_info())]
    return [scope.op('_zeros', suffix=f'begin_state_{i}', shape=shape) for i, shape in enumerate(shapes)]


def _lstm_options(layer: Any) -> dict[str, Any]:
    options = {'projection_size': layer.projection_size} if layer.projection_size else {}
    if getattr(layer, 'state_clip_min', None) is not None:
        options |= {'lstm_state_clip_min': layer.state_clip_min, 'lstm_state_clip_max': layer.state_clip_max}
        options['lstm_state_clip_nan'] = layer.state_clip_nan
    return options


_TRANSLATIONS: dict[type, Translation] = {
    nn.Dense: _dense,
    **dict.fromkeys((nn.Conv1D, nn.Conv2D, nn.Conv3D), _convolution),
    **dict.fromkeys((nn.Conv1DTranspose, nn.Conv2DTranspose, nn.Conv3DTranspose), _convolution),
    **dict.fromkeys((nn.MaxPool1D, nn.MaxPool2D, nn.MaxPool3D), _pool),
    **dict.fromkeys((nn.AvgPool1D, nn.AvgPool2D, nn.AvgPool3D), _pool),
    **dict.fromkeys((nn.GlobalMaxPool1D, nn.GlobalMaxPool2D, nn.GlobalMaxPool3D), _global_pool('max')),
    **dict.fromkeys((nn.GlobalAvgPool1D, nn.GlobalAvgPool2D, nn.GlobalAvgPool3D), _global_pool('avg')),
    nn.BatchNorm: _batch_norm,
    nn.BatchNormReLU: _batch_norm_relu,
    nn.LayerNorm: _layer_norm,
    nn.GroupNorm: _group_norm,
    nn.InstanceNorm: _instance_norm,
    nn.Dropout: _dropout,
    nn.Activation: _activation,
    nn.LeakyReLU: _leaky_relu,
    nn.PReLU: _prelu,
    nn.ELU: _elu,
    nn.GELU: _gelu,
    nn.SELU: _named('selu'),
    nn.SiLU: _named('silu'),
    nn.Swish: _swish_layer,
    nn.Embedding: _embedding,
    nn.Flatten: _flatten,
    nn.ReflectionPad2D: _reflection_pad,
    SymbolBlock: _symbol_block,
    RecurrentLayer: _recurrent,
}


def translation_of(layer: Any, method: str) -> Translation | None:
    """What builds this layer, if its `forward` is that of a layer which MXNet has."""
    if method != 'forward':
        return None
    for cls in type(layer).__mro__:
        if cls in _TRANSLATIONS:
            activation = getattr(layer, 'activation', None)
            return _TRANSLATIONS[cls] if activation is None or _name_of(activation) else None
        if 'forward' in vars(cls):
            return None
    return None
