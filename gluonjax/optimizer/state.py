"""The state of an optimizer, and the learning rate in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp

from gluonjax.errors import ArgumentError
from gluonjax.lazy import suggests_keywords


class OptimizerState(NamedTuple):
    """The state of an optimizer whose learning rate is a number.

    Attributes:
        count: how many updates were made, `begin_num_update` included; int32.
        learning_rate: the rate of the next update; float32.
        inner: what the optimizer keeps for the parameters.
        counts: how many updates each parameter had, `begin_num_update` included: a tree like params of int32; None if
            the optimizer does not use them.
    """

    count: Any
    learning_rate: Any
    inner: Any
    counts: Any = None


class ScheduledState(OptimizerState):
    """The state of an optimizer with a scheduler: `learning_rate` is that of the last update."""

    __slots__ = ()


@suggests_keywords
def find_learning_rate(state: Any) -> jax.Array:
    """The learning rate in the state of an optimizer of ours, or of `optax.inject_hyperparams`, however it is wrapped.

    With a scheduler it is the rate of the last update.

    Raises:
        ArgumentError: if there is none, or more than one.

    >>> import optax
    >>> from gluonjax import optimizer
    >>> chain = optax.chain(optax.clip_by_global_norm(1.0), optimizer.SGD(learning_rate=0.5))
    >>> find_learning_rate(chain.init({'weight': jnp.zeros(2)}))
    Array(0.5, dtype=float32)
    """
    holder = _holder(state)
    return holder.learning_rate if isinstance(holder, OptimizerState) else holder.hyperparams['learning_rate']


@suggests_keywords
def with_learning_rate(state: Any, value: Any) -> Any:
    """The state with another learning rate, on the same devices and of the same dtype: nothing compiles again.

    Args:
        state: as for `find_learning_rate`; it stays as it is.
        value: a number.

    Raises:
        ArgumentError: if there is no learning rate, more than one, or one that a scheduler sets.
    """
    holder = _holder(state)
    if isinstance(holder, ScheduledState) or 'learning_rate' in getattr(holder, 'hyperparams_states', ()):
        raise ArgumentError(
            'a scheduler sets this learning rate', remedy='make the optimizer without lr_scheduler, or change that'
        )
    rate = _like(value, find_learning_rate(holder))
    if isinstance(holder, OptimizerState):
        changed = holder._replace(learning_rate=rate)
    else:
        changed = holder._replace(hyperparams={**holder.hyperparams, 'learning_rate': rate})
    return jax.tree.map(lambda node: changed if node is holder else node, state, is_leaf=_holds_rate)


def parameter_of(path: Iterable[Any], names: Iterable[str]) -> str | None:
    """The parameter that a leaf of an optimizer's state belongs to: the one whose name ends its path."""
    keys = '.'.join(str(entry.key) for entry in path if isinstance(entry, jax.tree_util.DictKey))
    found = [name for name in names if keys == name or keys.endswith(f'.{name}')]
    return max(found, key=len, default=None)


def _holds_rate(node: Any) -> bool:
    return isinstance(node, OptimizerState) or 'learning_rate' in (getattr(node, 'hyperparams', None) or ())


def _holder(state: Any) -> Any:
    """The one part of a state that has a learning rate."""
    holders = [node for node in jax.tree.leaves(state, is_leaf=_holds_rate) if _holds_rate(node)]
    if len(holders) == 1:
        return holders[0]
    raise ArgumentError(
        'this state has several learning rates' if holders else 'this state has no learning rate that can be changed',
        expected='the state of one optimizer of gluonjax.optimizer or of optax.inject_hyperparams',
        remedy='change each by itself' if holders else 'optax.inject_hyperparams(optax.adam)(learning_rate=0.001)',
    )


def _like(value: Any, old: Any) -> Any:
    """The number as an array that a compiled program takes in place of the old one."""
    new = jnp.broadcast_to(jnp.asarray(value, jnp.result_type(old)), jnp.shape(old))
    traced = isinstance(new, jax.core.Tracer) or isinstance(old, jax.core.Tracer)
    return jax.device_put(new, old.sharding) if not traced and getattr(old, 'committed', False) else new
