"""Means, bootstrap intervals, paired differences and ties, held against scipy and simulation."""

from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from le_bench.boards.statistics import (
    Best,
    Mean,
    best_and_ties,
    bootstrap_intervals,
    draw_resamples,
    mean_and_error,
    paired_differences,
    seed_from_key,
)


def test_mean_and_error_agree_with_scipy() -> None:
    """The standard error is scipy's, over defined units only."""
    values = np.random.default_rng(0).exponential(size=101)

    summary = mean_and_error(np.concatenate([values, [nan, nan]]))

    assert summary.mean == pytest.approx(values.mean())
    assert summary.standard_error == pytest.approx(stats.sem(values))
    assert summary.num_units == 101


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([], Mean(nan, nan, 0)),
        ([nan, nan], Mean(nan, nan, 0)),
        ([0.25, nan], Mean(0.25, nan, 1)),
        ([0.25, 0.25], Mean(0.25, 0.0, 2)),
    ],
)
def test_mean_of_few_units(values: list[float], shown: Mean) -> None:
    """Without units there is no mean, with one no error."""
    assert str(mean_and_error(np.array(values))) == str(shown)


def test_seed_comes_from_the_first_digits_of_the_key() -> None:
    """The seed is the key's first 16 hexadecimal digits."""
    assert seed_from_key("00000000000000ff" + "e" * 48) == 255


def test_resamples_have_known_counts() -> None:
    """The stream of resamples is fixed for ever: boards depend on it."""
    counts = draw_resamples(5, seed=7, num_resamples=4)

    assert counts.tolist() == [[0, 2, 0, 2, 1], [1, 0, 1, 1, 2], [0, 3, 2, 0, 0], [0, 0, 1, 2, 2]]


def test_resamples_draw_each_unit_equally_often() -> None:
    """Each resample has U draws, uniform over units by a chi-squared test."""
    counts = draw_resamples(97, seed=3, num_resamples=500)

    assert (counts.sum(axis=1) == 97).all()
    assert stats.chisquare(counts.sum(axis=0)).pvalue > 0.01


def test_resamples_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing in small blocks, as for layers with many units, gives the same counts."""
    whole = draw_resamples(11, seed=1, num_resamples=50)
    monkeypatch.setattr("le_bench.boards.statistics._BLOCK", 30)

    pieces = draw_resamples(11, seed=1, num_resamples=50)

    assert (pieces == whole).all()


def test_resamples_of_no_units_are_empty() -> None:
    """A layer of which no unit is defined can be resampled, in vain."""
    assert draw_resamples(0, num_resamples=3).shape == (3, 0)


def test_interval_agrees_with_scipy() -> None:
    """The interval is scipy's percentile bootstrap within the noise of resampling."""
    values = np.random.default_rng(1).exponential(size=200)

    low, high = bootstrap_intervals(values[None], draw_resamples(200, seed=1))[0]

    oracle = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=0
    ).confidence_interval
    assert low == pytest.approx(oracle.low, abs=0.015)
    assert high == pytest.approx(oracle.high, abs=0.015)


def test_interval_is_a_quantile_of_resampled_means() -> None:
    """The interval equals a slow computation, resample by resample, also with undefined units."""
    rows = np.random.default_rng(2).normal(size=(3, 30))
    rows[1, :28] = nan
    rows[2, ::3] = nan
    resamples = draw_resamples(30, seed=5, num_resamples=200)

    intervals = bootstrap_intervals(rows, resamples, confidence=0.9)

    for row, interval in zip(rows, intervals, strict=True):
        drawn = [np.repeat(row, counts) for counts in resamples]
        means = [each[~np.isnan(each)].mean() for each in drawn if not np.isnan(each).all()]
        assert interval == pytest.approx(np.quantile(means, [0.05, 0.95]))


def test_interval_does_not_depend_on_other_rows_or_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows together or each alone give the same intervals, in blocks of any size."""
    rows = np.random.default_rng(3).normal(size=(4, 25))
    rows[2, 4] = nan
    resamples = draw_resamples(25, num_resamples=300)
    together = bootstrap_intervals(rows, resamples)
    monkeypatch.setattr("le_bench.boards.statistics._BLOCK", 60)

    apart = np.concatenate([bootstrap_intervals(row[None], resamples) for row in rows])

    assert apart == pytest.approx(together, abs=1e-12)


@pytest.mark.parametrize("values", [[nan, nan, nan], [0.5, nan, nan]])
def test_interval_needs_two_units(values: list[float]) -> None:
    """Below two defined units there is no interval."""
    assert np.isnan(bootstrap_intervals(np.array([values]), draw_resamples(3))).all()


def test_intervals_cover_the_truth() -> None:
    """Of 3,000 intervals from skewed scores of 150 units, 95% hold the true mean, within noise."""
    rows = np.random.default_rng(4).exponential(size=(3000, 150))

    intervals = bootstrap_intervals(rows, draw_resamples(150))

    covered = ((intervals[:, 0] < 1) & (intervals[:, 1] > 1)).mean()
    assert 0.93 < covered < 0.96


def test_paired_difference_agrees_with_scipy() -> None:
    """Mean, error and interval of a paired difference are scipy's for the differences."""
    generator = np.random.default_rng(5)
    first = generator.normal(size=300)
    second = first - 0.1 + 0.3 * generator.normal(size=300)

    gap = paired_differences(first[None], second[None], draw_resamples(300))[0]

    oracle = stats.bootstrap(
        (first, second),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        paired=True,
        method="percentile",
        n_resamples=20_000,
        rng=0,
    )
    assert gap.mean == pytest.approx((first - second).mean())
    assert gap.standard_error == pytest.approx(stats.sem(first - second))
    assert (gap.low, gap.high) == pytest.approx(tuple(oracle.confidence_interval), abs=0.004)
    assert gap.is_clear


def test_paired_difference_uses_shared_units_only() -> None:
    """Units undefined in either row count for neither, and the number of shared ones is told."""
    first = np.array([[1.0, 2.0, nan, 4.0], [1.0, nan, 3.0, nan]])
    second = np.array([[0.5, 1.0, 9.0, nan], [nan, 2.0, nan, 4.0]])

    some, none = paired_differences(first, second, draw_resamples(4))

    assert (some.mean, some.num_units) == (0.75, 2)
    assert isnan(none.mean)
    assert none.num_units == 0
    assert not none.is_clear


def test_best_is_marked_apart_from_the_clearly_worse() -> None:
    """A constant lead over a row is clear, however much units differ from each other."""
    row = np.random.default_rng(6).normal(size=50)
    noise = np.random.default_rng(7).normal(size=50)

    outcome = best_and_ties(np.stack([row - 0.1, row, row - 0.001 + noise - noise.mean()]))

    assert outcome == Best(1, (False, False, True))


def test_lower_can_be_better() -> None:
    """With lower scores better, the lowest mean is best."""
    row = np.random.default_rng(8).normal(size=50)

    outcome = best_and_ties(np.stack([row, row - 0.1]), higher_is_better=False)

    assert outcome == Best(1, (False, False))


@pytest.mark.parametrize(
    ("rows", "outcome"),
    [
        ([[0.1, 0.2], [0.1, 0.2]], Best(0, (False, True))),
        ([[nan, nan], [nan, nan]], Best(None, (False, False))),
        ([[nan, nan], [0.1, 0.3]], Best(1, (False, False))),
        ([[0.4], [0.5]], Best(1, (True, False))),
        ([[0.9, nan, nan], [nan, 0.1, 0.2]], Best(0, (False, True))),
        ([[0.1, 0.5]], Best(0, (False,))),
    ],
)
def test_ties_of_edge_cases(rows: list[list[float]], outcome: Best) -> None:
    """Equal rows, one unit and disjoint units are ties; undefined rows are not ranked."""
    assert best_and_ties(np.array(rows)) == outcome


def test_row_that_leads_on_shared_units_is_tied() -> None:
    """A row that beats the best on the units they share is not called worse."""
    units = np.arange(20.0) / 100
    best = np.where(units < 0.1, units + 0.5, nan)
    row = np.where(units < 0.1, units + 0.6, -5.0)

    assert best_and_ties(np.stack([best, row])) == Best(0, (False, True))


def test_equal_rows_are_rarely_told_apart() -> None:
    """Of 300 columns with 6 truly equal rows, at most about 5% leave a row unmarked.

    Without the allowance for many comparisons it would be about a third.
    """
    generator = np.random.default_rng(9)

    def all_marked(confidence: float) -> bool:
        rows = generator.normal(size=(6, 80)) + generator.normal(size=80)
        outcome = best_and_ties(rows, confidence=confidence)
        return sum(outcome.tied) == 5

    wrong = 1 - np.mean([all_marked(0.95) for _ in range(300)])

    assert wrong < 0.08


@given(
    st.lists(
        st.lists(
            st.floats(-1, 1).map(lambda x: round(x, 3)) | st.just(nan), min_size=6, max_size=6
        ),
        min_size=2,
        max_size=4,
    ),
    st.floats(0.1, 10),
)
def test_ties_do_not_depend_on_scale_or_mirror(rows: list[list[float]], scale: float) -> None:
    """Ties are the same for scaled scores, and mirrored if lower is better."""
    scores = np.array(rows)
    outcome = best_and_ties(scores)
    means = [mean_and_error(row).mean for row in scores]
    defined = [round(mean, 6) for mean in means if not isnan(mean)]
    assume(len(set(defined)) == len(defined))

    mirrored = best_and_ties(-scores, higher_is_better=False)
    scaled = best_and_ties(scores * scale)

    assert mirrored == outcome
    assert scaled.row == outcome.row
