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
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp

from gluonjax import checks
from gluonjax.errors import ArgumentError
from gluonjax.hints import missing
from gluonjax.mx import casting
from gluonjax.mx.array import NDArray
from gluonjax.mx.contrib.conversion import CONDITIONAL, in_half_precision, only_used_by
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.block import HybridBlock
from gluonjax.mx.gluon.trainer import Trainer
from gluonjax.mx.graph import DTYPE_CODES
from gluonjax.mx.op import OPERATORS
from gluonjax.mx.symbol import Symbol
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


def __getattr__(name: str) -> Any:
    if name == '_amp_initialized':  # which libraries on Gluon ask for
        return casting.is_on()
    raise missing(f'module {__name__!r}', name, __name__, list(globals()))


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


# Graphs.

# Operators whose inputs MXNet gives the widest of their dtypes, and losses, whose outputs are scaled.
_WIDEST = (
    *(f'broadcast_{name}' for name in ('add', 'sub', 'mul', 'div', 'mod', 'power', 'maximum', 'minimum', 'hypot')),
    *(f'elemwise_{name}' for name in ('add', 'sub', 'mul', 'div')),
    *('Concat', 'add_n', 'stack', 'where', '_maximum', '_minimum', '_power', '_mod', '_hypot'),
)
_LOSSES = ('SoftmaxOutput', 'LinearRegressionOutput', 'LogisticRegressionOutput', 'MAERegressionOutput')


def _name(target_dtype: Any) -> str:
    return checks.one_of('target_dtype', jnp.dtype(target_dtype).name, _DTYPES)


def list_lp16_ops(target_dtype: Any = 'float16') -> list[str]:
    """The operators that compute in half precision."""
    return sorted(casting.LOW) if _name(target_dtype) else []


def list_fp32_ops(target_dtype: Any = 'float16') -> list[str]:
    """The operators that compute in float32."""
    return sorted({*casting.HIGH, *_LOSSES}) if _name(target_dtype) else []


def list_conditional_fp32_ops(target_dtype: Any = 'float16') -> list[tuple[str, str, list[str]]]:
    """The operators that compute in float32 for some values of an attribute: name, attribute, values."""
    return [(op, key, list(values)) for op, key, values in CONDITIONAL] if _name(target_dtype) else []


def list_widest_type_cast(target_dtype: Any = 'float16') -> list[str]:
    """The operators whose inputs get the widest of their dtypes."""
    return sorted(_WIDEST) if _name(target_dtype) else []


def list_loss_output_functions(target_dtype: Any = 'float16') -> list[str]:
    """The operators that are losses."""
    return sorted(_LOSSES) if _name(target_dtype) else []


def list_lp16_fp32_ops(target_dtype: Any = 'float16') -> list[str]:
    """The operators that compute in whatever dtype their inputs have."""
    lists = (list_lp16_ops, list_fp32_ops, list_widest_type_cast)
    others = {name for names in lists for name in names(target_dtype)} | {op for op, _, _ in CONDITIONAL}
    return sorted({entry.name for entry in OPERATORS.values()} - others)


def list_lp16_use_fp32_params(target_dtype: Any = 'float16') -> list[str]:
    """The operators of half precision whose parameters stay in float32: none, they are cast where they are used."""
    return [_name(target_dtype)][1:]


def convert_symbol(
    sym: Symbol,
    target_dtype: Any = 'float16',
    target_dtype_ops: Sequence[str] | None = None,
    fp32_ops: Sequence[str] | None = None,
    conditional_fp32_ops: Sequence[tuple[str, str, Sequence[str]]] | None = None,
    excluded_sym_names: Sequence[str] | None = None,
    data_names: Sequence[str] | None = None,
    cast_optional_params: bool = False,
) -> Symbol:
    """A graph that computes its products in half precision: with casts in front of operators.

    Args:
        sym: the graph.
        target_dtype: 'float16' or 'bfloat16'.
        target_dtype_ops: the operators that compute in it; by default those of `list_lp16_ops`.
        fp32_ops: the operators that compute in float32; by default those of `list_fp32_ops`.
        conditional_fp32_ops: operators that do for some values of an attribute, as of `list_conditional_fp32_ops`.
        excluded_sym_names: names of nodes that stay as they are.
        data_names: the inputs, which are cast also with `cast_optional_params`.
        cast_optional_params: whether parameters that operators of half precision alone use are of half precision.

    Raises:
        ArgumentError: for another dtype, or names of nodes that there are not.

    >>> from gluonjax.mx import sym
    >>> net = convert_symbol(sym.softmax(sym.FullyConnected(sym.var('data'), num_hidden=2, name='fc')), 'bfloat16')
    >>> [node.name for node in net.nodes if node.op == 'amp_cast'][-1]
    'fc_output_amp_cast_float32'
    """
    name, excluded = _name(target_dtype), list(excluded_sym_names or ())
    if unknown := [one for one in excluded if one not in [node.name for node in sym.nodes]]:
        raise ArgumentError(f'the graph has no node {unknown[0]!r}', remedy='sym.get_internals().list_outputs()')
    low = casting.LOW if target_dtype_ops is None else target_dtype_ops
    high = {*casting.HIGH, *_LOSSES} if fp32_ops is None else fp32_ops
    conditional = CONDITIONAL if conditional_fp32_ops is None else conditional_fp32_ops
    data = ('data',) if data_names is None else data_names
    halved = [one for one in only_used_by(sym, low, excluded) if one not in data] if cast_optional_params else []
    made = in_half_precision(sym, name, low, {*high} - {*low}, conditional, _WIDEST, excluded, halved)
    for node in made.nodes:
        if node.name in halved and name in DTYPE_CODES:
            node.attributes['__dtype__'] = str(DTYPE_CODES.index(name))
    return made


def convert_model(
    sym: Symbol,
    arg_params: Mapping[str, NDArray],
    aux_params: Mapping[str, NDArray],
    target_dtype: Any = 'float16',
    target_dtype_ops: Sequence[str] | None = None,
    fp32_ops: Sequence[str] | None = None,
    conditional_fp32_ops: Sequence[tuple[str, str, Sequence[str]]] | None = None,
    excluded_sym_names: Sequence[str] | None = None,
    cast_optional_params: bool = False,
) -> tuple[Symbol, dict[str, NDArray], dict[str, NDArray]]:
    """`convert_symbol` of a checkpoint; parameters are cast with `cast_optional_params`, as far as that goes."""
    operators = target_dtype_ops, fp32_ops, conditional_fp32_ops, excluded_sym_names
    made = convert_symbol(sym, target_dtype, *operators, None, cast_optional_params)
    low = casting.LOW if target_dtype_ops is None else target_dtype_ops
    halved = only_used_by(sym, low, excluded_sym_names or ()) if cast_optional_params else []
    name = _name(target_dtype)
    return made, {k: x.astype(name) if k in halved else x for k, x in arg_params.items()}, dict(aux_params)


def convert_bucketing_module(bucketing_mod: Any, target_dtype: Any = 'float16', **kwargs: Any) -> Any:
    """Refused: convert the symbols that `sym_gen` gives.

    Raises:
        ArgumentError: with what to write.
    """
    remedy = 'BucketingModule(lambda key: (amp.convert_symbol(sym_gen(key)[0]), data_names, label_names), ...)'
    raise ArgumentError('a BucketingModule that is bound stays in its dtype', remedy=remedy)


explain_calls(globals())
