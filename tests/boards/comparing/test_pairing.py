"""Sides on the same cells and units: planted scores in, means, counts and orders out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from math import isnan, nan

import numpy as np
import pytest

from le_bench.boards.comparing.blocks import as_markdown
from le_bench.boards.comparing.choosing import AXES, Axis, Chosen
from le_bench.boards.comparing.comparison import Comparison, Group, SideBySide
from le_bench.boards.comparing.document import document_of
from le_bench.boards.comparing.pairing import compare
from le_bench.boards.comparing.report import blocks_of
from le_bench.boards.files import ResultError, dump_json
from le_bench.boards.markdown import MINUS
from le_bench.boards.records import About, LayerExplanations, Result, UnitExplanation

ResultMaker = Callable[..., Result]


def chosen_of(*results: Result, about: About | None = None) -> Chosen:
    return Chosen("tiny", results, (), about)


def over_layers(comparison: Comparison, row: str | None) -> SideBySide:
    return next(each for each in comparison.rows if each.row == row)


@pytest.fixture
def two(result_of: ResultMaker) -> Chosen:
    """Two simulators on two layers: undefined units on either side and on both."""
    random = np.random.default_rng(0)
    results = []
    for layer in ("layer1", "layer2"):
        for name, mean in (("le-label", 0.3), ("le-siglip", 0.5)):
            scores = mean + 0.1 * random.normal(size=20)
            first, second = scores.copy(), scores - 0.05 + 0.01 * random.normal(size=20)
            first[:2], second[1:5] = nan, nan
            results += [
                result_of(first, explainer=name, layer=layer, simulator="siglip"),
                result_of(second, explainer=name, layer=layer, simulator="clip"),
            ]
    return chosen_of(*results)


def test_means_and_differences_are_over_shared_units(two: Chosen) -> None:
    """Both means are over the units that both sides score, and differ by the difference."""
    comparison = compare(two, "simulator")

    for each in comparison.cells:
        one, other = (
            next(
                np.array(r.values, dtype=float)
                for r in two.results
                if (r.cell.explainer, r.cell.layer, r.cell.simulator) == (each.row, layer, side)
            )
            for side in (each.first, each.second)
            for layer in [each.column[1] if each.column else ""]
        )
        assert each.first_mean == pytest.approx(one[5:].mean())
        assert each.second_mean == pytest.approx(other[5:].mean())
        assert each.difference.mean == pytest.approx((one - other)[5:].mean())
        assert each.difference.num_units == 15
    row = over_layers(comparison, "le-label")
    assert row.difference.mean == pytest.approx(row.first_mean - row.second_mean)
    assert row.num_layers == 2


def test_undefined_units_are_counted_by_side(two: Chosen) -> None:
    """Units without a score on the first, the second, or both sides, by cell and over layers."""
    comparison = compare(two, "simulator")

    sides = {comparison.rows[0].first: (1, 3, 1), "other": (3, 1, 1)}
    expected = sides["siglip"] if "siglip" in sides else sides["other"]
    assert {each.undefined for each in comparison.cells} == {expected}
    assert over_layers(comparison, "le-label").undefined == tuple(2 * n for n in expected)


def test_a_cell_that_one_side_lacks_is_counted(result_of: ResultMaker) -> None:
    """The row is over shared layers only and says how many cells each side lacks."""
    wave = np.sin(np.arange(10.0))
    results = [
        result_of(wave, layer="layer1", simulator="siglip"),
        result_of(wave / 2, layer="layer1", simulator="clip"),
        result_of(wave, layer="layer2", simulator="siglip"),
    ]

    comparison = compare(chosen_of(*results), "simulator")

    row = over_layers(comparison, "le-label")
    assert (row.first, row.second) == ("siglip", "clip")
    assert (row.missing, row.num_layers) == ((0, 1), 1)
    assert len(comparison.cells) == 1


def test_identical_sides_do_not_differ(result_of: ResultMaker) -> None:
    """The same scores under two names: difference 0, p = 1, correlations and tau 1."""
    random = np.random.default_rng(1)
    results = []
    for name in ("a", "b", "c"):
        scores = random.normal(size=15)
        results += [result_of(scores, explainer=name, simulator=each) for each in ("x", "y")]

    comparison = compare(chosen_of(*results), "simulator")

    for each in (*comparison.rows, *comparison.cells):
        assert (each.difference.mean, each.difference.low, each.difference.high) == (0, 0, 0)
        assert each.corrected == 1.0
        assert (each.pearson, each.spearman) == pytest.approx((1.0, 1.0))
    assert comparison.agreements[0].ranks.tau == 1.0
    assert all(each.size == 0 for each in comparison.disagreements)


def test_p_values_are_corrected_for_all_differences(two: Chosen) -> None:
    """The family is every row and every cell; corrected values follow from the raw ones."""
    comparison = compare(two, "simulator")

    everything = [*comparison.rows, *comparison.cells]
    raw = sorted(each.difference.p_value for each in everything)
    assert comparison.num_tests == len(everything) == 6
    smallest = min(each.corrected for each in everything)
    assert smallest == pytest.approx(min(1.0, raw[0] * 6))


def test_units_of_largest_difference_come_first(result_of: ResultMaker) -> None:
    """Planted outliers are found in order, a unit once, reference rows left out."""
    wave = 0.1 * np.sin(np.arange(30.0))
    bumps = wave.copy()
    bumps[[4, 17]] += (-0.9, 0.6)
    results = []
    for name, reference in (("a", False), ("b", False), ("random", True)):
        size = {"a": 1.0, "b": 0.5, "random": 9.0}[name]
        results += [
            result_of(wave, explainer=name, simulator="x", reference_row=reference),
            result_of(
                wave + size * (bumps - wave), explainer=name, simulator="y", reference_row=reference
            ),
        ]

    comparison = compare(chosen_of(*results), "simulator", num_units=2)

    found = [(each.unit, each.explainers, round(each.size, 6)) for each in comparison.disagreements]
    assert found == [(4, ("a", "a"), 0.9), (17, ("a", "a"), -0.6)]


def test_scorers_have_no_difference_but_an_order(result_of: ResultMaker) -> None:
    """Two scales are not subtracted; a scorer for which less is better is turned round."""
    random = np.random.default_rng(2)
    results = []
    for name, mean in (("a", 0.1), ("b", 0.5), ("c", 0.9)):
        scores = mean + 0.05 * random.normal(size=25)
        results += [
            result_of(scores, explainer=name, scorer="good"),
            result_of(7 - 3 * scores, explainer=name, scorer="bad", higher_is_better=False),
        ]

    comparison = compare(chosen_of(*results), "scorer")

    assert comparison.num_tests == 0
    assert all(isnan(each.difference.mean) for each in (*comparison.rows, *comparison.cells))
    assert {round(each.spearman, 9) for each in comparison.cells} == {-1.0}
    assert comparison.agreements[0].ranks.tau == 1.0
    assert all(each.size == pytest.approx(0) for each in comparison.disagreements)


def test_models_are_not_paired_by_unit(result_of: ResultMaker) -> None:
    """Models of different size have a difference of means over layers, nothing by unit."""
    random = np.random.default_rng(3)
    small, large = random.normal(0.2, 0.1, 12), random.normal(0.6, 0.1, 30)
    results = [result_of(small, model="small"), result_of(large, model="large")]

    comparison = compare(chosen_of(*results), "model")

    row = over_layers(comparison, "le-label")
    gap = small.mean() - large.mean()
    assert abs(row.difference.mean) == pytest.approx(abs(gap), abs=1e-6)
    assert row.difference.num_units == 42
    assert isnan(row.pearson)
    assert (comparison.cells, comparison.disagreements) == ((), ())


def test_explainers_are_paired_and_their_order_tested(tiny: list[Result]) -> None:
    """Under each simulator: every pair of explainers, and how the order of contenders holds."""
    results = [each for each in tiny if each.cell.scorer == "correlation"]

    comparison = compare(chosen_of(*results), "explainer")

    assert len(comparison.rows) == 2 * 6
    stability = comparison.stabilities[0]
    assert stability.explainers == ("le-siglip", "le-label", "clip-dissect")
    assert stability.ranks.ranks == (1, 2, 3)
    assert {each.explainers for each in comparison.disagreements} >= {("oracle", "le-siglip")}


def test_of_many_explainers_those_with_the_best_are_shown(result_of: ResultMaker) -> None:
    """Pairs with the best contender and pairs that the experiment asks for are leaders."""
    results = [
        result_of(number / 10 + 0.01 * np.sin(np.arange(9.0)), explainer=f"e{number}")
        for number in range(6)
    ]
    about = About("tiny", "Tiny", "", (("e0", "e1"),))

    comparison = compare(chosen_of(*results, about=about), "explainer")

    pairs = {(first, second) for _, first, second in comparison.leaders}
    assert pairs == {("e5", f"e{n}") for n in range(5)} | {("e1", "e0")}
    assert len(comparison.rows) == 15


@pytest.mark.parametrize("by", AXES)
def test_page_and_document_agree(
    by: Axis, tiny: list[Result], explanations: list[LayerExplanations]
) -> None:
    """Every axis that has two sides gives a page and strict JSON with the same rows."""
    results = [*tiny, *(replace(each, cell=replace(each.cell, model="other")) for each in tiny)]
    known = {(each.model, each.layer, each.explainer): each for each in explanations}
    comparison = compare(chosen_of(*results), by)

    page = as_markdown(blocks_of(comparison, known))
    document = json.loads(dump_json(document_of(comparison, known)))

    assert page.startswith(f"# tiny by {by}\n")
    assert "nan" not in page
    assert document["by"] == by
    assert len(document["rows"]) == len(comparison.rows) > 0
    assert len(document["disagreements"]) == len(comparison.disagreements)


def test_page_shows_both_explanations(result_of: ResultMaker) -> None:
    """Of two explainers each disagreeing unit has both explanations, or says that one is lost."""
    results = [
        result_of([0.1, 0.9, 0.5], explainer="a"),
        result_of([0.1, 0.2, 0.4], explainer="b"),
    ]
    unit = UnitExplanation(1, (("cat", 0.5), ("dog", 0.25)), bias=-0.125)
    layer = LayerExplanations("1" * 64, "tiny", "cnn", "layer1", "a", (unit,))

    comparison = compare(chosen_of(*results), "explainer", num_units=1)
    page = as_markdown(blocks_of(comparison, {("cnn", "layer1", "a"): layer}))

    assert f"0.50·cat + 0.25·dog {MINUS} 0.12" in page
    assert "not on record" in page


def test_names_that_are_markup_stay_names(result_of: ResultMaker) -> None:
    """A simulator called like a column, or with a bar, does not break tables."""
    results = [
        result_of([0.1, 0.9, 0.5], simulator=name) for name in ("explainer", "a|b", "<script>")
    ]

    page = as_markdown(blocks_of(compare(chosen_of(*results), "simulator"), {}))

    assert "simulator explainer" in page
    assert "`a\\|b`" in page
    assert "<script>" not in page.replace("`<script>`", "")


def test_one_side_is_nothing_to_compare(tiny: list[Result]) -> None:
    """The message says what there is and by what it could be compared."""
    results = [each for each in tiny if each.cell.simulator == "siglip"]

    with pytest.raises(ResultError) as error:
        compare(chosen_of(*results), "simulator")

    assert str(error.value) == (
        "nothing to compare by simulator in experiment 'tiny': only simulator 'siglip' has "
        "results; choose --by explainer or scorer"
    )


def test_group_names_what_is_not_compared() -> None:
    """Groups are values: equal ones are one group."""
    assert Group("correlation", None) == Group("correlation", None)
