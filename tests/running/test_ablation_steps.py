"""Ablation and Top Impact in whole runs of the toy experiment."""

from __future__ import annotations

import json
from math import isfinite
from typing import TYPE_CHECKING

import pytest

from le_bench.boards.impact import read_impacts
from le_bench.boards.records import LogitTemperature
from le_bench.boards.results import read_failures, read_results
from le_bench.cli import call
from le_bench.running.ablation import spread_places

if TYPE_CHECKING:
    from conftest import Bench

SCORERS = """
[[scorers]]
id = "optim"
use = "ablation"

[[scorers]]
id = "norm"
use = "ablation"
mode = "norm"
nodes = 6

[impact]
fractions = [0.1, 0.5]
"""


def with_ablation(text: str) -> str:
    return text.replace(
        '[[scorers]]\nuse = "correlation"', f'[[scorers]]\nuse = "correlation"\n{SCORERS}'
    )


def test_run_scores_ablation_and_measures_impact(
    bench: Bench, capsys: pytest.CaptureFixture
) -> None:  # type: ignore[type-arg]
    """Both modes share what they need of a layer; the temperature and TI are on record."""
    bench.edit(with_ablation)

    code = bench.run()

    assert code == 0
    plan = bench.folder / "plan.json"
    capsys.readouterr()
    assert call(["plan", "toy.toml", "--plugin", str(bench.plugin), "--json"]) == 0
    plan.write_text(capsys.readouterr().out)
    stages = [step["stage"] for step in json.loads(plan.read_text())["steps"]]
    assert (stages.count("temper"), stages.count("ablate"), stages.count("impact")) == (1, 2, 2)
    results = read_results(bench.folder / "leaderboards" / "results")
    ablation = [result for result in results if result.cell.scorer in ("optim", "norm")]
    assert len(ablation) == 2 * len([r for r in results if r.cell.scorer == "correlation"])
    for result in ablation:
        (temperature,) = (c for c in result.made_by.calibrations if isinstance(c, LogitTemperature))
        assert temperature.model == "net"
        assert temperature.cross_entropy <= temperature.plain
    impacts = read_impacts(bench.folder / "leaderboards" / "impact")
    assert [(each.layer, each.num_units, each.fractions) for each in impacts] == [
        ("first", 6, (0.1, 0.5)),
        ("second:max", 6, (0.1, 0.5)),
    ]
    page = (bench.folder / "leaderboards" / "toy.md").read_text()
    for heading in ("## Top Impact", "### Dead units", "### One score against another"):
        assert heading in page
    assert call(["leaderboard", "--check"]) == 0


def test_only_named_scorers_run(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """`--scorer` leaves out the steps of the others, keeps their results and knows near misses."""
    bench.edit(with_ablation)
    bench.run("--scorer", "norm")
    results = bench.folder / "leaderboards" / "results"
    first = {result.cell.scorer for result in read_results(results)}

    bench.run("--scorer", "correlation")
    second = {result.cell.scorer for result in read_results(results)}
    capsys.readouterr()
    code = bench.run("--scorer", "corelation")

    assert (first, second) == ({"norm"}, {"norm", "correlation"})
    assert code == 2
    assert (
        "--scorer corelation: unknown scorer 'corelation'; did you mean 'correlation'?"
        in capsys.readouterr().err
    )


def test_impact_command_needs_no_explanations(bench: Bench, capsys: pytest.CaptureFixture) -> None:  # type: ignore[type-arg]
    """It writes a table of its own into a folder without any result, and finds steps again."""
    command = [
        "impact",
        "toy.toml",
        "--plugin",
        str(bench.plugin),
        "--set",
        "impact.fractions=[0.5]",
    ]

    assert call(command) == 0

    assert "| fraction   |" in capsys.readouterr().out
    assert "## Top Impact" in (bench.folder / "leaderboards" / "toy.md").read_text()
    before = bench.files()
    assert call(command) == 0
    assert bench.files() == before


def test_impact_over_all_images_is_another_step(bench: Bench) -> None:
    """Train images count too, with the loss of the whole network; keys over test images stay."""
    command = ["impact", "toy.toml", "--plugin", str(bench.plugin), "--layer", "first"]
    call([*command, "--out", "test"])

    code = call([*command, "--out", "all", "--set", "impact.over=all"])

    (test,) = read_impacts(bench.folder / "test" / "impact")
    (every,) = read_impacts(bench.folder / "all" / "impact")
    assert code == 0
    assert (test.over, every.over) == ("test", "all")
    assert (test.images, every.images) == (16, 80)
    assert test.key != every.key
    assert isfinite(every.cross_entropy)
    assert all(len(every.defined(fraction)) == 6 for fraction in every.fractions)


def test_dataset_without_labels_is_not_applicable(bench: Bench) -> None:
    """Cells of ablation say so; correlation is scored all the same."""
    bench.edit(with_ablation)
    bench.edit(
        lambda text: text.replace('use = "toy"\n\n[encoders', 'use = "toy-unlabelled"\n\n[encoders')
    )
    plugin = bench.folder / "unlabelled.py"
    plugin.write_text(
        "import importlib.util, sys\n"
        "from dataclasses import dataclass, replace\n"
        "from typing import ClassVar\n"
        "from le_bench import hookimpl\n"
        f"spec = importlib.util.spec_from_file_location('toy_again', {str(bench.plugin)!r})\n"
        "toy = importlib.util.module_from_spec(spec)\n"
        "sys.modules['toy_again'] = toy\n"
        "spec.loader.exec_module(toy)\n"
        "@dataclass(frozen=True)\n"
        "class Unlabelled(toy.ToyDataset):\n"
        "    name: ClassVar[str] = 'toy-unlabelled'\n"
        "    def load(self):\n"
        "        return replace(super().load(), labels=None)\n"
        "@hookimpl\n"
        "def le_bench_datasets():\n"
        "    return [Unlabelled]\n"
    )

    code = bench.run("--plugin", str(plugin))

    assert code == 0
    failures = read_failures(bench.folder / "leaderboards" / "results")
    assert {(f.cell.scorer, f.not_applicable, f.step) for f in failures} == {
        ("optim", True, "temper"),
        ("norm", True, "temper"),
    }
    assert failures[0].reason == (
        "probe dataset 'toy' has no labels, and without them a target model has no loss that a "
        "unit could change"
    )
    assert read_impacts(bench.folder / "leaderboards" / "impact") == []


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "[impact]\nfraction = [0.1]",
            "impact: unknown option 'fraction'; did you mean 'fractions'?",
        ),
        ("[impact]\nfractions = [0.5, 0.1]", "impact: fractions must rise, not (0.5, 0.1)"),
        ("[impact]\nimages = 0", "impact: images must be at least 1, not 0"),
        ("[impact]\ncounting = 'all'", "impact: counting: input should be 'exact' or 'authors'"),
    ],
)
def test_options_of_impact_are_checked(
    bench: Bench,
    capsys: pytest.CaptureFixture,
    table: str,
    message: str,  # type: ignore[type-arg]
) -> None:
    """Before anything is run."""
    bench.edit(lambda text: f"{text}\n{table}\n")

    assert bench.run() == 2
    assert message in capsys.readouterr().err


def test_places_are_spread_evenly() -> None:
    """All for None or enough; first and last always."""
    assert spread_places(5, None).tolist() == spread_places(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert spread_places(10, 4).tolist() == [0, 3, 6, 9]
    assert len(set(spread_places(1000, 999).tolist())) == 999
