"""Rank agreement: scipy as oracle, planted orders, and simulated truth."""

from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from le_bench.boards.comparing.agreement import (
    RankAgreement,
    average_ranks,
    rank_agreements,
    rank_stability,
    tau_b,
    unit_correlations,
)
from le_bench.boards.comparing.contrasts import Contrast, Part, resampled_contrasts

LAYER = ("cnn", "layer1")
few = st.lists(st.integers(0, 4), min_size=2, max_size=8)


def agreement_of(first: list[Contrast], second: list[Contrast]) -> RankAgreement:
    """That of one pair of sides."""
    return rank_agreements([(first, second)])[0]


def side(rows: np.ndarray, layer: tuple[str, str] = LAYER) -> list[Contrast]:
    return [(Part(layer, row),) for row in rows]


@given(
    st.integers(2, 8).flatmap(
        lambda n: st.tuples(*[st.lists(st.integers(0, 3), min_size=n, max_size=n)] * 2)
    )
)
def test_tau_equals_scipy_with_ties(pair: tuple[list[int], list[int]]) -> None:
    """Kendall's tau-b is scipy's, NaN where a side ties all."""
    first, second = (np.array(side, dtype=float) for side in pair)

    tau = tau_b(first[None], second[None])[0]

    oracle = stats.kendalltau(first, second, variant="b").statistic
    assert tau == pytest.approx(oracle, nan_ok=True)


@given(few)
def test_average_ranks_equal_scipy(values: list[int]) -> None:
    """Equal values share the average of their ranks."""
    assert average_ranks(np.array(values, float)).tolist() == stats.rankdata(values).tolist()


def test_unit_correlations_equal_scipy_on_shared_units() -> None:
    """Pearson and Spearman with ties, over the units that both sides score."""
    random = np.random.default_rng(0)
    first = random.normal(size=40).round(1)
    second = (first + random.normal(size=40)).round(1)
    first[3], second[7] = nan, nan
    kept = [unit for unit in range(40) if unit not in (3, 7)]

    pearson, spearman = unit_correlations(first, second)

    assert pearson == pytest.approx(stats.pearsonr(first[kept], second[kept]).statistic)
    assert spearman == pytest.approx(stats.spearmanr(first[kept], second[kept]).statistic)


@pytest.mark.parametrize("second", [[nan, nan, 0.2], [0.5, 0.5, 0.5]])
def test_unit_correlations_can_be_undefined(second: list[float]) -> None:
    """One shared unit, or a side that does not vary, gives no correlation."""
    assert all(map(isnan, unit_correlations(np.array([0.1, 0.2, 0.3]), np.array(second))))


def test_identical_orders_have_tau_1() -> None:
    """The same scores, or the same up to scale and offset, agree in every resample."""
    rows = np.random.default_rng(1).normal(size=(6, 30))

    same = agreement_of(side(rows), side(2 * rows + 5))

    assert (same.tau, same.low, same.high) == (1.0, 1.0, 1.0)
    assert same.apart == 0.0
    assert same.winners[0] == same.winners[1]


def test_reversed_orders_have_tau_minus_1() -> None:
    """Mirrored scores agree in nothing."""
    rows = np.random.default_rng(2).normal(size=(5, 30))

    mirrored = agreement_of(side(rows), side(-rows))

    assert (mirrored.tau, mirrored.low, mirrored.high) == (-1.0, -1.0, -1.0)
    assert mirrored.apart == 1.0


def test_agreement_equals_a_slow_computation() -> None:
    """Tau's interval and the winners are those of the resampled means, one resample at a time."""
    random = np.random.default_rng(3)
    first = random.normal(size=(5, 25)) + np.arange(5)[:, None] / 6
    second = first + random.normal(size=(5, 25))

    found = agreement_of(side(first), side(second))

    one, other = resampled_contrasts(side(first)), resampled_contrasts(side(second))
    taus = [stats.kendalltau(a, b).statistic for a, b in zip(one, other, strict=True)]
    winner = int(first.mean(1).argmax())
    assert found.tau == pytest.approx(stats.kendalltau(first.mean(1), second.mean(1)).statistic)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(taus, [0.025, 0.975])))
    assert found.changes[0] == np.mean([int(row.argmax()) != winner for row in one])
    assert found.apart == np.mean(one.argmax(1) != other.argmax(1))


def test_tau_intervals_cover_the_truth() -> None:
    """Of 300 intervals for explainers at known distances, at least 95% hold the true tau.

    Tau moves in steps, so that an interval holds at least its nominal share where the order is
    settled by the data; the standard error of a share of 300 is 1.3%.
    """
    random = np.random.default_rng(4)
    true = np.array([0.0, 0.4, 0.8, 1.2, 1.6]), np.array([0.4, 0.0, 0.8, 1.6, 1.2])
    truth = stats.kendalltau(*true).statistic

    def covers() -> bool:
        units = random.normal(size=60)
        sides = [side(mean[:, None] + units + random.normal(0, 1.0, size=(5, 60))) for mean in true]
        found = agreement_of(*sides)
        return bool(found.low <= truth <= found.high)

    assert np.mean([covers() for _ in range(300)]) > 0.93


def test_winner_of_equal_explainers_changes_often() -> None:
    """Two equally good explainers swap in many resamples, a clear winner in none."""
    random = np.random.default_rng(5)
    rows = random.normal(size=(2, 80))
    rows -= rows.mean(1, keepdims=True) - np.array([[1e-6], [0.0]])

    even = agreement_of(side(rows), side(rows)).changes[0]
    clear = agreement_of(side(rows + np.array([[2.0], [0.0]])), side(rows)).changes[0]

    assert 0.4 < even < 0.6
    assert clear == 0.0


def test_stability_equals_a_slow_computation() -> None:
    """Ranks, their interval, wins and tau are those of the resampled means."""
    random = np.random.default_rng(6)
    rows = random.normal(size=(4, 30)) + np.array([0.3, 0.0, 0.2, -2.0])[:, None]

    found = rank_stability(side(rows))

    drawn = resampled_contrasts(side(rows))
    ranks = stats.rankdata(-drawn, axis=1)
    means = rows.mean(1)
    taus = [stats.kendalltau(means, each).statistic for each in drawn]
    assert found.ranks == tuple(stats.rankdata(-means))
    assert found.wins == pytest.approx(tuple((ranks == 1).mean(0)))
    assert found.low == tuple(np.quantile(ranks, 0.025, axis=0, method="inverted_cdf"))
    assert found.high == tuple(np.quantile(ranks, 0.975, axis=0, method="inverted_cdf"))
    assert found.tau == pytest.approx(
        (np.median(taus), *np.quantile(taus, [0.025, 0.975])), nan_ok=True
    )


def test_one_explainer_has_no_tau() -> None:
    """A single explainer is always the best and has nothing to agree on."""
    rows = np.random.default_rng(7).normal(size=(1, 10))

    found = rank_stability(side(rows))

    assert (found.ranks, found.wins) == ((1,), (1.0,))
    assert all(map(isnan, found.tau))
