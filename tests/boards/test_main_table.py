"""The table of explainers by layers: its order, its numbers, and what it says of gaps."""
# ruff: noqa: RUF001 -- boards use the true minus sign

from __future__ import annotations

import json
from collections.abc import Callable
from math import nan

import numpy as np

from le_bench.boards.grid import make_grids
from le_bench.boards.leaderboard import render
from le_bench.boards.records import (
    About,
    Failure,
    Result,
)

ResultMaker = Callable[..., Result]


def main_rows(text: str, simulator: str = "siglip") -> list[list[str]]:
    """The cells of the first table under a simulator, without the header."""
    section = text.split(f"### Simulator {simulator}\n\n")[1].partition("\n\n")[0]
    lines = section.splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_best_is_bold_and_ties_are_marked(tiny: list[Result]) -> None:
    """On layer1 two rows are tied, on layer2 one is clearly best; the oracle does not compete."""
    rows = main_rows(render(tiny)["tiny.md"])

    assert rows == [
        ["*oracle*", "0.903 ± 0.006", "0.903 ± 0.006", "0.903 ± 0.004"],
        ["le-siglip", "0.301 ± 0.006 =", "**0.480 ± 0.006** [0.3772]", "**0.391 ± 0.004**"],
        ["le-label", "**0.301 ± 0.006**", "0.401 ± 0.006", "0.351 ± 0.004"],
        [
            "clip-dissect",
            "0.189 ± 0.006 <sup>1</sup>",
            "0.189 ± 0.006 <sup>1</sup>",
            "0.189 ± 0.004",
        ],
    ]


def test_published_figures_stand_beside_ours(result_of: ResultMaker) -> None:
    """The mean with its error in the table, others in the details, and all in the JSON."""
    figures = {"value": 0.043, "se": 0.002, "live_mean": 0.1807, "live_se": 0.0003}
    results = [
        result_of([0.1, 0.3, 0.2], length=2, published={**figures, "length": 4.7, "dead": 0.0527}),
        result_of([0.1, 0.3, 0.2], explainer="other", published={"dead": 1.0}),
    ]

    boards = render(results)
    details = boards["tiny.md"].split("#### Details\n\n")[1].partition("## ")[0]
    cells = {cell["explainer"]: cell for cell in json.loads(boards["tiny.json"])["cells"]}

    assert main_rows(boards["tiny.md"])[0][1] == "**0.200 ± 0.058** [0.0430 ± 0.002]"
    for text in ("0 [5.27%]", "0.200 [0.1807 ± 0.0003]", "2.00 [4.70]", "0 [100%]"):
        assert f" {text} |" in details
    assert details.startswith("In brackets behind a number: the figure published in the paper")
    assert (cells["le-label"]["published"], cells["other"]["published"]) == (0.043, None)
    assert cells["other"]["published_further"] == {"dead": 1.0}


def test_gaps_tell_why(tiny: list[Result], failures: list[Failure]) -> None:
    """Failed and not run cells are dashes, others n/a, with notes; no mean is made up."""
    text = render(tiny, failures=failures)["tiny.md"]

    assert main_rows(text)[4:] == [
        ["milan", "— <sup>2</sup>", "— <sup>3</sup>", "— <sup>4</sup>"],
        ["netdissect", "n/a <sup>5</sup>", "n/a <sup>5</sup>", "— <sup>4</sup>"],
    ]
    assert (
        "<sup>1</sup> 2 of 40 units undefined: constant simulation (1); the explainer gave no "
        "terms (1)  \n"
        "<sup>2</sup> not run  \n"
        "<sup>3</sup> failed at explain: `RuntimeError: out of memory at <b>|</b>`  \n"
        "<sup>4</sup> no mean: not every layer has a score  \n"
        "<sup>5</sup> no masks\n"
    ) in text


def test_row_without_a_layer_comes_after_complete_rows(result_of: ResultMaker) -> None:
    """A high score on the easy layer only does not win the board."""
    results = [
        result_of([0.1, 0.2], layer="layer1"),
        result_of([0.5, 0.6], layer="layer2"),
        result_of([0.8, 0.9], layer="layer2", explainer="partly"),
    ]

    rows = main_rows(render(results)["tiny.md"])

    assert [row[0] for row in rows] == ["le-label", "partly"]
    assert rows[0][3] == "**0.350 ± 0.035**"
    assert rows[1][1:] == ["— <sup>1</sup>", "**0.850 ± 0.050**", "— <sup>2</sup>"]


def test_row_without_a_layer_stands_above_those_it_beats(result_of: ResultMaker) -> None:
    """On the layers both have; it is not ranked as worse than a floor."""
    scores = {"best": (0.8, 0.9), "middle": (0.5, 0.6), "floor": (0.0, 0.0)}
    results = [
        result_of([value, value + 0.1], layer=f"layer{n}", explainer=name)
        for name, values in scores.items()
        for n, value in enumerate(values)
    ]
    results += [
        result_of([value, value + 0.1], layer="layer1", explainer=name)
        for value, name in ((0.3, "low"), (0.7, "high"))
    ]

    rows = main_rows(render(results)["tiny.md"])

    assert [row[0] for row in rows] == ["best", "high", "middle", "low", "floor"]


def test_layers_are_in_natural_order(result_of: ResultMaker) -> None:
    """layer10 comes after layer9."""
    results = [result_of([0.1, 0.2], layer=f"layer{n}") for n in (10, 9, 1)]

    text = render(results)["tiny.md"]

    assert "| cnn / layer1 | cnn / layer9 | cnn / layer10 |" in " ".join(text.split())


def test_all_undefined_column_is_undefined(result_of: ResultMaker) -> None:
    """A layer on which nothing is defined has neither a best row nor a number."""
    results = [
        result_of([nan, nan], explainer=name, layer=layer) if layer == "layer1"
        else result_of([0.1, 0.3], explainer=name, layer=layer)
        for name in ("le-label", "random")
        for layer in ("layer1", "layer2")
    ]  # fmt: skip

    text = render(results)["tiny.md"]

    assert main_rows(text) == [
        ["le-label", "undefined <sup>1</sup>", "**0.200 ± 0.100**", "**0.200 ± 0.100**"],
        ["random", "undefined <sup>1</sup>", "0.200 ± 0.100 =", "0.200 ± 0.100"],
    ]
    assert "<sup>1</sup> 2 of 2 units undefined: constant simulation (2)" in text
    assert "| cnn / layer1 | le-label | 2 | 2 | 0 | n/a | n/a | n/a |" in " ".join(text.split())


def test_single_unit_has_no_error(result_of: ResultMaker) -> None:
    """One unit gives a mean without error, and no claim to be better than anything."""
    results = [result_of([0.3]), result_of([0.5], explainer="random")]

    text = render(results)["tiny.md"]

    assert main_rows(text) == [
        ["random", "**0.500 ± n/a**"],
        ["le-label", "0.300 ± n/a ="],
    ]
    assert "| random − le-label | +0.200 n/a |" in " ".join(text.split())


def test_lower_is_better_turns_the_board(result_of: ResultMaker) -> None:
    """For an error the lowest row is on top and bold, and the heading says so."""
    rows = np.arange(30) / 100
    results = [
        result_of(rows + 0.1, higher_is_better=False),
        result_of(rows, explainer="better", higher_is_better=False),
    ]

    text = render(results)["tiny.md"]

    assert "## correlation (lower is better)" in text
    assert [row[0] for row in main_rows(text)] == ["better", "le-label"]
    assert main_rows(text)[0][1].startswith("**")


def test_small_scores_have_a_fourth_decimal(result_of: ResultMaker) -> None:
    """Ablation scores of a few hundredths would all look the same with three."""
    text = render([result_of([0.0163, 0.0167])])["tiny.md"]

    assert main_rows(text) == [["le-label", "**0.0165 ± 0.0002**"]]


def test_failed_experiment_still_has_a_board(failures: list[Failure]) -> None:
    """If nothing worked the board is all notes, and the index says how many cells failed."""
    files = render([], failures=failures)

    assert [row[0] for row in main_rows(files["tiny.md"])] == ["milan", "netdissect"]
    assert "Probe dataset: —." in files["tiny.md"]
    assert "| [tiny](tiny.md) | correlation | siglip | — | — | 2 | 2 | 1 |" in " ".join(
        files["README.md"].split()
    )


def test_scorers_and_layers_come_in_the_order_of_the_experiment(
    tiny: list[Result], result_of: Callable[..., Result]
) -> None:
    """Those that it does not list come after, and a row without a mean keeps its rank."""
    norm = [result_of(np.linspace(0, 1, 40), explainer="le-label", scorer="norm")]
    about = About(
        "tiny", "Tiny", "", scorers=("norm",), layers=(("cnn", "layer2"), ("cnn", "layer1"))
    )

    grids = make_grids([*tiny, *norm], [], [about])

    assert next(grid.scorer for grid in grids) == "norm"
    assert {grid.columns for grid in grids if len(grid.columns) > 1} == {
        (("cnn", "layer2"), ("cnn", "layer1"))
    }
    assert make_grids([*tiny, *norm], [])[0].scorer != "norm"
