"""Running: failures that stay where they belong, and exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from le_bench.boards.results import read_failures, read_results
from le_bench.boards.statistics import mean_and_error
from le_bench.cli import call

if TYPE_CHECKING:
    from conftest import Bench


def test_a_run_scores_every_cell_and_writes_the_board(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each cell gets a result, the board names every explainer, stdout says what was done."""
    code = bench.run()

    out = capsys.readouterr().out
    board = (bench.folder / "leaderboards" / "toy.md").read_text()
    assert code == 0
    assert len(bench.values()) == 4
    assert out.startswith("18 steps computed, 0 found in the cache; 4 cells scored, ")
    assert "toy-word" in board
    assert "toy-label" in board


def test_a_second_run_computes_nothing_and_changes_no_file(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """All steps come from the cache; no file is touched, not even its time of change."""
    bench.run()
    capsys.readouterr()
    root = bench.folder / "leaderboards"
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}

    code = bench.run()

    after = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    assert code == 0
    assert before == after
    assert capsys.readouterr().out.startswith("0 steps computed, 9 found in the cache; ")


@pytest.mark.parametrize(
    ("fault", "workers", "reason"),
    [
        ("raise", "0", "RuntimeError: this explainer cannot cope (mine.py:"),
        ("mistake", "0", "give this explainer a better option"),
        ("short", "0", "explainer 'toy-label' returned 5 explanations for 6 units"),
        ("raise", "2", "RuntimeError: this explainer cannot cope (mine.py:"),
        ("die", "2", "its worker process died (exit code -9; out of memory or killed?)"),
    ],
)
def test_a_failing_step_takes_down_its_own_cells_only(
    bench: Bench, fault: str, reason: str, workers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other explainer is scored, the gap is on the board, and the exit code is 5."""
    mine = bench.folder / "mine.py"
    mine.write_text(bench.plugin.read_text())
    bench.plugin = mine
    bench.run()
    untouched = bench.values()["toy-word first"]
    bench.edit(
        lambda text: text.replace('use = "toy-label"', f'use = "toy-label"\nfault = "{fault}"')
    )

    code = bench.run("--workers", workers)

    errors = capsys.readouterr().err
    failures = read_failures(bench.folder / "leaderboards" / "results")
    board = (bench.folder / "leaderboards" / "toy.md").read_text()
    assert code == 5
    assert sorted(bench.values()) == ["toy-word first", "toy-word second:max"]
    assert bench.values()["toy-word first"] == untouched
    assert all(reason in failure.reason for failure in failures)
    assert len(failures) == 2
    assert reason.split(" (", maxsplit=1)[0] in board.replace("\\", "")
    assert "to go on: le-bench" in errors


def test_a_mended_cell_replaces_its_failure(bench: Bench) -> None:
    """Once the cell succeeds, its failure is gone from the results and the board."""
    bench.run("--set", "explainers.toy-label.fault=raise")
    code = bench.run()

    assert code == 0
    assert read_failures(bench.folder / "leaderboards" / "results") == []
    assert len(bench.values()) == 4


def test_workers_give_the_same_bytes(bench: Bench) -> None:
    """Two worker processes write the same results as one process."""
    bench.run("--out", "one", "--cache", "cache-one")
    bench.run("--out", "two", "--cache", "cache-two", "--workers", "2")

    assert bench.files("one/results") == bench.files("two/results")
    assert bench.files("one/explanations") == bench.files("two/explanations")


def test_limited_units_never_enter_a_committed_board(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """--limit-units writes beside the boards, marked partial, and a check refuses such results."""
    code = bench.run("--limit-units", "2")

    assert code == 0
    assert not (bench.folder / "leaderboards").exists()
    results = read_results(bench.folder / "leaderboards-partial" / "results")
    assert all(result.partial and result.score.num_units == 2 for result in results)
    assert call(["leaderboard", "--check", "--out", "leaderboards-partial"]) == 2
    assert "partial" in capsys.readouterr().err


def test_rows_that_left_the_experiment_leave_the_board(bench: Bench) -> None:
    """A whole run removes results of cells that are no longer asked for; a selection does not."""
    bench.run()
    bench.run("--explainer", "toy-word")
    selected = len(bench.values())
    bench.edit(lambda text: text.replace('[[explainers]]\nuse = "toy-label"\n', ""))

    bench.run()

    assert selected == 4
    assert sorted(bench.values()) == ["toy-word first", "toy-word second:max"]


def test_a_record_that_another_run_removed_first_is_no_fault(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs that tidy one folder at once both end well, and each counts what it removed."""
    bench.run()
    bench.edit(lambda text: text.replace('[[explainers]]\nuse = "toy-label"\n', ""))
    unlink = Path.unlink

    def unlinked_before(path: Path, missing_ok: bool = False) -> None:
        if "toy-label" in str(path):
            unlink(path)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlinked_before)

    code = bench.run()

    assert code == 0
    assert sorted(bench.values()) == ["toy-word first", "toy-word second:max"]


def test_a_result_that_is_reproduced_stays_as_it_is(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Last-digit noise under the same key changes no file; a real difference is said loudly."""
    bench.run()
    path = next((bench.folder / "leaderboards" / "results").rglob("labels.correlation.json"))
    original = path.read_bytes()
    document = json.loads(original)
    first = next(i for i, value in enumerate(document["values"]) if value is not None)

    document["values"][first] += 0.000001
    path.write_text(json.dumps(document))
    bench.run()
    noise = json.loads(path.read_bytes())["values"][first]
    document["values"][first] += 0.1
    whole = mean_and_error(np.array(document["values"], dtype=np.float64))
    live = np.delete(np.array(document["values"], dtype=np.float64), document["dead"])
    document["score"] |= {
        "mean": round(whole.mean, 6),
        "standard_error": round(whole.standard_error, 6),
        "live_mean": round(mean_and_error(live).mean, 6),
    }
    path.write_text(json.dumps(document))
    capsys.readouterr()
    bench.run()

    assert noise == document["values"][first] - 0.1
    assert path.read_bytes() == original
    assert "1 recorded results were not reproduced and have been replaced" in (
        capsys.readouterr().err
    )


MISTAKES = {
    "unknown explainer": (
        lambda text: text.replace('"toy-label"', '"toy-lable"'),
        "toy.toml: 1 fault, nothing was run:\n  - explainers 1 (toy-lable): unknown explainer "
        "'toy-lable'; did you mean 'toy-label'",
    ),
    "unknown key": (
        lambda text: "sede = 1\n" + text,
        "toy.toml: 1 fault, nothing was run:\n  - top level: unknown key 'sede'; did you mean "
        "'seed'",
    ),
    "wrong type": (
        lambda text: text.replace("seed = 1", 'seed = "one"'),
        "toy.toml: 1 fault, nothing was run:\n  - seed: must be a whole number, not 'one'\n",
    ),
    "missing file": (
        lambda text: text.replace('id = "net"', 'id = "net"\ncheckpoint = "gone.txt"'),
        "toy.toml: 1 missing file, nothing was run:\n  - models 1 (net), checkpoint: gone.txt does "
        "not exist; give another path with --set models.net.checkpoint=PATH (relative to the "
        "experiment file)\n",
    ),
    "missing layer": (
        lambda text: text.replace('"first"', '"frist"'),
        "layer 'frist'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_message_and_writes_nothing(
    bench: Bench, mistake: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 (6: files are missing), one message with what, where and what to do, no board."""
    change, message = MISTAKES[mistake]
    bench.edit(change)

    code = bench.run()

    captured = capsys.readouterr()
    assert message in captured.err
    assert code == (6 if mistake == "missing file" else 2)
    assert captured.out == ""
    assert not (bench.folder / "leaderboards").exists()


def test_usage_mistakes_leave_with_2(bench: Bench) -> None:
    """An unknown option or device is the user's mistake."""
    assert bench.run("--no-such-option") == 2
    assert bench.run("--device", "cuda:99") == 2
    assert call(["run", "no-such-experiment"]) == 2


def test_the_board_check_finds_an_edited_board(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """`leaderboard --check` agrees after a run and leaves with 4 and a diff after an edit."""
    bench.run()
    agreed = call(["leaderboard", "--check"])
    board = bench.folder / "leaderboards" / "toy.md"
    board.write_text(board.read_text().replace("toy-word", "my-word"))
    capsys.readouterr()

    differing = call(["leaderboard", "--check"])
    shown = capsys.readouterr().out
    call(["leaderboard"])

    assert (agreed, differing) == (0, 4)
    assert "+" in shown
    assert "my-word" in shown
    assert call(["leaderboard", "--check"]) == 0


def test_a_cell_that_makes_no_sense_is_not_applicable_and_no_failure(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """The board shows n/a with the reason, the run ends well, and a second run computes nothing."""
    bench.edit(lambda text: text.replace('use = "toy-label"', 'use = "toy-label"\nfault = "n/a"'))

    codes = [bench.run(), bench.run()]

    out = capsys.readouterr().out
    board = (bench.folder / "leaderboards" / "toy.md").read_text()
    failures = read_failures(bench.folder / "leaderboards" / "results")
    assert codes == [0, 0]
    assert [failure.not_applicable for failure in failures] == [True]
    assert failures[0].step == "explain"
    assert failures[0].reason == "layer 'second' has nothing to say"
    assert re.search(r"n/a <sup>(\d)</sup>(.*\n)+<sup>\1</sup> layer 'second' has nothing", board)
    assert len(bench.values()) == 3
    assert "0 steps computed, 9 found in the cache" in out


def test_figures_of_a_paper_are_kept_and_renewed(bench: Bench) -> None:
    """Figures that are added later come to the record of a cell that is not computed again."""
    figures = (
        '\n[[published]]\nmodel = "net"\nlayer = "first"\nexplainer = "toy-label"\n'
        'simulator = "labels"\nscorer = "correlation"\nvalue = 0.25\n'
    )
    bench.edit(lambda text: text + figures)
    bench.run()

    bench.edit(lambda text: text + "se = 0.01\nlength = 4.5\n")
    bench.run()

    (found,) = (
        result
        for result in read_results(bench.folder / "leaderboards" / "results")
        if result.published is not None
    )
    assert (found.published, found.published_further) == (0.25, {"se": 0.01, "length": 4.5})
    assert "[0.2500 ± 0.01]" in (bench.folder / "leaderboards" / "toy.md").read_text()
