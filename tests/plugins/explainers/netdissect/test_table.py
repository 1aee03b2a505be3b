"""The table of a dissected layer, in memory and from the command line."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd
import torch
import typer
from typer.testing import CliRunner

from le_bench.boards.companions import read_explanations
from le_bench_plugins.explainers.netdissect.__main__ import command
from le_bench_plugins.explainers.netdissect.explainer import NetDissect
from le_bench_plugins.explainers.netdissect.table import summary, tally_table

from .dissecting import CATEGORIES, CATEGORY, CONCEPTS, draw, oracle, with_units

if TYPE_CHECKING:
    from conftest import Bench

PLAIN = ["unit", "category", "label", "score"]
EACH = ["label", "truth", "activation", "intersect", "iou"]


def test_the_columns_are_those_of_the_authors() -> None:
    """In their order, with the oracle's numbers; units count from 1."""
    scene = draw(0)
    expected = oracle(scene, 0.05, "category-in-region")

    table = tally_table(NetDissect(quantile=0.05).tally(scene.evidence()))

    assert list(table.columns) == PLAIN + [f"{c}-{e}" for c in CATEGORIES for e in EACH]
    assert table["unit"].tolist() == [1, 2, 3, 4, 5]
    for unit, row in enumerate(table.to_dict("records")):
        for category, members in CATEGORIES.items():
            best = max(members, key=lambda concept: expected[unit, concept][3])
            assert row[f"{category}-label"] == best
            found = tuple(
                row[f"{category}-{e}"] for e in ("intersect", "truth", "activation", "iou")
            )
            assert found == expected[unit, best]
        winner = max(CONCEPTS, key=lambda concept: expected[unit, concept][3])
        assert (row["label"], row["category"]) == (winner, CATEGORY[CONCEPTS.index(winner)])
        assert row["score"] == max(row[f"{category}-iou"] for category in CATEGORIES)


def test_dead_units_have_no_label_and_survive_a_csv_file() -> None:
    """A missing label, not that of number 0; the summary counts detectors alone."""
    scene = draw(0)
    maps = scene.maps.clone()
    maps[:, 2] = 1.5
    table = tally_table(NetDissect(quantile=0.05).tally(with_units(scene, maps).evidence()))

    again = pd.read_csv(io.StringIO(table.to_csv(index=False)))

    assert again.loc[2, ["label", "category", "color-label"]].isna().all()
    assert again.loc[2, ["score", "color-truth", "color-iou"]].tolist() == [0.0, 0.0, 0.0]
    assert again.drop(index=2)["label"].isin(CONCEPTS).all()
    detectors = int((table["score"] > 0.04).sum())
    assert summary(table).startswith(f"{detectors} of 5 units are detectors (IoU above 0.04), of ")


def test_the_table_of_an_experiment_is_printed(bench: Bench) -> None:
    """From the cache of a run or computed anew; it agrees with the run's explanations."""
    bench.edit(
        lambda text: (
            text.split("[[explainers]]")[0].replace(
                'use = "toy"\n\n[enc', 'use = "toy"\nannotated = true\nnum_images = 300\n\n[enc'
            )
            + '[[explainers]]\nid = "NetDissect"\nuse = "netdissect"\n'
            + '\n[[simulators]]\nuse = "labels"\n\n[[scorers]]\nuse = "correlation"\n'
        )
    )
    app = typer.Typer()
    app.command()(command)
    call = partial(CliRunner().invoke, app)
    choice = f"toy.toml --plugin {bench.plugin} --model net --layer second --cache".split()

    fresh = call([*choice, "new"])
    assert bench.run("--cache", "ran") == 0
    cached = call([*choice, "ran"])
    wrong = call([*choice, "ran", "--explainer", "NetDisect"])

    assert fresh.exit_code == 0
    assert fresh.stdout == cached.stdout
    assert "units are detectors" in fresh.stderr
    table = pd.read_csv(io.StringIO(fresh.stdout))
    explained = [
        unit.terms[0][0] if unit.terms else None
        for each in read_explanations(bench.folder / "leaderboards" / "explanations")
        if each.layer.startswith("second")
        for unit in each.units
    ]
    assert len(explained) == len(table) == 6
    live = [unit for unit, concept in enumerate(explained) if concept is not None]
    assert len(live) > 0
    assert table["label"][live].tolist() == [explained[unit] for unit in live]
    assert wrong.exit_code == 2
    assert "did you mean 'NetDissect'?" in wrong.stderr


def test_a_table_of_thousands_of_units_takes_no_loop() -> None:
    """Columns are filled at once; the types are numbers and text."""
    table = tally_table(NetDissect(quantile=0.05).tally(draw(1).evidence()))

    assert str(table["color-truth"].dtype) == "int64"
    assert str(table["label"].dtype) == "string"
    assert torch.tensor(table["score"].to_numpy()).dtype == torch.float64
