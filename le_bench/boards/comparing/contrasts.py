"""Weighted means over independent layers: bootstrap intervals, tests, and Holm's correction.

Letters used for shapes: U units, K contrasts, R bootstrap resamples. NaN is an undefined number.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf, isnan, nan, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from le_bench.boards.grid import Column
from le_bench.boards.statistics import (
    CONFIDENCE,
    NUM_RESAMPLES,
    Floats,
    Mean,
    draw_resamples,
    mean_and_error,
    resampled_means,
    seed_from_key,
)

_BLOCK = 2000  # contrasts resampled together: 32 MB


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Scores, or paired differences, of a layer's units (U,) and the weight of their mean."""

    layer: Column
    values: Floats
    weight: float = 1.0


Contrast = tuple[Part, ...]  # at most one part a layer


@dataclass(frozen=True, slots=True)
class Estimate:
    """A weighted mean of layers' means, over `num_units` defined units.

    `low` and `high` are the percentile bootstrap interval, `p_value` tests that the mean is 0. All
    but the mean are NaN if a part has fewer than two defined units, the mean if one has none.
    """

    mean: float
    standard_error: float
    low: float
    high: float
    p_value: float
    num_units: int


UNDEFINED = Estimate(nan, nan, nan, nan, nan, 0)


def resampled_contrasts(contrasts: Sequence[Contrast]) -> Floats:
    """The weighted means in each bootstrap resample, (R, K).

    The units of a layer are drawn anew for each layer, from a seed that is the layer's own, and
    are the same for all contrasts: so differences are paired within and independent between layers.
    Scores that several contrasts share, as one array, are resampled once.
    """
    parts: dict[tuple[Column, int], list[tuple[int, Part]]] = defaultdict(list)
    for number, contrast in enumerate(contrasts):
        for part in contrast:
            parts[part.layer, len(part.values)].append((number, part))
    totals = np.zeros((len(contrasts), NUM_RESAMPLES))
    for (layer, num_units), members in parts.items():
        distinct = {id(part.values): part.values for _, part in members}
        rows = {which: row for row, which in enumerate(distinct)}
        means = resampled_means(np.stack(list(distinct.values())), _resamples(layer, num_units)).T
        for number, part in members:
            totals[number] += means[rows[id(part.values)]] * part.weight
    return totals.T


@lru_cache(maxsize=16)  # drawn for differences and for orders; 4 MB a thousand units
def _resamples(layer: Column, num_units: int) -> NDArray[np.uint16]:
    seed = seed_from_key(hashlib.sha256("\n".join(layer).encode()).hexdigest())
    return draw_resamples(num_units, seed)


def estimate(contrasts: Sequence[Contrast]) -> tuple[Estimate, ...]:
    """The estimate of each contrast.

    The interval is the percentile bootstrap with the units of each layer resampled by themselves.
    The test is Student's t with the degrees of freedom of Welch and Satterthwaite; for one layer
    of paired differences that is the paired t-test. A spread of exactly 0 gives p = 0, or 1 if
    the mean is 0 too. Memory: 32 MB beside the resamples of one layer.

    Source: Welch, The generalization of Student's problem (Biometrika, 1947).
    """
    return tuple(
        each
        for start in range(0, len(contrasts), _BLOCK)
        for each in _estimate_block(contrasts[start : start + _BLOCK])
    )


def _estimate_block(contrasts: Sequence[Contrast]) -> Iterator[Estimate]:
    means = resampled_contrasts(contrasts)
    tail = (1 - CONFIDENCE) / 2
    quantile = np.nanquantile if np.isnan(means).any() else np.quantile
    distinct = {id(part.values): part.values for contrast in contrasts for part in contrast}
    found = {which: mean_and_error(values) for which, values in distinct.items()}
    usable = [
        number
        for number, contrast in enumerate(contrasts)
        if contrast and all(found[id(part.values)].num_units > 1 for part in contrast)
    ]
    bounds = np.full((2, len(contrasts)), nan)
    if usable:
        bounds[:, usable] = quantile(means[:, usable], [tail, 1 - tail], axis=0)
    for contrast, (low, high) in zip(contrasts, bounds.T, strict=True):
        summaries = [found[id(part.values)] for part in contrast]
        yield _estimate_one(contrast, summaries, float(low), float(high))


def _estimate_one(
    contrast: Contrast, summaries: Sequence[Mean], low: float, high: float
) -> Estimate:
    if not contrast:
        return UNDEFINED
    mean = sum(part.weight * s.mean for part, s in zip(contrast, summaries, strict=True))
    num_units = sum(s.num_units for s in summaries)
    if isnan(low):
        return Estimate(mean, nan, nan, nan, nan, num_units)
    variances = [
        (part.weight * s.standard_error) ** 2 for part, s in zip(contrast, summaries, strict=True)
    ]
    total = sum(variances)
    error = sqrt(total)
    if error == 0:
        return Estimate(mean, 0.0, low, high, float(mean == 0), num_units)
    pieces = zip(variances, summaries, strict=True)
    spread = sum(variance**2 / (s.num_units - 1) for variance, s in pieces)
    degrees = total**2 / spread if spread > 0 else inf
    p_value = 2 * float(stdtr(degrees, -abs(mean) / error))
    return Estimate(mean, error, low, high, p_value, num_units)


def holm(p_values: Floats) -> Floats:
    """p-values corrected for their number by Holm's method, (K,); NaN ones are no tests.

    If all corrected values below 0.05 are called significant, the chance that any of them is a
    true null is at most 5%, however the tests depend on each other.

    Source: Holm, A simple sequentially rejective multiple test procedure (1979).

    >>> holm(np.array([0.01, nan, 0.04, 0.03])).tolist()
    [0.03, nan, 0.06, 0.06]
    """
    corrected = np.full(len(p_values), nan)
    tests = np.flatnonzero(~np.isnan(p_values))
    order = tests[np.argsort(p_values[tests], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return corrected
