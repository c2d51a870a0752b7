"""Where random transforms have their numbers from: in a loader, from a generator that each sample has of its own.

So a sample is transformed alike whoever transforms it, and however many do so at once.
"""

from __future__ import annotations

import contextvars
from collections.abc import Sequence

import numpy as np

from gluonjax.data.batching import seed_of
from gluonjax.keys import next_key

# The seed of the sample that is being loaded; once numbers were drawn, its generator.
_CURRENT: contextvars.ContextVar[Sequence[int] | np.random.Generator | None] = contextvars.ContextVar(
    'sample', default=None
)


def generator() -> np.random.Generator:
    """The generator of the sample that is being loaded; outside of a loader, of the next key of the library's stream.

    >>> begin_sample([0, 1, 2])
    >>> round(generator().random(), 4), round(generator().random(), 4)
    (0.8817, 0.2892)
    >>> begin_sample(None)
    """
    current = _CURRENT.get()
    if isinstance(current, np.random.Generator):
        return current
    if current is None:
        with next_key() as key:
            return np.random.default_rng(seed_of(key))
    made = np.random.default_rng(current)
    _CURRENT.set(made)
    return made


def begin_sample(seed: Sequence[int] | None) -> None:
    """From here on the numbers of this thread or task are those of a sample; of none, if the seed is None."""
    _CURRENT.set(seed)
