"""`contrib.rand_zipfian`, of arrays and of symbols."""

from __future__ import annotations

import math
from typing import Any

from gluonjax import checks
from gluonjax.mx import ndarray, symbol
from gluonjax.mx.array import NDArray
from gluonjax.mx.entry import explain_calls


def rand_zipfian(true_classes: Any, num_sampled: int, range_max: int, ctx: Any = None) -> tuple[Any, Any, Any]:
    """Classes that are drawn with probabilities `log((c + 2) / (c + 1)) / log(range_max + 1)`, with replacement.

    Args:
        true_classes: an array or a Symbol of classes.
        num_sampled: how many are drawn.
        range_max: how many classes there are.
        ctx: accepted.

    Returns:
        The classes; how often each of `true_classes` is expected among them; and how often each of those drawn.
    """
    checks.size('num_sampled', num_sampled)
    F: Any = ndarray if isinstance(true_classes, NDArray) else symbol
    whole = math.log(checks.size('range_max', range_max) + 1)
    drawn = F.exp(F.random.uniform(0, whole, shape=(num_sampled,))) - 1
    classes = F.cast(F.clip(F.floor(drawn), 0, range_max - 1), dtype='int32')

    def expected(of: Any) -> Any:
        numbers = F.cast(of, dtype='float32')
        return F.log((numbers + 2) / (numbers + 1)) * (num_sampled / whole)

    return classes, expected(true_classes), expected(classes)


explain_calls(globals())
