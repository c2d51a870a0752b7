"""Loss heads: at inference a softmax, a sigmoid or the input itself; their gradient is that of a loss.

As in MXNet, the gradient of a head does not depend on the gradient of its output. Without a label, which inference does
not need, a head is an ordinary function.
"""

import functools
import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from gluonjax.mx.op.elementwise import all_alike
from gluonjax.mx.op.table import Attributes, Shapes, operator

Normalization = Literal['null', 'batch', 'valid']
_Forward = Callable[[jax.Array], jax.Array]
_Gradient = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]  # of data: from output, label, gradient of output


def head(forward: _Forward, gradient: _Gradient, data: jax.Array, label: jax.Array) -> jax.Array:
    """`forward(data)`, with a gradient of its own."""
    return _head(forward, gradient, data, label)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _head(forward: _Forward, gradient: _Gradient, data: jax.Array, label: jax.Array) -> jax.Array:
    return forward(data)


def _head_forward(forward: _Forward, gradient: _Gradient, data: jax.Array, label: jax.Array):
    output = forward(data)
    return output, (output, label)


def _head_backward(forward: _Forward, gradient: _Gradient, saved: tuple[jax.Array, jax.Array], cotangent: jax.Array):
    output, label = saved
    return gradient(output, label, cotangent).astype(output.dtype), None


_head.defvjp(_head_forward, _head_backward)


# Softmax.


def _softmax_label(attributes: Attributes, shapes: Shapes) -> Shapes:
    data = shapes['data']
    if data is None:
        return {}
    return {'label': (data[0], *data[2:]) if attributes['multi_output'] else data[:-1]}


@operator('SoftmaxOutput', 'Softmax', infer=_softmax_label)
def softmax_output(
    data: jax.Array,
    label: jax.Array | None = None,
    *,
    grad_scale: float = 1.0,
    ignore_label: float = -1.0,
    multi_output: bool = False,
    use_ignore: bool = False,
    preserve_shape: bool = False,
    normalization: Normalization = 'null',
    out_grad: bool = False,
    smooth_alpha: float = 0.0,
) -> jax.Array:
    """Softmax, whose gradient is that of the cross entropy with the label.

    Along axis 1 with `multi_output`, along the last with `preserve_shape`, and over all of an example otherwise.
    """
    flat = not (multi_output or preserve_shape)
    axis = 1 if multi_output else -1

    def forward(x: jax.Array) -> jax.Array:
        return jax.nn.softmax(x.reshape(x.shape[0], -1) if flat else x, axis).reshape(x.shape)

    if label is None:
        return forward(data)

    def gradient(y: jax.Array, label: jax.Array, cotangent: jax.Array) -> jax.Array:
        if label.shape == y.shape:
            return (y - label) * grad_scale * (cotangent if out_grad else 1)
        p = y.reshape(y.shape[0], -1) if flat else y
        classes = p.shape[axis]
        shape = [size for i, size in enumerate(p.shape) if i != axis % p.ndim]
        index = label.reshape(-1)[: math.prod(shape)].reshape(shape).astype('int32')  # MXNet reads the first ones
        wrong = smooth_alpha / max(classes - 1, 1)
        target = jax.nn.one_hot(index, classes, dtype=p.dtype, axis=axis) * (1 - smooth_alpha - wrong) + wrong
        slope = p - target
        if use_ignore:
            slope = jnp.where(jnp.expand_dims(index == int(ignore_label), axis), 0, slope)
        count = {'null': 1, 'batch': label.shape[0], 'valid': jnp.maximum((index != int(ignore_label)).sum(), 1)}
        if multi_output and normalization != 'valid':
            grown = index.size // index.shape[0]
        else:
            grown = 1
        slope = (slope * (grad_scale / grown / count[normalization])).reshape(y.shape)
        return slope * cotangent if out_grad else slope

    return head(forward, gradient, data, label)


# Regression.


def _regression_label(attributes: Attributes, shapes: Shapes) -> Shapes:
    """The label's shape, where none is given; one that is may have other axes than the data."""
    data = shapes['data']
    if shapes.get('label') is not None or data is None:
        return {}
    return {'label': data[:1] if len(data) == 2 and data[1] == 1 else data}


def _enter_regression(name: str, forward: _Forward, slope: Callable[[jax.Array], jax.Array], *aliases: str) -> None:
    @operator(name, *aliases, infer=_regression_label)
    def regression(data: jax.Array, label: jax.Array | None = None, *, grad_scale: float = 1.0) -> jax.Array:
        if label is None:
            return forward(data)

        def gradient(y: jax.Array, label: jax.Array, cotangent: jax.Array) -> jax.Array:
            return slope(y - label.reshape(y.shape)) * (grad_scale / (label.size // label.shape[0]))

        return head(forward, gradient, data, label)


_enter_regression('LinearRegressionOutput', lambda x: x, lambda d: d, '_sparse_LinearRegressionOutput')
_enter_regression('LogisticRegressionOutput', jax.nn.sigmoid, lambda d: d, '_sparse_LogisticRegressionOutput')
_enter_regression('MAERegressionOutput', lambda x: x, jnp.sign, '_sparse_MAERegressionOutput')


# Others.


@operator('SVMOutput', infer=lambda a, shapes: {'label': (shapes['data'] or (None,))[:1]})
def svm_output(
    data: jax.Array,
    label: jax.Array | None = None,
    *,
    margin: float = 1.0,
    regularization_coefficient: float = 1.0,
    use_linear: bool = False,
) -> jax.Array:
    """The input; its gradient is that of a hinge loss, squared unless `use_linear`."""
    if label is None:
        return data

    def gradient(x: jax.Array, label: jax.Array, cotangent: jax.Array) -> jax.Array:
        right = jax.nn.one_hot(label.astype('int32'), x.shape[1], dtype=x.dtype) == 1
        sign = jnp.where(right, -1, 1).astype(x.dtype)
        inside = margin + sign * x  # of the margin, if positive
        size = (inside > 0).astype(x.dtype) if use_linear else 2 * jnp.maximum(inside, 0)
        return sign * size * regularization_coefficient

    return head(lambda x: x, gradient, data, label)


@operator('MakeLoss', infer=all_alike)
def make_loss(
    data: jax.Array, *, grad_scale: float = 1.0, valid_thresh: float = 0.0, normalization: Normalization = 'null'
) -> jax.Array:
    """The input, as a loss: its gradient is `grad_scale`, divided by what the normalization says."""

    def gradient(x: jax.Array, label: jax.Array, cotangent: jax.Array) -> jax.Array:
        count = {'null': 1, 'batch': x.shape[0], 'valid': jnp.maximum((x > valid_thresh).sum(), 1)}[normalization]
        return jnp.full_like(x, grad_scale) / count

    return head(lambda x: x, gradient, data, data)


@operator('make_loss', '_sparse_make_loss', infer=all_alike)
def plain_make_loss(data: jax.Array) -> jax.Array:
    """The input, as a loss: its gradient is 1."""
    return head(lambda x: x, lambda x, label, cotangent: jnp.ones_like(x), data, data)
