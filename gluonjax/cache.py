"""Caches, in which the layers of a network remember a sequence so far."""

from __future__ import annotations

from typing import Any

from jax.typing import DTypeLike

from gluonjax.layer import Layer
from gluonjax.lazy import suggests_keywords
from gluonjax.param import trace_state
from gluonjax.run import Bindable, Cache, Run
from gluonjax.tree import items_of


@suggests_keywords
def init_cache(layer: Layer, batch_size: int, length: int, dtype: DTypeLike | None = None) -> Any:
    """An empty cache, for decoding: `output, cache = layer.apply(params, tokens, cache=cache)`, also by `net(...)`.

    The layers that remember a sequence (causal `MultiHeadAttention`, recurrent layers), and those that count
    positions, go on from there: the output for the next tokens, one or several, is that of the whole sequence so
    far. The new cache has the shapes and dtypes of the old one. Where such a layer is given a state by the layer
    around it, nothing changes for it. Each runs once in a pass. A convolution over time has no cache.

    Layers of your own join in by overriding this: what it returns is handed to `forward` as `cache=`, which then
    returns `(output, next cache)`.

    Args:
        batch_size: the number of sequences.
        length: the largest number of tokens.
        dtype: of keys and values; by default that of the parameters.

    >>> from gluonjax import nn
    >>> layer = nn.Sequential(nn.MultiHeadAttention(4, 2, causal=True)).definition
    >>> layer.init_cache(batch_size=1, length=8).entries['0'].key.shape
    (1, 8, 2, 2)
    """
    entries: dict[str, Any] = {}
    for path, child in items_of(vars(layer)):
        cache = child.init_cache(batch_size, length, dtype) if isinstance(child, Layer) else Cache({})
        below = cache.entries if isinstance(cache, Cache) else {'': cache}
        entries |= {'.'.join((*path, at)).rstrip('.'): entry for at, entry in below.items()}
    return Cache(entries)


def run_with_cache(run: Run, definition: Bindable, inputs: Any, named: Any) -> Any:
    """The output, and the cache after these inputs; what layers remember is recorded as running statistics are."""
    entries = {f'{path} cache': entry for path, entry in named.pop('cache').entries.items()}
    if run.values is not None:
        run.values, run.trace = {**run.values, **entries}, trace_state()
        run.recordable |= entries.keys()
    output = run(definition, inputs, named)
    return output, Cache({name[:-6]: run.recorded.pop(name, entry) for name, entry in entries.items()})
