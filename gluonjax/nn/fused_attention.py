"""cuDNN's fused attention, taken where a program is compiled for CUDA and the kernel knows the case."""

from __future__ import annotations

import contextlib
import functools
import importlib
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.interpreters import ad, batching, mlir
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from gluonjax.errors import ArgumentError
from gluonjax.nn.kernels import Primitive

_LOCK = threading.Lock()
_LARGEST_HEAD = 256  # Hopper's and later; JAX refuses more than 128 where it sees an older GPU
_CUDNN = 'jax._src.cudnn.fused_attention_stablehlo'


class _AnyVersion(types.ModuleType):
    """Stands for JAX's table of versions where no cuDNN is installed."""

    def cudnn_get_version(self) -> int:
        return 90_000


@contextlib.contextmanager
def _without_asking_for_cudnn() -> Iterator[None]:
    """JAX asks for the version of the installed cuDNN while it traces, on a machine without a GPU too.

    A program may be exported there for CUDA, or traced for CPU with both ways in it. Where JAX keeps its question
    elsewhere, it is asked: then such a program has XLA's attention.
    """
    try:
        module: Any = importlib.import_module(_CUDNN)
    except ImportError:
        yield
        return
    with _LOCK:
        installed = getattr(module, 'cuda_versions', True)
        if installed is None:
            module.cuda_versions = _AnyVersion('any')
        try:
            yield
        finally:
            if installed is None:
                module.cuda_versions = None


def dot_product_attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    bias: jax.Array | None = None,
    mask: jax.Array | None = None,
    lengths: jax.Array | None = None,
    *,
    scale: float,
    causal: bool,
    otherwise: Callable[..., jax.Array],
    training: bool = False,
    crossed: bool = False,
    forced: bool = False,
) -> jax.Array:
    """Attention by cuDNN on CUDA, and by `otherwise` on other platforms.

    Both are traced; the platform that the program is compiled for decides. Gradients are cuDNN's there.

    Args:
        query: (N, T, heads, head_size), as are key and value, of the length S, with as many heads or a divisor.
        key: see there.
        value: see there.
        bias: added to the products, (N or 1, heads or 1, T or 1, S or 1).
        mask: True where a query may attend to a key; of a shape like that of a bias.
        lengths: how many keys are valid in each example, integers of shape (N,).
        scale: of the products.
        causal: whether query t attends to keys 0 to t only.
        otherwise: of `query, key, value, bias, mask, lengths`.
        training: whether it is a step, in which layers before have said how arrays are cut over devices.
        crossed: whether keys come from something else than queries, such as parameters, which are the same everywhere.
        forced: refuses other platforms, and what cuDNN does not know, by an ArgumentError when the program is compiled:
            so shapes are inferred all the same.
    """
    cudnn = functools.partial(_cudnn, scale=scale, causal=causal, training=training, crossed=crossed)
    arrays = query, key, value, bias, mask, lengths
    reason = _reason_against(*arrays, causal=causal) if forced else None

    def refused(*arrays: jax.Array | None) -> jax.Array:
        return refused_p.bind(otherwise(*arrays), reason=reason)

    if reason is not None:
        return refused(*arrays)
    with _without_asking_for_cudnn():
        return lax.platform_dependent(*arrays, cuda=cudnn, default=refused if forced else otherwise)


def is_covered(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    bias: jax.Array | None = None,
    mask: jax.Array | None = None,
    lengths: jax.Array | None = None,
    *,
    causal: bool,
) -> bool:
    """Whether cuDNN knows such an attention, forward and backward; the arguments are those of the function."""
    sizes = (*query.shape, *key.shape)
    if not (query.dtype in ('bfloat16', 'float16') and all(isinstance(size, int) and size > 0 for size in sizes)):
        return False
    added = bias is not None or mask is not None
    odd = query.shape[1] % 2 or key.shape[1] % 2
    if query.shape[-1] % 8 or query.shape[-1] > _LARGEST_HEAD or (added and odd):
        return False
    if bias is not None and bias.dtype != query.dtype:  # cuDNN adds it in the precision of the queries
        return False
    return _reason_against(query, key, value, bias, mask, lengths, causal=causal) is None


def _reason_against(*arrays: jax.Array | None, causal: bool) -> str | None:
    """Why JAX refuses cuDNN for such an attention: an older GPU, no cuDNN, a size; None if it does not."""
    try:
        with _without_asking_for_cudnn():
            jax.eval_shape(functools.partial(_cudnn, scale=1.0, causal=causal, training=True, crossed=False), *arrays)
    except (NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        return str(error)
    return None


def _refused(context: Any, _: Any, *, reason: str | None) -> Any:
    platforms = ', '.join(context.module_context.platforms)
    raise ArgumentError(
        "implementation='cudnn' asks for a kernel that does not compute this attention",
        expected='a program compiled for CUDA, and a case that cuDNN knows',
        got=f'a program for {platforms}' if reason is None else reason,
        remedy='implementation=None takes it where it can be taken',
    )


refused_p: Any = Primitive('refused')  # what it is given, in a program that cannot be compiled
refused_p.def_abstract_eval(lambda form, **_: form)
refused_p.def_impl(jax.jit(refused_p.bind, static_argnames='reason'))
mlir.register_lowering(refused_p, _refused)
ad.deflinear(refused_p, lambda slope, reason: [refused_p.bind(slope, reason=reason)])
batching.defvectorized(refused_p)


def _cudnn(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    bias: jax.Array | None,
    mask: jax.Array | None,
    lengths: jax.Array | None,
    *,
    scale: float,
    causal: bool,
    training: bool,
    crossed: bool,
) -> jax.Array:
    (batch, queries), keys = query.shape[:2], key.shape[1]
    if lengths is not None:
        # cuDNN has no answer for no keys: queries of zeros attend to all alike, which is their mean
        some = lengths > 0
        query = jnp.where(some[:, None, None, None], query, 0)
        lengths = jnp.where(some, jnp.minimum(lengths, keys), keys).astype(jnp.int32)
    # under `vmap`, JAX's rule knows biases of all examples and heads alone
    every = batch, query.shape[2], queries, keys
    bias, mask = (None if array is None else jnp.broadcast_to(array, every) for array in (bias, mask))
    full = None if lengths is None else jnp.full_like(lengths, queries)
    true = _true_for_each((query, key, value, bias, mask, lengths))
    query, key, value = (jnp.where(true, array, array) for array in (query, key, value))
    query, key, value = _cut_by_heads(query, key, value, training, crossed)
    bias, mask, lengths, full = (
        None if array is None else _cut_like(query, jnp.where(true, array, array))
        for array in (bias, mask, lengths, full)
    )
    y = jax.nn.dot_product_attention(
        query,
        key,
        value,
        bias,
        mask,
        scale=scale,
        is_causal=causal,
        query_seq_lengths=full,
        key_value_seq_lengths=lengths,
        implementation='cudnn',
    )
    return jnp.where(true, y, y)


def _cut_by_heads(query: jax.Array, key: jax.Array, value: jax.Array, training: bool, crossed: bool) -> list[jax.Array]:
    """Queries, keys and values that XLA cuts over devices by examples and heads alone, or JAX refuses to cut cuDNN.

    Nor may queries be cut by other axes of the mesh than keys. In a step the batch has some of the axes, and parameters
    are where rules put them. Elsewhere XLA may take any axis for the heads, if only all of them divide those of keys.
    """
    mesh = jax.typeof(query).sharding.mesh
    if mesh.empty or any(kind != AxisType.Auto for kind in mesh.axis_types):
        return [query, key, value]
    if crossed:
        query, key, value = _cut_like(key[:, :, :1], query), *(_cut_like(query[:, :, :1], kv) for kv in (key, value))
    free = PartitionSpec.UNCONSTRAINED
    by_heads = training or all(key.shape[2] % size == 0 for size in mesh.shape.values())
    where = NamedSharding(mesh, PartitionSpec(free, None, free if by_heads else None, None))
    return [lax.with_sharding_constraint(array, where) for array in (query, key, value)]


def _cut_like(query: jax.Array, array: jax.Array) -> jax.Array:
    """An array of shape (N,) or (N, heads, T, S) that XLA cuts over devices as it cuts the query.

    Of a query with one head, any array (N, ...) of four axes is cut by examples as that is.

    JAX's partitioning of cuDNN takes a bias or lengths that are not cut for those of the examples and heads of each
    device. So they are computed from the query, by a condition of which XLA does not find out that it is never true.
    """
    bits = lax.bitcast_convert_type(query[:, :1, :, :1].swapaxes(1, 2), jnp.uint16)
    never = (bits & 1) >> 1 == 1
    return jnp.where(never if array.ndim > 1 else never[:, 0, 0, 0], jnp.zeros((), array.dtype), array)


def _true_for_each(arrays: Sequence[jax.Array | None]) -> jax.Array:
    """True, with an axis under `vmap` if any of the arrays has one.

    JAX's rules for cuDNN under `vmap` ask for the axis in all inputs, and in the slope of the output, if one has it.
    What is selected by this value has it. XLA finds out that it is true always: on the device nothing is computed.
    """
    true = jnp.array(True)
    for array in arrays:
        if array is not None:
            first = array.ravel()[0]
            true |= lax.bitcast_convert_type(first, jnp.uint16) == 0 if first.dtype.itemsize == 2 else first == 0
    return true
