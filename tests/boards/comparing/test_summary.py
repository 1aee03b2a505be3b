"""A comparison begins with what it found, in sentences whose figures are those of its tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from le_bench.boards.comparing.blocks import as_markdown
from le_bench.boards.comparing.choosing import Axis, Chosen
from le_bench.boards.comparing.comparison import Comparison
from le_bench.boards.comparing.document import document_of
from le_bench.boards.comparing.pairing import compare
from le_bench.boards.comparing.report import blocks_of
from le_bench.boards.comparing.summary import summary_of
from le_bench.boards.markdown import MINUS
from le_bench.boards.records import Result

ResultMaker = Callable[..., Result]
WAVE = 0.01 * np.sin(np.arange(40.0))
OTHER = 0.2 * np.cos(np.arange(40.0))


def compared(by: Axis, *results: Result) -> Comparison:
    return compare(Chosen("tiny", results), by)


def test_two_explainers(result_of: ResultMaker) -> None:
    """The better one, by how much, on how many cells, and whether that is clear."""
    results = [
        result_of(mean + deep + WAVE * n, explainer=name, layer=layer)
        for layer, deep in (("layer1", 0.0), ("layer2", 0.1))
        for n, (name, mean) in enumerate((("a", 0.3), ("b", 0.4)))
    ]

    summary = summary_of(compared("explainer", *results))

    assert summary == [
        "Scorer correlation, simulator siglip: b is the best contender with 0.450. Its smallest "
        "difference, to a, is +0.100 [+0.099, +0.102] on 2 cells of each, clear after Holm's "
        "correction (p < 0.001)."
    ]


def test_many_explainers(result_of: ResultMaker) -> None:
    """The nearest one is named, and the others are counted."""
    results = [
        result_of(0.40 + WAVE, explainer="best"),
        result_of(0.39 + WAVE + OTHER, explainer="near"),
        result_of(0.20 + WAVE, explainer="far"),
    ]

    (sentence,) = summary_of(compared("explainer", *results))

    assert sentence.startswith(
        "Scorer correlation, simulator siglip: best is the best contender with 0.400. Its smallest "
        "difference, to near, is +0.0"
    )
    assert "not clear after Holm's correction (p = " in sentence
    assert sentence.endswith(" It differs clearly from 1 of 2 others.")


def test_two_simulators_with_one_explainer(result_of: ResultMaker) -> None:
    """Both means and their difference."""
    results = [
        result_of(0.3 + WAVE, simulator="one"),
        result_of(0.3 + OTHER, simulator="other"),
    ]

    summary = summary_of(compared("simulator", *results))

    assert summary == [
        "Scorer correlation: le-label has 0.300 under one and 0.308 under other on 1 cell; the "
        f"difference is {MINUS}0.007 [{MINUS}0.048, +0.038], not clear after Holm's correction "
        "(p = 1.000)."
    ]


def test_two_simulators_with_many_explainers(result_of: ResultMaker) -> None:
    """The side on which more of them score higher comes first, and differences are its lead."""
    means = {"a": (0.3, 0.4), "b": (0.2, 0.4), "c": (0.5, 0.45)}
    results = [
        result_of(mean + WAVE * (1 + place), explainer=name, simulator=simulator)
        for name, both in means.items()
        for place, (simulator, mean) in enumerate(zip(("one", "other"), both, strict=True))
    ]

    summary = summary_of(compared("simulator", *results))

    assert summary == [
        "Scorer correlation: 2 of 3 explainers score higher under other than under one, 2 clearly; "
        "1 lower, 1 clearly (3 cells). The largest difference is +0.200 [+0.198, +0.202], for b, "
        "clear after Holm's correction (p < 0.001). Both have c as the best contender."
    ]


def test_two_scorers_have_no_difference(result_of: ResultMaker) -> None:
    """Of two scales the summary tells only how alike they rank units."""
    results = [
        result_of(0.3 + WAVE, scorer="correlation"),
        result_of(0.7 + 2 * WAVE, scorer="spearman"),
    ]

    summary = summary_of(compared("scorer", *results))

    assert summary == [
        "Simulator siglip: correlation and spearman rank units with Spearman's correlations of "
        "1.00 to 1.00 by explainer, on 1 cell."
    ]


def test_a_single_shared_unit_cannot_be_tested(result_of: ResultMaker) -> None:
    """A difference without an interval is shown, and nothing is claimed of it."""
    results = [result_of([0.25], simulator="one"), result_of([0.5], simulator="other")]

    summary = summary_of(compared("simulator", *results))

    assert summary == [
        "Scorer correlation: le-label has 0.250 under one and 0.500 under other on 1 cell; the "
        f"difference is {MINUS}0.250, which cannot be tested."
    ]


def test_many_pairs_are_counted_and_names_are_shown_safely(result_of: ResultMaker) -> None:
    """Page and document tell the same of the first pairs; names that are markup stay names."""
    results = [
        result_of(0.1 * n + WAVE, simulator=name) for n, name in enumerate(["a|b", "b", "c", "d"])
    ]
    comparison = compared("simulator", *results)

    page = as_markdown(blocks_of(comparison, {}))
    document = document_of(comparison, {})

    assert page.startswith("# tiny by simulator\n\n## In short\n\n- Scorer correlation: le-label ")
    assert "under `a|b` and 0.100 under b" in page
    assert "\n- 3 more pairs are below.\n" in page
    assert len(document["summary"]) == 4
    assert "under a|b and 0.100 under b" in document["summary"][0]
