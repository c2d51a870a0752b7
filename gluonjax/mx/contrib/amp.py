"""`contrib.amp`: networks that compute their products in half precision, with parameters in float32.

>>> from gluonjax.mx import autograd, gluon, nd
>>> from gluonjax.mx.contrib import amp
>>> amp.init('bfloat16')
>>> net = gluon.nn.Dense(2)
>>> net.initialize()
>>> trainer = gluon.Trainer(net.collect_params(), 'sgd')
>>> amp.init_trainer(trainer)
>>> with autograd.record():
...     loss = gluon.loss.L2Loss()(net(nd.ones((1, 3))), nd.ones((1, 2)))
...     with amp.scale_loss(loss, trainer) as scaled:
...         autograd.backward(scaled)
>>> trainer.step(1)
>>> net(nd.ones((1, 3))).dtype, net.weight.dtype
(<class 'ml_dtypes.bfloat16'>, <class 'numpy.float32'>)
>>> amp.finish()
"""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp

from gluonjax import checks
from gluonjax.errors import ArgumentError
from gluonjax.mx import casting
from gluonjax.mx.array import NDArray
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.block import HybridBlock
from gluonjax.mx.gluon.trainer import Trainer
from gluonjax.mx.tape import Tracked

amp: ModuleType = sys.modules[__name__]  # a module of MXNet whose names are here
_DTYPES = ('float16', 'bfloat16')


def init(
    target_dtype: Any = 'float16',
    target_precision_ops: Sequence[str] | None = None,
    conditional_fp32_ops: Any = None,
    fp32_ops: Sequence[str] | None = None,
) -> None:
    """Has dense, convolutional and recurrent layers, and products of matrices, compute in half precision from here on.

    Losses, softmax, logarithms and sums compute in float32. Call it before networks are called.

    Args:
        target_dtype: 'float16' or 'bfloat16', which needs no scale of the loss.
        target_precision_ops: further operators that compute in it.
        conditional_fp32_ops: accepted.
        fp32_ops: further operators that compute in float32.

    Raises:
        ArgumentError: for another dtype.
    """
    name = jnp.dtype(target_dtype).name
    checks.one_of('target_dtype', name, _DTYPES)
    casting.begin(name, target_precision_ops or (), fp32_ops or ())


def finish() -> None:
    """Ends what `init` began. MXNet has no such function."""
    casting.end()


class LossScaler:
    """The scale of the loss: halved where a gradient is not finite, doubled after many steps without.

    Attributes:
        loss_scale: the scale.
    """

    def __init__(self, init_scale: float = 2.0**16, scale_factor: float = 2.0, scale_window: int = 2000):
        self.loss_scale: float = init_scale
        self._factor, self._window, self._since = scale_factor, scale_window, 0

    def has_overflow(self, params: Sequence[Any]) -> bool:
        """Whether a gradient of these parameters is not finite; that changes the scale."""
        gradients = [grad.value for p in params if p.grad_req != 'null' for grad in p.list_grad()]
        overflow = not bool(_all_finite(gradients))
        self._since = 0 if overflow else self._since + 1
        if overflow:
            self.loss_scale = max(1.0, self.loss_scale / self._factor)
        elif self._since == self._window:
            self.loss_scale, self._since = self.loss_scale * self._factor, 0
        return overflow


@jax.jit
def _all_finite(arrays: list[jax.Array]) -> jax.Array:
    return jnp.all(jnp.stack([jnp.isfinite(array).all() for array in arrays])) if arrays else jnp.bool_(True)


def init_trainer(optimizer_or_trainer: Trainer) -> None:
    """Gives a Trainer a scale of the loss: steps whose gradients are not finite then change nothing.

    Raises:
        ArgumentError: for something else than a `gluon.Trainer`.
    """
    if not isinstance(optimizer_or_trainer, Trainer):
        raise ArgumentError('amp scales the loss for a gluon.Trainer', got=type(optimizer_or_trainer).__name__)
    optimizer_or_trainer.loss_scaler = LossScaler(1.0 if casting.target() == 'bfloat16' else 2.0**16)


def _scaler(trainer: Trainer) -> LossScaler:
    if trainer.loss_scaler is None:
        raise ArgumentError('the Trainer has no scale of the loss', remedy='amp.init_trainer(trainer)')
    return trainer.loss_scaler


@contextlib.contextmanager
def scale_loss(loss: Any, optimizer_or_trainer: Trainer) -> Iterator[Any]:
    """A `with` block that gives the loss, or a list of losses, times the scale; `step` divides gradients by it.

    Raises:
        ArgumentError: without `init_trainer`.
    """
    scale = _scaler(optimizer_or_trainer).loss_scale
    optimizer_or_trainer.gradient_scale = scale
    yield [each * scale for each in loss] if isinstance(loss, list | tuple) else loss * scale


def unscale(optimizer_or_trainer: Trainer) -> None:
    """Divides the gradients by the scale now, to clip them say; `step` then does not.

    Raises:
        ArgumentError: without `init_trainer`.
    """
    _scaler(optimizer_or_trainer)
    for gradient in optimizer_or_trainer.gradients():
        gradient.assign(Tracked(gradient.value / optimizer_or_trainer.gradient_scale))
    optimizer_or_trainer.gradient_scale = 1.0


class _Converted(HybridBlock):
    """A network in half precision, which casts its inputs."""

    def __init__(self, network: HybridBlock, dtype: str):
        super().__init__(prefix='')
        self.network: HybridBlock = network
        self._dtype = dtype

    def forward(self, *args: Any) -> Any:
        def cast(x: Any) -> Any:
            return x.astype(self._dtype) if jnp.issubdtype(x.value.dtype, jnp.floating) else x

        return self.network(*jax.tree.map(cast, args, is_leaf=lambda x: isinstance(x, NDArray)))


def convert_hybrid_block(block: HybridBlock, target_dtype: Any = 'float16', **kwargs: Any) -> HybridBlock:
    """A copy of a network for inference in half precision: its parameters, and inputs of floating point, are cast.

    Args:
        block: the network, with values.
        target_dtype: 'float16' or 'bfloat16'.
        **kwargs: MXNet's lists of operators; accepted, everything is cast.

    Raises:
        ArgumentError: for another dtype, or what is no HybridBlock.
    """
    name = checks.one_of('target_dtype', jnp.dtype(target_dtype).name, _DTYPES)
    if not isinstance(block, HybridBlock):
        raise ArgumentError('convert_hybrid_block takes a HybridBlock', got=type(block).__name__)
    network = copy.deepcopy(block)
    network.cast(name)
    return _Converted(network, name)


explain_calls(globals())
