"""Attention."""

from __future__ import annotations

import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from gluonjax.checks import at_least_float32, flag, floating, known, number, one_of, optional_size, promoted, size
from gluonjax.errors import ArgumentError, DTypeError, ShapeError
from gluonjax.init.initializer import InitializerLike
from gluonjax.layer import Layer
from gluonjax.nn import fused_attention
from gluonjax.nn.arguments import rank
from gluonjax.nn.dense import Dense
from gluonjax.nn.dropout import Dropout


class AttentionCache(NamedTuple):
    """The keys and values of a sequence so far, for decoding; made by `MultiHeadAttention.init_cache`."""

    key: jax.Array  # (N, length, num_kv_heads, head_size), and so is value
    value: jax.Array
    position: jax.Array  # where the next element goes: the number of elements so far, an int32


class MultiHeadAttention(Layer):
    """Multi-head attention: (N, T, C) and, for cross attention, (N, S, C') -> (N, T, units).

    Vaswani et al. (2017): `softmax(query @ key.T * scale + bias) @ value` for each head, between linear layers
    `query`, `key`, `value` and `out` (`Dense`, so the weights are `query.weight` of shape (heads * head_size, C), ...).
    The softmax is computed in float32 at least. In a program compiled for CUDA, cuDNN's fused kernel computes it in
    bfloat16 and float16 where it knows the case: head sizes that are multiples of 8, up to 128 (256 from Hopper on); a
    bias of the dtype of the queries, and masks, over even lengths; no dropout in training. What is fastest there is
    `causal` and `valid_length` rather than a mask. Everywhere else `jax.nn.dot_product_attention` computes it, but for
    dropout of the weights in training, float16 and float64. The kernel has no forward-mode derivatives and no second
    ones, so in half precision those need `implementation='xla'`, on any platform.

    Args:
        units: the size of the output.
        num_heads: the number of heads of the queries.
        dropout: in training, the probability with which an attention weight is zeroed; needs a key.
        use_bias: whether the four linear layers have biases.
        causal: True lets element t attend to elements 0 to t only, counted from the beginning if T and S differ.
        num_kv_heads: the number of heads of keys and values, a divisor of `num_heads`; each is shared by a group of
            adjacent heads of queries. None for `num_heads`; 1 is multi-query attention (Shazeer 2019), others are
            grouped-query attention (Ainslie et al. 2023).
        head_size: of each head; None for `units / num_heads`.
        scale: of the products; None for `head_size ** -0.5`.
        rotary: a `RotaryPositions`, which rotates queries and keys; None for none.
        implementation: None chooses for the platform that the program is compiled for, as above; 'xla' never takes
            cuDNN, and 'cudnn' always does in half precision, but for dropout in training: other platforms, and what
            the kernel does not know, are refused when the program is compiled.
        dtype: the dtype of the parameters.
        weight_initializer: of the four weights.
        bias_initializer: of the four biases.
        in_units: C; None (or 0) lets the first input decide.
        memory_units: C', which is C without a memory; None (or 0) lets the first input decide.

    It is called with `x`, with `x, memory`, from which keys and values are computed, or with `x, memory, values`, where
    the memory gives the keys only. By name:
        mask: booleans, True where an element of `x` may attend to one of the memory. Its shape is (N, num_heads, T, S),
            or has 1 in place of any of these. An element that may attend to nothing gets the mean of all values.
        bias: added before the softmax; of a shape like that of a mask.
        valid_length: how many elements of the memory are valid in each example, integers of shape (N,). NaN and
            infinity in elements beyond it, or that the mask hides from all of `x`, are read as 0.
        cache: an `AttentionCache`; see `init_cache`. The result is then `(output, new cache)`. A network that is given
            its own cache hands each layer's on.

    Raises:
        ArgumentError: if an argument has no such value, or heads do not divide evenly; when called, if a cache is given
            together with a memory, or to a layer that is not causal; when compiled, as `implementation` says.
        ShapeError: when called, for a wrong number of axes, lengths or batches that differ, a mask, bias or cache of
            another shape, or a cache that is too short.
        DTypeError: when called, if the mask is not boolean.

    >>> layer = MultiHeadAttention(8, num_heads=2, causal=True)
    >>> x = jax.random.normal(jax.random.key(0), (1, 3, 5))
    >>> params = layer.init(0, x)
    >>> y = layer.apply(params, x)
    >>> y.shape
    (1, 3, 8)
    >>> cache = layer.init_cache(batch_size=1, length=3)
    >>> for t in range(3):
    ...     step, cache = layer.apply(params, x[:, t : t + 1], cache=cache)
    >>> bool(jnp.allclose(step, y[:, 2:]))
    True
    """

    units: int
    num_heads: int
    num_kv_heads: int
    head_size: int
    use_bias: bool
    causal: bool
    scale: float | None
    implementation: Literal['xla', 'cudnn'] | None
    in_units: int | None
    memory_units: int | None
    query: Dense
    key: Dense
    value: Dense
    out: Dense
    rotary: Any  # a Layer, or None
    dropout: Dropout

    def __init__(
        self,
        units: int,
        num_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        causal: bool = False,
        num_kv_heads: int | None = None,
        head_size: int | None = None,
        scale: float | None = None,
        rotary: Layer | None = None,
        implementation: Literal['xla', 'cudnn'] | None = None,
        dtype: DTypeLike = 'float32',
        weight_initializer: InitializerLike | None = None,
        bias_initializer: InitializerLike | None = 'zeros',
        in_units: int | None = None,
        memory_units: int | None = None,
    ):
        self.units, self.num_heads = size('units', units), size('num_heads', num_heads)
        self.num_kv_heads = self.num_heads if num_kv_heads is None else size('num_kv_heads', num_kv_heads)
        if self.num_heads % self.num_kv_heads:
            raise ArgumentError(f'num_kv_heads must divide num_heads={num_heads}, got {num_kv_heads}')
        if head_size is None and self.units % self.num_heads:
            raise ArgumentError(
                f'units must be a multiple of num_heads={num_heads}, got {units}', remedy='give head_size'
            )
        if not (rotary is None or isinstance(rotary, Layer)):
            raise ArgumentError(f'rotary must be a layer, such as nn.RotaryPositions(), or None; got {rotary!r}')
        self.head_size = self.units // self.num_heads if head_size is None else size('head_size', head_size)
        self.use_bias, self.causal = flag('use_bias', use_bias), flag('causal', causal)
        self.scale = None if scale is None else number('scale', scale)
        self.implementation = one_of('implementation', implementation, (None, 'xla', 'cudnn'))
        self.in_units = optional_size('in_units', in_units)
        self.memory_units = optional_size('memory_units', memory_units)

        def linear(width: int, inputs: int | None) -> Dense:
            return Dense(width, None, self.use_bias, False, dtype, weight_initializer, bias_initializer, inputs)

        self.query = linear(self.num_heads * self.head_size, self.in_units)
        self.key = linear(self.num_kv_heads * self.head_size, self.memory_units)
        self.value = linear(self.num_kv_heads * self.head_size, self.memory_units)
        self.out = linear(self.units, self.num_heads * self.head_size)
        self.rotary, self.dropout = rotary, Dropout(dropout)

    def init_cache(self, batch_size: int, length: int, dtype: DTypeLike | None = None) -> AttentionCache:
        """An empty cache, for decoding: a causal layer takes a sequence in parts, and the cache holds what came before.

        `y, cache = layer.apply(params, x, cache=cache)` takes the next elements, one or several, and returns for them
        what the whole sequence so far would give. A layer that is not causal, and attends to a memory, keeps nothing.
        The new cache has the shapes and dtypes of the old one, so it can be
        carried through `lax.scan`, or donated. `mask` and `bias` are then over all `length` elements. A sequence longer
        than the cache is a ShapeError where the position is known, and NaN where it is traced.

        Args:
            batch_size: N.
            length: the largest number of elements.
            dtype: of the cached keys and values; by default that of the parameters.
        """
        length = size('length', length) if self.causal else 0
        shape = (size('batch_size', batch_size, 0), length, self.num_kv_heads, self.head_size)
        empty = jnp.zeros(shape, self.key.weight.dtype if dtype is None else dtype)
        return AttentionCache(empty, empty, jnp.zeros((), jnp.int32))

    def forward(
        self,
        x: jax.Array,
        memory: jax.Array | None = None,
        values: jax.Array | None = None,
        mask: jax.Array | None = None,
        bias: jax.Array | None = None,
        valid_length: jax.Array | None = None,
        cache: AttentionCache | None = None,
    ) -> Any:
        if cache is not None and memory is not None and not self.causal:
            return self.forward(x, memory, values, mask, bias, valid_length), cache
        arrays = _checked_inputs(x, memory, values)
        if cache is not None:
            self._check_cache(cache, x, memory is not None or values is not None)
        keys = arrays[1].shape[1] if cache is None else cache.key.shape[1]
        mask, bias = _checked_weights(mask, bias, (x.shape[0], self.num_heads, x.shape[1], keys))
        shown = mask if valid_length is None else _both(mask, _valid(valid_length, x.shape[0], keys))
        if shown is not None and cache is None:
            arrays = _finite(arrays, hidden=~shown.any((1, 2)))
        query, key, value = self._projected(*arrays)
        start = jnp.zeros((), jnp.int32) if cache is None else cache.position
        if self.rotary is not None:
            query, key = self.rotary(query, positions=start), self.rotary(key, positions=start)
        if cache is None:
            return self.out(
                self._attend(query, key, value, mask, bias, valid_length, crossed=arrays[1] is not arrays[0])
            )
        cache = _extended(cache, key, value)
        key, value = cache.key.astype(key.dtype), cache.value.astype(value.dtype)
        y = self.out(self._attend(query, key, value, mask, bias, valid_length, start))
        return jnp.where(cache.position <= key.shape[1], y, jnp.nan), cache

    def _projected(self, x: jax.Array, memory: jax.Array, values: jax.Array) -> tuple[jax.Array, ...]:
        """Queries, keys and values: (N, T or S, heads, head_size)."""
        return tuple(
            linear(array).reshape(*array.shape[:2], heads, self.head_size)
            for linear, array, heads in (
                (self.query, x, self.num_heads),
                (self.key, memory, self.num_kv_heads),
                (self.value, values, self.num_kv_heads),
            )
        )

    def _attend(
        self,
        query: jax.Array,
        key: jax.Array,
        value: jax.Array,
        mask: jax.Array | None,
        bias: jax.Array | None,
        valid_length: jax.Array | None,
        start: jax.Array | None = None,
        crossed: bool = False,
    ) -> jax.Array:
        """(N, T, heads, head_size) -> (N, T, heads * head_size); `start`: where queries begin among cached keys."""
        query, key, value = promoted(query, key, value)
        (batch, queries), keys = query.shape[:2], key.shape[1]
        mask, valid_length, causal = _hidden(mask, valid_length, self.causal, start, (batch, queries, keys))
        scale = self.head_size**-0.5 if self.scale is None else self.scale
        dropped = self.training and self.dropout.rate > 0
        half = query.dtype in ('bfloat16', 'float16')
        arrays = query, key, value, bias, mask, valid_length
        if dropped:
            y = _attention(*arrays, scale=scale, causal=causal, dropout=self.dropout)
        else:
            settings = {'scale': scale, 'causal': causal, 'training': self.training, 'crossed': crossed}
            y = _attend_by(self.implementation if half else 'xla', *arrays, **settings)
        return y.reshape(batch, queries, self.num_heads * self.head_size)

    def _check_cache(self, cache: AttentionCache, x: jax.Array, memory_given: bool) -> None:
        if not self.causal or memory_given:
            raise ArgumentError(
                'a cache is for decoding',
                expected='a causal layer, and no memory',
                got=f'causal={self.causal}, {"a" if memory_given else "no"} memory',
            )
        if not isinstance(cache, AttentionCache):
            raise ArgumentError(
                'this is no cache', got=type(cache).__name__, remedy='layer.init_cache(batch_size, length)'
            )
        shape = (x.shape[0], cache.key.shape[1] if cache.key.ndim == 4 else None, self.num_kv_heads, self.head_size)
        floating(cache.key)
        if cache.key.shape != shape or cache.value.shape != shape:
            raise ShapeError(
                'the cache has another shape than keys and values',
                expected=f'{shape} (N, length, num_kv_heads, head_size)',
                got=f'{cache.key.shape} and {cache.value.shape}',
                remedy='layer.init_cache(batch_size, length)',
            )
        start = known(cache.position)
        if (0 if start is None else start) + x.shape[1] > cache.key.shape[1]:
            raise ShapeError(
                'the sequence is longer than the cache',
                expected=f'{cache.key.shape[1]} elements at most',
                got=f'{x.shape[1]} more' + ('' if start is None else f' after {start}'),
                remedy='layer.init_cache with a larger length',
            )


@functools.partial(jax.jit, static_argnums=0, static_argnames=('scale', 'causal', 'training', 'crossed'))
def _attend_by(implementation: str | None, *arrays: Any, scale: float, causal: bool, **cut: bool) -> jax.Array:
    """Attention without dropout; jitted, so that JAX traces and differentiates it once for all blocks of a network."""
    xla = functools.partial(_attention, scale=scale, causal=causal, dropout=None)
    forced = implementation == 'cudnn'
    if forced or (implementation is None and fused_attention.is_covered(*arrays, causal=causal)):
        settings: dict[str, Any] = {'scale': scale, 'causal': causal, 'otherwise': xla, 'forced': forced}
        return fused_attention.dot_product_attention(*arrays, **settings, **cut)
    return xla(*arrays)


def _hidden(
    mask: jax.Array | None,
    valid_length: jax.Array | None,
    causal: bool,
    start: jax.Array | None,
    shape: tuple[int, int, int],
) -> tuple[jax.Array | None, jax.Array | None, bool]:
    """What queries may not attend to, of shape (N, T, S): a mask; or valid lengths and whether it is causal from 0."""
    batch, queries, keys = shape
    if causal and start is not None and queries == 1 and mask is None:  # the last element of those so far
        now = jnp.broadcast_to(jnp.minimum(start + 1, keys), (batch,))
        return None, now if valid_length is None else jnp.minimum(now, valid_length), False
    if causal and not (mask is None and start is None):
        last = jnp.arange(queries) + (0 if start is None else start)
        mask, causal = _both(mask, (jnp.arange(keys)[None] <= last[:, None])[None, None]), False
    if mask is not None and valid_length is not None:
        mask, valid_length = _both(mask, _valid(valid_length, batch, keys)), None
    return mask, valid_length, causal


def _attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    bias: jax.Array | None,
    mask: jax.Array | None,
    valid_length: jax.Array | None,
    *,
    scale: float,
    causal: bool,
    dropout: Dropout | None,
) -> jax.Array:
    """Attention by XLA: `jax.nn.dot_product_attention`, or in any dtype by hand, with dropout of the weights."""
    if valid_length is not None:
        mask = _both(mask, _valid(valid_length, query.shape[0], key.shape[1]))
    if dropout is None and query.dtype == 'float32':
        return jax.nn.dot_product_attention(
            query, key, value, bias, mask, scale=scale, is_causal=causal, implementation='xla'
        )
    if causal:
        mask = _both(mask, jnp.tri(query.shape[1], key.shape[1], dtype=bool)[None, None])
    return _attention_by_hand(query, key, value, mask, bias, scale, dropout)


def _attention_by_hand(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None,
    bias: jax.Array | None,
    scale: float,
    dropout: Dropout | None,
) -> jax.Array:
    """`jax.nn.dot_product_attention` with dropout of the weights, and in any dtype."""
    batch, queries, heads, head_size = query.shape
    keys, kv_heads = key.shape[1:3]
    wide = at_least_float32(query.dtype)
    grouped = query.reshape(batch, queries, kv_heads, heads // kv_heads, head_size)
    logits = scale * _products(grouped, key)
    logits = logits.reshape(batch, heads, queries, keys)
    if bias is not None:
        logits = logits + bias.astype(wide)
    if mask is not None:
        logits = jnp.where(mask, logits, 0.7 * jnp.finfo(jnp.float32).min)  # finite, as there: no NaN without keys
    weights = jax.nn.softmax(logits).astype(value.dtype)
    weights = weights if dropout is None else dropout(weights)
    weights = weights.reshape(batch, kv_heads, heads // kv_heads, queries, keys)
    return jnp.einsum('nkgts,nskh->ntkgh', weights, value).reshape(query.shape)


@jax.custom_jvp
def _products(query: jax.Array, key: jax.Array) -> jax.Array:
    """The products of queries, (N, T, K, G, head_size), with keys, (N, S, K, head_size), in float32 at least.

    The gradient with respect to them comes in float32 from the softmax. It is rounded to the dtype of queries and keys,
    so that the products of the backward pass have factors of half precision, too.
    """
    return jnp.einsum('ntkgh,nskh->nkgts', query, key, preferred_element_type=at_least_float32(query.dtype))


@_products.defjvp
def _products_jvp(arrays: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]):
    (query, key), (of_query, of_key) = arrays, tangents
    y = _products(query, key)
    tangent = jnp.einsum('ntkgh,nskh->nkgts', of_query, key) + jnp.einsum('ntkgh,nskh->nkgts', query, of_key)
    return y, tangent.astype(y.dtype)


def _extended(cache: AttentionCache, key: jax.Array, value: jax.Array) -> AttentionCache:
    """The cache with more keys and values; where it is too short, they overwrite the last ones."""

    def put(cached: jax.Array, new: jax.Array) -> jax.Array:
        return lax.dynamic_update_slice_in_dim(cached, new.astype(cached.dtype), cache.position, 1)

    return AttentionCache(put(cache.key, key), put(cache.value, value), cache.position + key.shape[1])


def _both(mask: jax.Array | None, other: jax.Array) -> jax.Array:
    return other if mask is None else mask & other


def _valid(valid_length: jax.Array, batch: int, keys: int) -> jax.Array:
    """A mask of the first `valid_length` elements, (N, 1, 1, S)."""
    if valid_length.shape != (batch,) or not jnp.issubdtype(valid_length.dtype, jnp.integer):
        raise ShapeError(
            'valid_length must have an integer for each example',
            expected=f'integers of shape {(batch,)}',
            got=f'{valid_length.dtype} of shape {valid_length.shape}',
        )
    return (jnp.arange(keys)[None] < valid_length[:, None])[:, None, None]


def _finite(arrays: tuple[jax.Array, jax.Array, jax.Array], hidden: jax.Array) -> tuple[jax.Array, ...]:
    """`x, memory, values` with zeros for what is not finite in elements that are hidden, (N or 1, S).

    Their weights are 0, but 0 times NaN is NaN, in the output and in gradients.
    """
    x, memory, values = arrays

    def finite(array: jax.Array) -> jax.Array:
        return jnp.where(hidden[..., None] & ~jnp.isfinite(array), jnp.zeros((), array.dtype), array)

    kept = finite(memory)
    return kept if x is memory else x, kept, kept if values is memory else finite(values)


def _checked_inputs(
    x: jax.Array, memory: jax.Array | None, values: jax.Array | None
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """`x, memory, values`, with the inputs that stand for those not given."""
    memory = x if memory is None else memory
    values = memory if values is None else values
    for array in (x, memory, values):
        floating(array)
        rank(array, 3, 'N, T, C')
    if memory.shape[:2] != values.shape[:2]:
        raise ShapeError('keys and values differ in length', expected=memory.shape[:2], got=values.shape[:2])
    if memory.shape[0] != x.shape[0]:
        raise ShapeError('the memory has another batch than the input', expected=x.shape[0], got=memory.shape[0])
    if memory.shape[1] == 0 < x.shape[1]:
        raise ShapeError('there is nothing to attend to', expected='a length of at least 1', got=memory.shape)
    return x, memory, values


def _checked_weights(
    mask: jax.Array | None, bias: jax.Array | None, shape: tuple[int, ...]
) -> tuple[jax.Array | None, jax.Array | None]:
    """The mask and the bias, if they broadcast to attention weights of this shape."""
    for name, array in (('mask', mask), ('bias', bias)):
        if array is None:
            continue
        if array.ndim != 4 or any(one not in (1, full) for one, full in zip(array.shape, shape, strict=True)):
            raise ShapeError(
                f'the {name} does not broadcast to the attention weights',
                expected=f'{shape} (N, heads, T, S), or 1 in place of any of these',
                got=array.shape,
                remedy=f'{name}[None, None] of shape (T, S), {name}[:, None, None] of shape (N, S)',
            )
    if mask is not None and mask.dtype != bool:
        raise DTypeError('a mask must be boolean', got=mask.dtype, remedy='mask != 0; numbers to add are bias=')
    if bias is not None:
        floating(bias)
    return mask, bias
