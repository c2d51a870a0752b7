"""Comparisons of random numbers with their distributions, for `mx.test_utils`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import special

from gluonjax.errors import ArgumentError

Buckets = Sequence[Any]  # (least, largest) of each, or the numbers themselves


def mean_check(generator: Callable[[int], Any], mu: float, sigma: float, nsamples: int = 1_000_000) -> bool:
    """Whether the mean of samples is within three of its standard deviations."""
    return abs(np.asarray(generator(nsamples)).mean() - mu) < 3 * sigma / np.sqrt(nsamples)


def var_check(generator: Callable[[int], Any], sigma: float, nsamples: int = 1_000_000) -> bool:
    """Whether the variance of samples is that of a normal distribution, within three standard deviations."""
    variance = np.asarray(generator(nsamples)).var(ddof=1)
    return abs(variance - sigma**2) < 3 * np.sqrt(2 * sigma**4 / (nsamples - 1))


def gen_buckets_probs_with_ppf(ppf: Callable[[Any], Any], nbuckets: int) -> tuple[list[tuple[Any, Any]], list[float]]:
    """Buckets of equal probability, and these probabilities, by the inverse of a cumulative distribution.

    >>> gen_buckets_probs_with_ppf(lambda p: 4 * p, 2)
    ([(0.0, 2.0), (2.0, 4.0)], [0.5, 0.5])
    """
    ends = [ppf(i / nbuckets) for i in range(nbuckets + 1)]
    return list(itertools.pairwise(ends)), [1 / nbuckets] * nbuckets


def chi_square_check(
    generator: Callable[[int], Any], buckets: Buckets, probs: Sequence[float], nsamples: int = 1_000_000
) -> tuple[float, np.ndarray, np.ndarray]:
    """The p-value of samples under a distribution, and how many were found and expected in each bucket.

    Args:
        generator: gives so many samples.
        buckets: neighbouring intervals, or numbers.
        probs: their probabilities.
        nsamples: how many.

    Raises:
        ArgumentError: if there is not one probability for each bucket.
    """
    if len(buckets) != len(probs):
        raise ArgumentError('there is one probability for each bucket', expected=len(buckets), got=len(probs))
    samples = np.asarray(generator(nsamples)).reshape(-1)
    if isinstance(buckets[0], tuple | list):
        ends = np.array([buckets[0][0], *(high for _, high in buckets)], np.float64)
        places = np.searchsorted(ends, samples, 'right') - 1
        found = np.bincount(places[(places >= 0) & (places < len(buckets))], minlength=len(buckets))
    else:
        found = np.array([(samples == number).sum() for number in buckets])
    expected = np.asarray(probs, np.float64) * len(samples)
    scaled = expected * (found.sum() / expected.sum())
    p = special.chdtrc(len(found) - 1, (np.square(found - scaled) / scaled).sum())  # scipy.stats takes long to load
    return float(p), found, expected


def verify_generator(
    generator: Callable[[int], Any],
    buckets: Buckets,
    probs: Sequence[float],
    nsamples: int = 1_000_000,
    nrepeat: int = 5,
    success_rate: float = 0.2,
    alpha: float = 0.05,
) -> list[float]:
    """Compares samples with a distribution several times: the p-values.

    Args:
        generator: gives so many samples.
        buckets: neighbouring intervals, or numbers.
        probs: their probabilities.
        nsamples: how many, each time.
        nrepeat: how many times.
        success_rate: how often at least the p-value must be above alpha.
        alpha: the significance level.

    Raises:
        AssertionError: if it is not so often.
    """
    values = [chi_square_check(generator, buckets, probs, nsamples)[0] for _ in range(nrepeat)]
    if sum(p > alpha for p in values) < nrepeat * success_rate:
        raise AssertionError(f'the samples have another distribution: p-values {values}')
    return values
