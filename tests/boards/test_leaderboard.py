"""Boards are pure functions of the records: complete, honest and the same bytes every time."""
# ruff: noqa: RUF001 -- boards use the true minus sign

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from le_bench.boards.files import ResultError
from le_bench.boards.leaderboard import render
from le_bench.boards.records import (
    About,
    Cell,
    Costs,
    Failure,
    LayerExplanations,
    Result,
    UnitExplanation,
)

ResultMaker = Callable[..., Result]


def test_order_of_records_does_not_matter(
    tiny: list[Result],
    failures: list[Failure],
    explanations: list[LayerExplanations],
    costs: list[Costs],
) -> None:
    """Ten shuffles of all records give the same bytes."""
    stream = random.Random(0)  # noqa: S311 -- no secret
    expected = render(tiny, explanations=explanations, costs=costs, failures=failures)

    for _ in range(10):
        mixed, failed = stream.sample(tiny, len(tiny)), stream.sample(failures, len(failures))

        assert expected == render(mixed, explanations=explanations, costs=costs, failures=failed)


def test_own_figures_are_shown_by_layer(tiny: list[Result]) -> None:
    """Mean and range over the units that have the figure; a layer without it has a dash."""
    layer = next(each.cell for each in tiny if each.cell.explainer == "le-label")
    units = (
        UnitExplanation(0, (("cat", 1.0),), figures={"gap": 2e-9, "val correlation": 0.25}),
        UnitExplanation(1, (("cat", 1.0),), figures={"gap": 4e-9}),
        UnitExplanation(2, (), reason="dead"),
    )
    explained = LayerExplanations(
        "0" * 64, layer.experiment, layer.model, layer.layer, "le-label", units
    )

    text = render(tiny, explanations=[explained])["tiny.md"]

    block = text.split("## Explainers' own figures")[1].split("##")[0]
    rows = [line.split("|")[1:-1] for line in block.splitlines() if line.startswith("| le-label")]
    found = [[cell.strip() for cell in row] for row in rows]
    assert [row[:2] for row in found] == [["le-label", "gap"], ["le-label", "val correlation"]]
    assert sorted(found[0][2:]) == ["3e−09 [2e−09, 4e−09]", "—"]
    assert sorted(found[1][2:]) == ["0.25 [0.25, 0.25]", "—"]


def test_paired_differences_tell_shared_units(tiny: list[Result]) -> None:
    """Consecutive rows and chosen pairs are compared; fewer units than the layer has are told."""
    about = About("tiny", "", "", (("le-siglip", "clip-dissect"), ("le-siglip", "unknown")))
    text = render(tiny, about=[about])["tiny.md"]

    table = text.split("### Simulator siglip")[1].split("#### Paired differences\n\n")[1]
    rows = [line.split("|")[1].strip() for line in table.split("\n\n")[1].splitlines()[2:]]
    assert rows == [
        "oracle − le-siglip",
        "le-siglip − le-label",
        "le-label − clip-dissect",
        "le-siglip − clip-dissect",
    ]
    assert "(n=38)" in table


def test_no_results_give_an_empty_index() -> None:
    """Before the first run there is an index that says how to start."""
    files = render([])

    assert list(files) == ["README.md"]
    assert "There are no results yet." in files["README.md"]
    assert "le-bench leaderboard --check" in files["README.md"]


def test_partial_results_are_refused(result_of: ResultMaker) -> None:
    """A committed board never shows a limited run."""
    results = [result_of([0.1, 0.2], partial=True), result_of([0.1, 0.2], explainer="random")]

    with pytest.raises(ResultError) as caught:
        render(results)

    assert str(caught.value) == (
        "1 of 2 results are partial (made with --limit-units), the first is tiny: cnn, layer1, "
        "le-label, siglip, correlation; run them again without --limit-units, or give --partial "
        "to see a board with a watermark"
    )


def test_partial_boards_carry_a_watermark(result_of: ResultMaker) -> None:
    """Asked for, a limited run is shown with a warning on every page."""
    results = [result_of([0.1, 0.2], partial=True), result_of([0.1], experiment="whole")]

    files = render(results, include_partial=True)

    marked = [name for name, text in files.items() if "> **PARTIAL RESULTS.**" in text]
    assert sorted(marked) == ["README.md", "tiny.md"]
    assert json.loads(files["tiny.json"])["partial"] is True
    assert json.loads(files["whole.json"])["partial"] is False


def test_results_that_do_not_go_together_make_no_board(result_of: ResultMaker) -> None:
    """Mixed results are refused with every fault, duplicates too."""
    results = [result_of([0.1, 0.2]), result_of([0.1, 0.2]), result_of([0.1], explainer="random")]

    with pytest.raises(ResultError) as caught:
        render(results)

    assert str(caught.value) == (
        "these results do not go on one board:\n"
        "- experiment 'tiny' mixes sizes of cnn, layer1: 1 units and 2 units; delete the files of "
        "one and run `le-bench run` again\n"
        "- tiny: cnn, layer1, le-label, siglip, correlation: this cell is there more than once"
    )


def test_json_tells_what_the_board_tells(
    tiny: list[Result], failures: list[Failure], costs: list[Costs]
) -> None:
    """Each cell of the board is an object, failed ones with their reason."""
    content = json.loads(render(tiny, failures=failures, costs=costs)["tiny.json"])

    cells = {
        tuple(cell[key] for key in ("scorer", "simulator", "layer", "explainer")): cell
        for cell in content["cells"]
    }
    best = cells["correlation", "siglip", "layer2", "le-siglip"]
    assert len(cells) == len(tiny) + len(failures)
    assert (best["best"], best["tied"], best["published"], best["seconds"]) == (
        True, False, 0.3772, 12.34,
    )  # fmt: skip
    assert cells["correlation", "siglip", "layer1", "le-siglip"]["tied"]
    assert cells["correlation", "siglip", "layer2", "milan"]["state"] == "failed"
    assert cells["correlation", "siglip", "layer2", "netdissect"]["state"] == "not applicable"


def test_examples_are_by_the_best_explainer_that_has_any(
    tiny: list[Result], explanations: list[LayerExplanations]
) -> None:
    """Explanations of a runner-up are shown if the best has none; without any, no section."""
    runner_up = [replace(explanations[0], explainer="clip-dissect")]

    text = render(tiny, explanations=runner_up)["tiny.md"]

    assert "as explained by clip-dissect, scored by correlation with clip." in text
    assert "## Example explanations" not in render(tiny)["tiny.md"]


@pytest.mark.parametrize(
    ("explanation", "text"),
    [
        (UnitExplanation(0, (("cat", 1.0),)), "cat"),
        (UnitExplanation(0, (("cat", 1.0),), bias=0.5), "1.00·cat + 0.50"),
        (UnitExplanation(0, (("cat", -0.83), ("dog", -0.05))), "−0.83·cat − 0.05·dog"),
        (UnitExplanation(0, (("cat", 0.0),), bias=-1e-6), "0.00·cat − 1e-06"),
        (UnitExplanation(0, (), reason="dead"), "none: dead"),
        (UnitExplanation(0, (("c", 2.0),) * 7),
         "2.00·c + 2.00·c + 2.00·c + 2.00·c + 2.00·c + 2.00·c + 1 more term"),
    ],
)  # fmt: skip
def test_linear_explanations_read_as_formulas(
    result_of: ResultMaker, explanation: UnitExplanation, text: str
) -> None:
    """Weights, signs and bias read as one writes them by hand."""
    layer = LayerExplanations("1" * 64, "tiny", "cnn", "layer1", "le-label", (explanation,))

    board = render([result_of([0.5])], explanations=[layer])["tiny.md"]

    assert f"| 0 | {text} | 0.500 |" in " ".join(board.split())


def test_hostile_names_do_not_reach_the_page(result_of: ResultMaker) -> None:
    """Names with markup are code wherever they occur, and links go to safe files."""
    name = "<script>](javascript:x)|`\n# big"
    results = [
        result_of([0.1, 0.2], **dict.fromkeys(Cell.__annotations__, name)),
        result_of([0.1, 0.2], experiment="readme"),
    ]

    files = render(results)

    board = "%3Cscript%3E%5D%28javascript%3Ax%29%7C%60%0A%23%20big"
    assert sorted(files) == sorted(
        [f"{board}.json", f"{board}.md", "%72eadme.json", "%72eadme.md", "README.md"]
    )
    assert f"]({board.replace('%', '%25')}.md)" in files["README.md"]
    code = r"``<script>](javascript:x)|`\n# big``"
    for text in (files[f"{board}.md"], files["README.md"]):
        assert "<script>" not in text.replace(code, "").replace(code.replace("|", r"\|"), "")
