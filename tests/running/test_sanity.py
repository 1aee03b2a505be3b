"""The sanity checks of scorers: which pass, what is planted, and what a broken scorer gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from le_bench.boards.leaderboard import board_files
from le_bench.boards.records import MadeWith
from le_bench.boards.scorers import ScorerCheck, Shares, read_checks, scorers_page, write_check
from le_bench.cli import call
from le_bench.components import Scorer
from le_bench.plugins import HOME, Plugins
from le_bench.running import sanity
from le_bench.running.sanity import PlantedUnits, check_by_name, check_scorer, plant_units
from le_bench.types import Score

PASSING = {"auprc", "correlation", "cosine", "f1", "iou"}  # Oikarinen et al., table 1


@pytest.fixture(scope="module")
def planted() -> list[PlantedUnits]:
    """A fifth of the images and half of the units of the board."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sanity, "EXACT_IMAGES", 10_000)
        patch.setattr(sanity, "NOISY_IMAGES", 10_000)
        patch.setattr(sanity, "EXACT_FREQUENCIES", (0.499, 0.1, 0.01, 0.001))
        patch.setattr(sanity, "NUM_UNITS", 10)
        return plant_units()


@pytest.fixture(scope="module")
def checks(planted: list[PlantedUnits]) -> dict[str, ScorerCheck]:
    plugins = Plugins.find()
    names = [o.component.name for o in plugins.offers("scorer") if o.distribution == HOME]
    return {name: check_by_name(name, plugins, planted) for name in names}


def shares_of(check: ScorerCheck, world: str) -> list[tuple[float, float]]:
    return [(each.missing, each.extra) for each in check.shares if each.world == world]


def test_the_published_scorers_pass(checks: Mapping[str, ScorerCheck]) -> None:
    """Of all scorers that can be checked, exactly those pass that pass in the source."""
    checked = {name: check for name, check in checks.items() if not check.not_checked}

    assert {name for name, check in checked.items() if check.passes} == PASSING
    assert len(checked) >= 17


@pytest.mark.parametrize(
    ("name", "missing", "extra"),
    [
        ("recall", [1, 1, 1, 1], [0, 0, 0, 0]),
        ("precision", [0, 0, 0, 0], [1, 1, 1, 1]),
        ("f1", [1, 1, 1, 1], [1, 1, 1, 1]),
        ("iou", [1, 1, 1, 1], [1, 1, 1, 1]),
        ("balanced-accuracy", [1, 1, 1, 1], [1, 1, 1, 0]),
        ("inverse-balanced-accuracy", [1, 1, 1, 0], [1, 1, 1, 1]),
        ("auroc", [1, 1, 1, 1], [1, 1, 1, 0]),
        ("inverse-auroc", [1, 1, 1, 0], [1, 1, 1, 1]),
        ("correlation", [1, 1, 1, 1], [1, 1, 1, 1]),
        ("cosine", [1, 1, 1, 1], [1, 1, 1, 1]),
        ("wpmi", [1, 1, 1, 1], [1, 1, 1, 1]),
        ("mean-activation-difference", [1, 1, 1, 0], [1, 1, 1, 1]),
        ("auprc", [1, 1, 1, 1], [1, 1, 1, 1]),
    ],
)
def test_exact_units_give_the_published_shares(
    checks: Mapping[str, ScorerCheck], name: str, missing: list[float], extra: list[float]
) -> None:
    """Where the source prints 0, 60 or 100% over five frequencies, so it is here over four of them.

    60% is a scorer that fails at 0.001 and at 0.0001, which the test leaves out.
    """
    found = shares_of(checks[name], "exact")

    assert [share for share, _ in found] == missing
    assert [share for _, share in found] == extra


def test_planting_is_repeatable(planted: list[PlantedUnits]) -> None:
    """The same units at every call, whatever the global generator says."""
    before = torch.get_rng_state()

    first, again = sanity._noisy(0.1, 1), sanity._noisy(0.1, 1)

    assert torch.equal(first.activations, again.activations)
    assert torch.equal(first.extra, again.extra)
    assert torch.equal(torch.get_rng_state(), before)


def test_labels_are_halved_and_doubled(planted: list[PlantedUnits]) -> None:
    """Missing keeps half of the presence, extra doubles it but for overlaps; each draw changes."""
    for units in planted:
        total = units.presence.sum()
        if units.frequency >= 0.01:
            assert float(units.missing.sum() / total) == pytest.approx(0.5, abs=0.08)
            assert float(units.extra.sum() / total) == pytest.approx(2, abs=0.45)
        changed = (units.missing.sum(0) < units.presence.sum(0)) & (
            units.extra.sum(0) > units.presence.sum(0)
        )
        assert bool(changed.all())
        assert bool((units.missing.sum(0) > 0).all())


def test_noisy_presence_is_calibrated() -> None:
    """Of images with presence near p, a share of about p has the concept."""
    units = sanity._noisy(0.1, 1)
    truth = units.activations - sanity.UNIT_SEPARATION / 2

    bins = [(0.2, 0.4), (0.4, 0.6), (0.6, 0.8)]
    shares = []
    for low, high in bins:
        inside = (units.presence > low) & (units.presence < high)
        mean = float(truth[inside].mean()) / sanity.UNIT_SEPARATION + 0.5
        shares.append(mean)

    assert shares == pytest.approx([0.3, 0.5, 0.7], abs=0.05)


@dataclass(frozen=True)
class ConstantScorer(Scorer):
    name: ClassVar[str] = "constant"

    value: float = 0.5
    fault: str = ""

    def score(self, simulations: Mapping, activations: Mapping, _: object) -> Score:
        if self.fault:
            raise RuntimeError(self.fault)
        values = torch.full((activations["test"].values.shape[1],), self.value)
        lost = range(len(values)) if self.value != self.value else ()
        return Score(values.double(), dict.fromkeys(lost, "no idea"))


@dataclass(frozen=True)
class ErrorScorer(Scorer):
    """Mean absolute error: less is better."""

    name: ClassVar[str] = "error"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)

    def score(self, simulations: Mapping, activations: Mapping, _: object) -> Score:
        gap: Tensor = simulations["test"].values - activations["test"].values
        return Score(gap.abs().mean(0).double())


def test_a_blind_scorer_notices_nothing(planted: Sequence[PlantedUnits]) -> None:
    """A constant never falls, and an undefined score counts as not noticed."""
    blind = check_scorer(ConstantScorer(), planted)
    lost = check_scorer(ConstantScorer(nan), planted)

    assert {(each.missing, each.extra, each.undefined) for each in blind} == {(0, 0, 0)}
    assert {(each.missing, each.extra, each.undefined) for each in lost} == {(0, 0, 10)}
    assert {each.score for each in lost} == {None}


def test_less_can_be_better(planted: Sequence[PlantedUnits]) -> None:
    """An error that grows is a score that falls."""
    exact = [share for share in check_scorer(ErrorScorer(), planted) if share.world == "exact"]

    assert [share.missing for share in exact[:3]] == [1.0, 1.0, 1.0]


PLUGIN = """
from dataclasses import dataclass
from le_bench import hookimpl
from le_bench.components import Scorer

@dataclass(frozen=True)
class Broken(Scorer):
    name = "broken"
    def score(self, simulations, activations, _):
        raise RuntimeError("no idea")

@dataclass(frozen=True)
class Demanding(Scorer):
    name = "demanding"
    power: float
    def score(self, simulations, activations, _):
        raise RuntimeError("no idea")

@hookimpl
def le_bench_scorers():
    return [Broken, Demanding]
"""


def test_scorers_that_cannot_be_checked_say_why(
    tmp_path: Path,
    planted: Sequence[PlantedUnits],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command writes a record a scorer and the board, which `leaderboard --check` accepts."""
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    monkeypatch.setattr(sanity, "plant_units", lambda: planted)
    out = str(tmp_path / "boards")

    code = call(
        [
            "scorers",
            "--plugin",
            str(file),
            "--scorer",
            "broken",
            "--scorer",
            "demanding",
            "--scorer",
            "f1",
            "--out",
            out,
        ]
    )

    printed = capsys.readouterr().out
    board = (tmp_path / "boards" / "scorers.md").read_text()
    assert code == 0
    assert "broken: not checked: RuntimeError: no idea" in printed
    assert "demanding: not checked: it has options without a default" in printed
    assert "f1: passes" in printed
    assert "| not checked: RuntimeError: no idea" in board
    assert [check.scorer.name for check in read_checks(tmp_path / "boards" / "scorers")] == [
        "broken",
        "demanding",
        "f1",
    ]
    assert call(["leaderboard", "--check", "--out", out]) == 0


def test_unknown_scorers_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt scorer is answered with near misses and nothing is written."""
    code = call(["scorers", "--scorer", "corelation", "--out", str(tmp_path / "boards")])

    assert code == 2
    assert capsys.readouterr().err == (
        "error: unknown scorer 'corelation'; did you mean 'correlation' or 'ablation'?\n"
    )
    assert not (tmp_path / "boards").exists()


def test_passing_needs_every_frequency(tmp_path: Path) -> None:
    """One frequency at which a scorer notices too little fails it, whatever the mean."""
    made = MadeWith("s", 1, "le-bench 0.1.0")
    good = Shares("exact", 0.1, 20, 0.5, 1.0, 1.0)
    poor = Shares("exact", 0.01, 20, 0.5, 1.0, 0.85, 3)

    passing, failing = ScorerCheck(made, "r", (good,)), ScorerCheck(made, "r", (good, poor))

    assert passing.passes
    assert not failing.passes
    assert not ScorerCheck(made, "r").passes
    assert "| no (3 units undefined) |" in scorers_page([failing], "mark")
    write_check(tmp_path / "scorers", failing)
    files = board_files(tmp_path)
    assert "[scorers](scorers.md)" in files["README.md"]
    assert set(files) == {"README.md", "scorers.md"}
