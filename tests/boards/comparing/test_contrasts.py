"""Means over layers with intervals and tests: scipy as oracle, and simulated truth."""

from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from le_bench.boards.comparing.contrasts import UNDEFINED, Part, estimate, holm, resampled_contrasts
from le_bench.boards.statistics import draw_resamples

ONE, TWO = ("cnn", "layer1"), ("cnn", "layer2")


def test_one_layer_is_the_paired_t_test() -> None:
    """Mean, error and p-value are scipy's for paired samples, the interval its bootstrap."""
    random = np.random.default_rng(0)
    first = random.exponential(size=120)
    second = first + random.normal(0.1, 0.4, 120)

    found = estimate([(Part(ONE, first - second),)])[0]

    oracle = stats.ttest_rel(first, second)
    interval = stats.bootstrap(
        (first - second,), np.mean, method="percentile", n_resamples=20_000, rng=0
    ).confidence_interval
    assert found.mean == pytest.approx((first - second).mean())
    assert found.standard_error == pytest.approx(stats.sem(first - second))
    assert found.p_value == pytest.approx(oracle.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(interval), abs=0.008)
    assert found.num_units == 120


def test_two_models_are_welchs_test() -> None:
    """Independent layers with weights 1 and -1 give scipy's Welch test."""
    random = np.random.default_rng(1)
    first, second = random.normal(0.3, 1.0, 50), random.normal(0.0, 3.0, 20)

    found = estimate([(Part(ONE, first), Part(TWO, second, -1.0))])[0]

    oracle = stats.ttest_ind(first, second, equal_var=False)
    assert found.mean == pytest.approx(first.mean() - second.mean())
    assert found.p_value == pytest.approx(oracle.pvalue)


def test_layers_are_resampled_apart_and_rows_together() -> None:
    """The resampled means equal a slow computation with draws of each layer's own."""
    random = np.random.default_rng(2)
    rows = [(random.normal(size=12), random.normal(size=7)) for _ in range(3)]
    rows[1][0][:4] = nan

    drawn = resampled_contrasts([(Part(ONE, a, 0.5), Part(TWO, b, 0.5)) for a, b in rows])

    own = resampled_contrasts([(Part(ONE, np.eye(12)[unit]),) for unit in range(12)]) * 12
    other = resampled_contrasts([(Part(TWO, np.eye(7)[unit]),) for unit in range(7)]) * 7
    for column, (a, b) in enumerate(rows):
        for resample in range(0, 2000, 97):
            one = np.repeat(a, own[resample].round().astype(int))
            two = np.repeat(b, other[resample].round().astype(int))
            assert drawn[resample, column] == pytest.approx((np.nanmean(one) + two.mean()) / 2)
    assert not (own[:, :7] == other).all()
    assert sorted(map(tuple, own.round())) != sorted(map(tuple, draw_resamples(12).astype(float)))


def test_blocks_give_the_same_estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many contrasts in small blocks, or all together, are the same."""
    values = np.random.default_rng(3).normal(size=(9, 15))
    contrasts = [(Part(ONE, row),) for row in values]
    together = estimate(contrasts)
    monkeypatch.setattr("le_bench.boards.comparing.contrasts._BLOCK", 2)

    apart = estimate(contrasts)

    for one, other in zip(together, apart, strict=True):
        assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-12)


@pytest.mark.parametrize(
    ("values", "mean", "p_value"),
    [
        ([0.0, 0.0, 0.0], 0.0, 1.0),
        ([0.5, 0.5, nan], 0.5, 0.0),
        ([0.5, nan, nan], 0.5, nan),
        ([nan, nan, nan], nan, nan),
    ],
)
def test_spread_and_units_of_edge_cases(values: list[float], mean: float, p_value: float) -> None:
    """Without spread the test is certain, with one unit there is none, without units no mean."""
    found = estimate([(Part(ONE, np.array(values)),)])[0]

    assert (found.mean, found.p_value) == pytest.approx((mean, p_value), nan_ok=True)
    assert isnan(found.low) == isnan(p_value)


def test_no_layer_is_undefined() -> None:
    """A contrast of nothing has no mean and is no test."""
    assert estimate([()]) == (UNDEFINED,)


def test_intervals_over_layers_cover_the_truth() -> None:
    """Of 2,000 intervals over a large and a small skewed layer, 95% hold the truth, within noise.

    The standard error of a share of 2,000 is 0.5%.
    """
    random = np.random.default_rng(4)
    contrasts = [
        (
            Part(ONE, random.exponential(size=120) - random.exponential(size=120) + 0.1, 0.5),
            Part(TWO, random.exponential(size=60) - 1.0, 0.5),
        )
        for _ in range(2000)
    ]

    found = estimate(contrasts)

    covered = np.mean([each.low < 0.05 < each.high for each in found])
    assert 0.93 < covered < 0.965


@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_null_differences_are_rarely_significant(shared: float) -> None:
    """Of 400 comparisons of 20 null differences, at most about 5% find any, independent or not.

    The standard error of a share of 400 is 1.1%; without correction it would be up to 64%.
    """
    random = np.random.default_rng(5)

    def finds_any() -> bool:
        common = shared * random.normal(size=40)
        gaps = random.normal(size=(20, 40)) + common
        p_values = stats.ttest_1samp(gaps, 0, axis=1).pvalue
        return bool((holm(p_values) < 0.05).any())

    wrong = np.mean([finds_any() for _ in range(400)])

    assert wrong < 0.08


def test_null_p_values_are_uniform() -> None:
    """The p-value of a null difference over two layers is uniform by a Kolmogorov-Smirnov test."""
    random = np.random.default_rng(6)
    contrasts = [
        (Part(ONE, random.normal(size=10), 0.5), Part(TWO, 3 * random.normal(size=25), 0.5))
        for _ in range(1000)
    ]

    p_values = [each.p_value for each in estimate(contrasts)]

    assert stats.kstest(p_values, "uniform").pvalue > 0.01


@given(st.lists(st.floats(0, 1) | st.just(nan), max_size=12))
def test_holm_equals_its_definition(p_values: list[float]) -> None:
    """Corrected is the largest of all smaller p-values, each times the tests that are left."""
    corrected = holm(np.array(p_values))

    tests = [p for p in p_values if not isnan(p)]
    for value, found in zip(p_values, corrected, strict=True):
        left = [p * (len(tests) - sum(q < p for q in tests)) for p in tests if p <= value]
        assert found == pytest.approx(min(1.0, max(left)) if left else nan, nan_ok=True)


def test_holm_of_a_known_case() -> None:
    """The example of Holm's procedure in textbooks: 0.01, 0.04, 0.03, 0.005."""
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
