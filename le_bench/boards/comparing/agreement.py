"""How far two orders agree: correlation over units, and Kendall's tau over explainers.

Letters used for shapes: U units, P explainers, R bootstrap resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np

from le_bench.boards.comparing.contrasts import Contrast, resampled_contrasts
from le_bench.boards.statistics import CONFIDENCE, Floats, mean_and_error

_DECIMALS = 9  # means that differ by float noise only are equal


@dataclass(frozen=True, slots=True)
class RankAgreement:
    """Whether two sides order the same explainers alike.

    `tau` is Kendall's tau-b of the means, in [-1, 1] and NaN below two explainers or if a side
    ties all, with its percentile bootstrap interval. `changes` gives for each side the share of
    resamples in which another explainer wins than over all units, `apart` the share in which the
    sides have different winners. Winners are rows.
    """

    tau: float
    low: float
    high: float
    winners: tuple[int, int]
    changes: tuple[float, float]
    apart: float


@dataclass(frozen=True, slots=True)
class RankStability:
    """How one order of explainers holds in resamples of units.

    `ranks` (1 is best) are over all units, `low` and `high` the percentile interval of the rank
    in resamples, `wins` the share of resamples that an explainer wins. `tau` (median, low, high)
    is Kendall's tau-b between the order over all units and that of a resample.
    """

    ranks: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    wins: tuple[float, ...]
    tau: tuple[float, float, float]


def unit_correlations(first: Floats, second: Floats) -> tuple[float, float]:
    """Pearson's and Spearman's correlation of two (U,) scores over the units defined in both.

    Ties have average ranks. NaN below two shared units or if a side does not vary on them.
    """
    shared = ~(np.isnan(first) | np.isnan(second))
    a, b = first[shared], second[shared]
    return _pearson(a, b), _pearson(average_ranks(a), average_ranks(b))


def average_ranks(values: Floats) -> Floats:
    """Ranks from 1 of (U,) defined values; equal values share the average of their ranks.

    >>> average_ranks(np.array([0.5, 0.1, 0.5])).tolist()
    [2.5, 1.0, 2.5]
    """
    order = np.argsort(values, kind="stable")
    rising = values[order]
    first = np.flatnonzero(np.append(True, rising[1:] != rising[:-1])[: len(values)])
    last = np.append(first[1:], len(values))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat((first + 1 + last) / 2, last - first)
    return ranks


def _pearson(first: Floats, second: Floats) -> float:
    n = len(first)
    if n < 2 or (first == first[0]).all() or (second == second[0]).all():
        return nan
    a, b = first - np.add.reduce(first) / n, second - np.add.reduce(second) / n
    return min(max(float(a @ b) / sqrt(float(a @ a) * float(b @ b)), -1.0), 1.0)


def tau_b(first: Floats, second: Floats) -> Floats:
    """Kendall's tau-b of each row of (R, P) scores, (R,); one row is taken for all.

    NaN below two explainers, if a side ties all of them, or if a score is undefined.

    Source: Kendall, The treatment of ties in ranking problems (Biometrika, 1945).

    >>> tau_b(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 3.0, 2.0]])).round(3).tolist()
    [0.333]
    """
    one, other = np.triu_indices(first.shape[1], 1)
    a = np.sign((first[:, one] - first[:, other]).round(_DECIMALS))
    b = np.sign((second[:, one] - second[:, other]).round(_DECIMALS))
    with np.errstate(invalid="ignore", divide="ignore"):
        taus: Floats = (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return taus


def rank_agreements(
    pairs: Sequence[tuple[Sequence[Contrast], Sequence[Contrast]]],
) -> tuple[RankAgreement, ...]:
    """The agreement of each pair of sides over the same P explainers; higher means are better.

    Each explainer is the mean of its layers. Units are resampled within layers, the same for all
    explainers and for both sides where these have a layer in common; contrasts that pairs share are
    resampled once. There must be an explainer.
    """
    distinct = {id(each): each for pair in pairs for side in pair for each in side}
    places = {which: place for place, which in enumerate(distinct)}
    drawn = resampled_contrasts(list(distinct.values()))
    found = []
    for pair in pairs:
        one, other = (drawn[:, [places[id(each)] for each in side]] for side in pair)
        found.append(_agreement(_means(pair[0]), _means(pair[1]), (one, other)))
    return tuple(found)


def _agreement(first: Floats, second: Floats, resampled: tuple[Floats, Floats]) -> RankAgreement:
    """The agreement of the means (P,) of two sides, with those of resamples (R, P)."""
    means = first, second
    tau = float(tau_b(means[0][None], means[1][None])[0])
    low, high = _interval(tau_b(*resampled))
    winners = int(means[0].argmax()), int(means[1].argmax())
    best = [np.where(np.isnan(side), -np.inf, side).argmax(1) for side in resampled]
    changes = tuple(float((best[side] != winners[side]).mean()) for side in (0, 1))
    apart = float((best[0] != best[1]).mean())
    return RankAgreement(tau, low, high, winners, (changes[0], changes[1]), apart)


def rank_stability(explainers: Sequence[Contrast]) -> RankStability:
    """How the order of P explainers by their means holds; higher means are better."""
    means, resampled = _means(explainers), resampled_contrasts(explainers)
    ranks = _ranks(means[None])[0]
    drawn = _ranks(resampled)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0, method="inverted_cdf")
    taus = tau_b(means[None], resampled)
    wins = (drawn == 1).mean(0)
    middle = float(np.nanmedian(taus)) if not np.isnan(taus).all() else nan
    return RankStability(
        tuple(map(int, ranks)),
        tuple(map(float, low)),
        tuple(map(float, high)),
        tuple(map(float, wins)),
        (middle, *_interval(taus)),
    )


def _means(side: Sequence[Contrast]) -> Floats:
    return np.array(
        [
            round(sum(part.weight * mean_and_error(part.values).mean for part in row), _DECIMALS)
            for row in side
        ]
    )


def _ranks(means: Floats) -> Floats:
    """Ranks within rows of (R, P), 1 for the highest; equal means keep their order."""
    order = np.argsort(-means, axis=1, kind="stable")
    ranks = np.empty(means.shape)
    np.put_along_axis(ranks, order, np.arange(1.0, means.shape[1] + 1)[None], axis=1)
    return ranks


def _interval(drawn: Floats) -> tuple[float, float]:
    """The percentile interval of what is defined among (R,) resampled numbers."""
    defined = drawn[~np.isnan(drawn)]
    if not len(defined):
        return nan, nan
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)
