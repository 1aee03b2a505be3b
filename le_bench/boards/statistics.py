"""Means over units with their uncertainty, and paired comparisons of rows on the same units.

Letters used for shapes: U units, P rows or pairs, R bootstrap resamples. NaN is an undefined
score. Every number is the same on any machine and numpy version up to the last bits of float64:
resamples come from raw PCG64 draws, whose stream numpy keeps stable (NEP 19),
and not from `Generator`, whose stream it may change.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]

NUM_RESAMPLES = 2000
CONFIDENCE = 0.95
INTERVAL = f"percentile bootstrap over units, {CONFIDENCE:.0%}, {NUM_RESAMPLES:,} resamples"
_BLOCK = 2**22


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over `num_units` defined units; NaN over none, and no error below two."""

    mean: float
    standard_error: float
    num_units: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean of first - second over the `num_units` units defined in both, with its interval.

    `mean` is NaN without a shared unit; error and interval are NaN below two shared units.
    """

    mean: float
    standard_error: float
    low: float
    high: float
    num_units: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves 0 out; False if there is no interval."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Best:
    """The row with the best mean, and for each row whether it is tied with it.

    `row` is None if all rows are undefined. The best row itself and undefined rows are not tied.
    """

    row: int | None
    tied: tuple[bool, ...]


def mean_and_error(values: Floats) -> Mean:
    """Mean and standard error (std with ddof=1 over sqrt(n)) of the defined among (U,) values.

    >>> mean_and_error(np.array([1.0, 3.0, np.nan]))
    Mean(mean=2.0, standard_error=1.0, num_units=2)
    """
    defined = values[~np.isnan(values)]
    n = len(defined)
    mean = float(np.add.reduce(defined)) / n if n else nan
    if n < 2:
        return Mean(mean, nan, n)
    deviations = defined - mean  # as numpy's std to the last bit, at a third of its overhead
    return Mean(mean, sqrt(float(np.add.reduce(deviations * deviations)) / (n - 1)) / sqrt(n), n)


def seed_from_key(key: str) -> int:
    """A seed that depends on a hexadecimal key only: its first 16 digits as a number."""
    return int(key[:16], 16)


def draw_resamples(
    num_units: int, seed: int = 0, num_resamples: int = NUM_RESAMPLES
) -> NDArray[np.uint16]:
    """How often each unit is drawn in each bootstrap resample, (R, U); each row sums to U.

    Unit floor(u * U / 2^32) is drawn for a 32-bit u, so chances are equal to within U / 2^32.
    Rows compared with the same resamples are compared on the same units: that is the pairing.
    """
    stream = np.random.PCG64(seed)
    counts = np.empty((num_resamples, num_units), dtype=np.uint16)
    size = max(1, _BLOCK // max(1, num_units))
    for start in range(0, num_resamples, size):
        rows = min(size, num_resamples - start)
        raw = np.asarray(stream.random_raw(rows * num_units), dtype=np.uint64) >> np.uint64(32)
        unit = ((raw * np.uint64(num_units)) >> np.uint64(32)).astype(np.int64)
        place = unit + np.repeat(np.arange(rows), num_units) * num_units
        drawn = np.bincount(place, minlength=rows * num_units)
        counts[start : start + rows] = drawn.reshape(rows, num_units)
    return counts


def bootstrap_intervals(
    rows: Floats, resamples: NDArray[np.uint16], confidence: float = CONFIDENCE
) -> Floats:
    """Percentile bootstrap intervals of the means of (P, U) rows: (P, 2), low and high.

    A resample draws from all U units and averages the defined ones it holds, so that whether a
    unit is defined is resampled with its score; without NaN this is
    `scipy.stats.bootstrap(method="percentile")`. NaN for a row with fewer than two defined units.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    defined = ~np.isnan(rows)
    intervals = np.full((len(rows), 2), nan)
    enough = defined.sum(axis=1) > 1
    if not enough.any():
        return intervals
    means = resampled_means(rows[enough], resamples)
    tail = (1 - confidence) / 2
    quantile = np.nanquantile if np.isnan(means).any() else np.quantile
    intervals[enough] = quantile(means, [tail, 1 - tail], axis=0).T
    return intervals


def resampled_means(rows: Floats, resamples: NDArray[np.uint16]) -> Floats:
    """Means of (P, U) rows in each resample, (R, P); NaN where no defined unit of it was drawn."""
    defined = ~np.isnan(rows)
    filled = np.where(defined, rows, 0.0).T
    present = defined.T.astype(np.float64)
    complete = bool(defined.all())
    means = np.empty((len(resamples), len(rows)))
    size = max(1, _BLOCK // max(1, resamples.shape[1]))
    for start in range(0, len(resamples), size):
        counts = resamples[start : start + size].astype(np.float64)
        sizes = float(resamples.shape[1]) if complete else counts @ present
        with np.errstate(invalid="ignore"):
            means[start : start + size] = (counts @ filled) / sizes
    return means


def paired_differences(
    first: Floats,
    second: Floats,
    resamples: NDArray[np.uint16],
    confidence: float = CONFIDENCE,
) -> tuple[Difference, ...]:
    """First minus second for each of P pairs of rows (P, U), over the units defined in both.

    The interval is the percentile bootstrap over units of the mean of the paired differences;
    nothing is corrected for the number of pairs.
    """
    gaps = first - second
    intervals = bootstrap_intervals(gaps, resamples, confidence)
    summaries = [mean_and_error(gap) for gap in gaps]
    return tuple(
        Difference(each.mean, each.standard_error, float(low), float(high), each.num_units)
        for each, (low, high) in zip(summaries, intervals, strict=True)
    )


def best_and_ties(
    rows: Floats, *, higher_is_better: bool = True, confidence: float = CONFIDENCE
) -> Best:
    """The best of (P, U) rows by mean, and which rows cannot be told apart from it.

    A row is tied unless its paired interval of best minus row lies on the best's side of 0. The
    intervals are simultaneous: Student's t for the mean difference over the shared units, at
    confidence 1 - (1 - confidence) / (P (P - 1) / 2), which is Bonferroni over all pairs of rows
    and not only over those with the best, because the data chose the best. So if several rows
    are truly equally good, with probability `confidence` all of them are the best or marked.
    Rows with fewer than two units shared with the best count as tied: nothing tells them apart.
    Of equal means (to nine decimals) the first row is best. Only defined rows count in P.

    Source of the problem and of simultaneous intervals for it: Hsu, Multiple Comparisons (1996),
    chapter 4; Bonferroni replaces his quantiles because rows of one column are correlated.
    """
    summaries = [mean_and_error(row) for row in rows]
    sign = 1.0 if higher_is_better else -1.0
    defined = [index for index, each in enumerate(summaries) if each.num_units]
    tied = [False] * len(rows)
    if not defined:
        return Best(None, tuple(tied))
    best = max(defined, key=lambda index: (round(sign * summaries[index].mean, 9), -index))
    num_pairs = max(1, len(defined) * (len(defined) - 1) // 2)
    tail = (1 - confidence) / (2 * num_pairs)
    for index in (row for row in defined if row != best):
        lead = mean_and_error(sign * (rows[best] - rows[index]))
        if lead.num_units < 2:
            tied[index] = True
        else:
            reach = float(stdtrit(lead.num_units - 1, 1 - tail)) * lead.standard_error
            tied[index] = not lead.mean - reach > 0
    return Best(best, tuple(tied))
