"""A run against an earlier one: planted changes, and what fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pytest

from le_bench.boards.comparing.choosing import Names
from le_bench.boards.comparing.gate import Change, Gate, gate
from le_bench.boards.files import ResultError
from le_bench.boards.records import Cell, Failure, Result
from le_bench.boards.results import write_failure, write_result
from le_bench.cli import call

ResultMaker = Callable[..., Result]
Output = pytest.CaptureFixture[str]
UNITS = 0.4 + 0.1 * np.sin(np.arange(40.0))


@pytest.fixture
def judge(tmp_path: Path) -> Callable[..., Gate]:
    """Writes records before and after, and gives the gate's findings."""

    def run(
        before: Sequence[Result | Failure], after: Sequence[Result | Failure], **options: float
    ) -> Gate:
        for name, records in (("old", before), ("new", after)):
            (tmp_path / name / "results").mkdir(parents=True, exist_ok=True)
            for record in records:
                if isinstance(record, Result):
                    write_result(tmp_path / name / "results", record)
                else:
                    write_failure(tmp_path / name / "results", record)
        return gate(tmp_path / "old", [tmp_path / "new"], None, Names(), **options)

    return run


def only(found: Gate) -> Change:
    (change,) = found.changes
    return change


@pytest.mark.parametrize(
    ("shift", "state"),
    [(0.0, "same"), (-0.02, "worse"), (0.02, "better"), (-0.004, "same"), (0.004, "same")],
)
def test_clear_changes_beyond_the_tolerance_count(
    judge: Callable[..., Gate], result_of: ResultMaker, shift: float, state: str
) -> None:
    """A difference that every unit shows is clear; up to 0.005 it does not count."""
    change = only(judge([result_of(UNITS)], [result_of(UNITS + shift)]))

    assert change.state == state
    if shift:
        assert change.difference is not None
        assert change.difference.mean == pytest.approx(shift)


def test_large_but_unclear_changes_do_not_count(
    judge: Callable[..., Gate], result_of: ResultMaker
) -> None:
    """A mean that moved by more than the tolerance through a few noisy units is no regression."""
    noisy = UNITS.copy()
    noisy[:3] += (-2.0, 0.9, 0.6)

    change = only(judge([result_of(UNITS)], [result_of(noisy)]))

    assert change.state == "same"
    assert change.difference is not None
    assert change.difference.mean < -0.01
    assert change.difference.low < 0 < change.difference.high


def test_the_interval_is_paired(judge: Callable[..., Gate], result_of: ResultMaker) -> None:
    """A small loss of every unit is seen though units differ much more from each other."""
    wide = 10 * np.sin(np.arange(40.0))

    assert only(judge([result_of(wide)], [result_of(wide - 0.01)])).state == "worse"


def test_a_tolerance_can_be_given(judge: Callable[..., Gate], result_of: ResultMaker) -> None:
    """What is over one tolerance is under another."""
    change = only(judge([result_of(UNITS)], [result_of(UNITS - 0.02)], tolerance=0.05))

    assert change.state == "same"


def test_lower_can_be_better(judge: Callable[..., Gate], result_of: ResultMaker) -> None:
    """A scorer for which less is better got worse when its scores rose."""
    before = result_of(UNITS, higher_is_better=False)
    after = result_of(UNITS + 0.1, higher_is_better=False)

    assert only(judge([before], [after])).state == "worse"


def test_units_that_lost_their_score_are_a_regression(
    judge: Callable[..., Gate], result_of: ResultMaker
) -> None:
    """Dropping the worst units raises the mean and fails all the same; regained ones do not."""
    fewer = np.where(UNITS < 0.35, nan, UNITS)

    lost = only(judge([result_of(UNITS)], [result_of(fewer)]))

    assert (lost.state, lost.lost, lost.gained) == ("lost units", int((UNITS < 0.35).sum()), 0)
    assert lost.after is not None
    assert lost.before is not None
    assert lost.after > lost.before


def test_regained_units_are_a_change(judge: Callable[..., Gate], result_of: ResultMaker) -> None:
    """Units that have a score for the first time are told and fail nothing but `any`."""
    found = judge([result_of(np.where(UNITS < 0.35, nan, UNITS))], [result_of(UNITS)])

    assert only(found).state == "gained units"
    assert found.failing("regression") == ()
    assert found.failing("any") == found.changes


def test_one_unit_has_no_interval(judge: Callable[..., Gate], result_of: ResultMaker) -> None:
    """A single unit cannot be excused by chance: the tolerance decides."""
    assert only(judge([result_of([0.5])], [result_of([0.4])])).state == "worse"


def test_cells_that_vanished_failed_or_came(
    judge: Callable[..., Gate], result_of: ResultMaker, cell: Cell
) -> None:
    """Lost cells are regressions with the reason, new ones are not, old failures are no news."""

    def named(name: str) -> Cell:
        return replace(cell, explainer=name)

    before = [result_of(UNITS, explainer=name) for name in ("gone", "broken", "senseless")]
    before.append(Failure("1" * 64, named("hopeless"), "explain", "out of memory"))
    after = [
        Failure("2" * 64, named("broken"), "explain", "out of memory"),
        Failure("3" * 64, named("senseless"), "explain", "no masks", not_applicable=True),
        Failure("1" * 64, named("hopeless"), "explain", "out of memory"),
        result_of(UNITS, explainer="fresh"),
    ]

    found = judge(before, after)

    states = {each.cell.explainer: (each.state, each.reason) for each in found.changes}
    assert states == {
        "gone": ("vanished", "the candidate has no such cell"),
        "broken": ("failed", "failed at explain: out of memory"),
        "senseless": ("failed", "not applicable: no masks"),
        "hopeless": ("same", "no result before or after"),
        "fresh": ("new", "the baseline has no result"),
    }
    assert len(found.failing("regression")) == 3
    assert found.summary() == "5 cells: 1 vanished, 2 failed, 1 new, 1 same"


def test_other_units_cannot_be_compared(judge: Callable[..., Gate], result_of: ResultMaker) -> None:
    """Results over another number of units, or of a scorer turned round, fail."""
    sizes = only(judge([result_of(UNITS)], [result_of(UNITS[:30])]))

    assert (sizes.state, sizes.reason) == ("not comparable", "40 units before and 30 after")


def test_a_turned_scorer_cannot_be_compared(
    judge: Callable[..., Gate], result_of: ResultMaker
) -> None:
    """A scorer that now ranks the other way round is another scorer."""
    turned = only(judge([result_of(UNITS)], [result_of(UNITS, higher_is_better=False)]))

    assert turned.reason == "the scorer ranks the other way round"


def test_changed_keys_are_told(judge: Callable[..., Gate], result_of: ResultMaker) -> None:
    """The same numbers made in another way are the same, and the new key is told."""
    change = only(judge([result_of(UNITS)], [replace(result_of(UNITS), key="f" * 64)]))

    assert (change.state, change.key_changed) == ("same", True)


def test_null_changes_are_rarely_flagged(
    judge: Callable[..., Gate], result_of: ResultMaker
) -> None:
    """Of 200 cells whose units changed at random, about 1 in 20 is flagged, half of them worse.

    The standard error of a share of 200 is 1.5%.
    """
    random = np.random.default_rng(0)
    names = [f"e{number}" for number in range(200)]
    before = [result_of(UNITS, explainer=name) for name in names]
    after = [result_of(UNITS + 0.2 * random.normal(size=40), explainer=name) for name in names]

    found = judge(before, after)

    assert 0.01 < np.mean([each.state in ("worse", "better") for each in found.changes]) < 0.1


@pytest.fixture
def folders(tmp_path: Path, result_of: ResultMaker, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A baseline and a candidate with one cell that got worse and one that got better."""
    monkeypatch.chdir(tmp_path)
    for name, shift in (("old", 0.0), ("leaderboards", 0.1)):
        for explainer, sign in (("up", 1), ("down", -1)):
            result = result_of(UNITS + sign * shift, explainer=explainer)
            write_result(tmp_path / name / "results", result)
    return tmp_path


def test_command_fails_on_a_regression(folders: Path, capsys: Output) -> None:
    """Exit code 4 with the page on stdout and in the file, and the first cell on stderr."""
    code = call(
        ["compare", "--against", "old", "--fail-on", "regression", "--markdown", "summary.md"]
    )

    printed = capsys.readouterr()
    assert code == 4
    assert printed.out.startswith("# Against old: 1 cell fails\n\n2 cells: 1 worse, 1 better. ")
    assert "| worse" in printed.out
    assert Path("summary.md").read_text() == printed.out
    assert printed.err == (
        "error: 1 cell fails against old, the first: worse, tiny: cnn, layer1, down, siglip, "
        "correlation; if that is wanted, commit these results as the baseline\n"
    )


def test_command_passes_without_regression(folders: Path, capsys: Output) -> None:
    """Improvements pass, unless any change is to fail; without --fail-on nothing fails."""
    assert (
        call(["compare", "--against", "old", "--fail-on", "regression", "--explainer", "up"]) == 0
    )
    assert call(["compare", "--against", "old", "--fail-on", "any", "--explainer", "up"]) == 4
    assert call(["compare", "--against", "old"]) == 0
    capsys.readouterr()


def test_command_prints_strict_json(folders: Path, capsys: Output) -> None:
    """Every cell with its state, difference and whether it fails."""
    call(["compare", "tiny", "--against", "old", "--json"])

    document = json.loads(capsys.readouterr().out)
    cells = {each["cell"]["explainer"]: each for each in document["cells"]}
    assert document["counts"] == {"worse": 1, "better": 1}
    assert cells["down"]["difference"]["mean"] == pytest.approx(-0.1)
    assert (cells["down"]["fails"], cells["up"]["fails"]) == (True, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fail-on", "any"], "--fail-on needs --against FOLDER, the boards to compare with"),
        (["--against", "old", "--fail-on", "all"], "--fail-on all: give regression or any"),
        (
            ["--against", "nowhere"],
            "there is no results folder nowhere/results; run `le-bench run` first",
        ),
        (["tinny", "--against", "old"], "unknown experiment 'tinny'; did you mean 'tiny'?"),
        (
            ["--against", "old", "--explainer", "x"],
            "old and the candidate have no such cell; nothing to compare",
        ),
    ],
)
def test_mistakes_are_explained(
    folders: Path, capsys: Output, arguments: list[str], message: str
) -> None:
    """Each mistake has one message and exit code 2."""
    assert call(["compare", *arguments]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_a_cell_in_two_candidate_folders_is_refused(folders: Path) -> None:
    """Which of two results is the candidate would be a guess."""
    with pytest.raises(ResultError, match="this cell is there more than once"):
        gate(Path("old"), [Path("old"), Path("leaderboards")], None, Names())
