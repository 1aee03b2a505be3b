"""`le-bench leaderboard --submit`: all of a submission is taken, marked, or none of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from le_bench.boards import submissions
from le_bench.boards.files import ResultError
from le_bench.boards.folders import encode
from le_bench.boards.records import Failure, Result
from le_bench.boards.results import read_results, result_path, write_failure, write_result
from le_bench.cli import call

Output = pytest.CaptureFixture[str]


@pytest.fixture
def boards(tmp_path: Path, tiny: list[Result]) -> Path:
    """A leaderboards folder with the tiny experiment and its boards."""
    for result in tiny:
        write_result(tmp_path / "boards" / "results", result)
    assert call(["leaderboard", "--out", str(tmp_path / "boards")]) == 0
    return tmp_path / "boards"


@pytest.fixture
def theirs(result_of: Callable[..., Result]) -> Result:
    """A good result of an explainer that is not on the board."""
    return result_of(0.5 + 0.01 * np.arange(40) % 0.05, explainer="their-explainer")


def _file(tmp_path: Path, result: Result, **changes: Any) -> Path:
    """The result as a file, with changes to its JSON by path such as `score__mean`."""
    document = json.loads(encode(result))
    for path, value in changes.items():
        *parents, last = path.split("__")
        target = document
        for parent in parents:
            target = target[parent]
        target[last] = value
    file = tmp_path / "theirs.json"
    file.write_text(json.dumps(document))
    return file


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _refusal(boards: Path, given: Path, capsys: Output) -> str:
    """What a submission is refused with; nothing may have changed."""
    before = _tree(boards)

    code = call(["leaderboard", "--out", str(boards), "--submit", str(given), "--by", "Ada"])

    assert (code, _tree(boards)) == (2, before)
    return capsys.readouterr().err


def test_takes_and_marks_a_result(
    boards: Path, theirs: Result, tmp_path: Path, capsys: Output
) -> None:
    """A good result lies in its place with its origin, the boards mark it, and the check holds."""
    given = _file(tmp_path, theirs)

    code = call(["leaderboard", "--out", str(boards), "--submit", str(given), "--by", "Ada <b>"])

    taken = {each.cell: each for each in read_results(boards / "results")}[theirs.cell]
    board = (boards / "tiny.md").read_text()
    assert code == 0
    assert taken.origin is not None
    assert (taken.origin.file, taken.origin.by) == ("theirs.json", "Ada <b>")
    assert replace(taken, origin=None) == theirs
    assert "| their-explainer † " in board
    assert "submitted from theirs.json by `Ada <b>`; not reproduced here" in board
    assert call(["leaderboard", "--out", str(boards), "--check"]) == 0


def test_results_of_a_run_say_nothing_of_an_origin(theirs: Result) -> None:
    """The files of results that were not submitted have no field for it."""
    assert "origin" not in json.loads(encode(theirs))


def test_takes_a_folder_and_leaves_what_is_known(
    boards: Path, theirs: Result, tiny: list[Result], tmp_path: Path, capsys: Output
) -> None:
    """Of a run's folder the new results are taken; the same numbers are left as they are."""
    for result in (theirs, tiny[0]):
        write_result(tmp_path / "run" / "results", result)
    old = result_path(boards / "results", tiny[0].cell)
    before = old.read_bytes()

    done = submissions.submit(boards, tmp_path / "run", "Ada")

    assert (done.taken, done.known) == ((theirs.cell,), (tiny[0].cell,))
    assert old.read_bytes() == before


def test_own_run_takes_the_mark_away(boards: Path, theirs: Result, tmp_path: Path) -> None:
    """Once a run gives the result itself, it is no submission any more."""
    submissions.submit(boards, _file(tmp_path, theirs), "Ada")

    write_result(boards / "results", theirs)

    assert {each.cell: each.origin for each in read_results(boards / "results")}[
        theirs.cell
    ] is None


REFUSED = [
    ({"schema": 2}, "schema 2 is newer than this le_bench knows (1); upgrade le_bench"),
    ({"key": "../../etc"}, "key: string should match pattern '^[0-9a-f]{64}$'"),
    ({"cell__explainer": ""}, "cell.explainer: string should have at least 1 character"),
    (
        {"cell__experiment": "../../evil"},
        "cell.experiment: unknown experiment '../../evil'; there are: tiny",
    ),
    ({"cell__dataset": "imagenet"}, "cell.dataset: unknown dataset 'imagenet'"),
    ({"cell__layer": "layer9"}, "cell.layer: unknown layer 'cnn, layer9'; did you mean"),
    ({"cell__scorer": "mine"}, "cell.scorer: unknown scorer 'mine'"),
    ({"partial": True}, "partial: made with --limit-units; run it on all units"),
    ({"published": 0.9}, "published: only figures of the paper stand there; leave it null"),
    (
        {"published_further": {"se": 0.1}},
        "published_further: only figures of the paper stand there; leave it out",
    ),
    ({"origin": {"file": "a", "by": "b"}}, "origin: is written when a result is taken"),
    ({"made_by__seed": 1}, "made_by.seed: seeds here: 0, not 1"),
    ({"score__ci_low": 0.1}, "score.ci_low: is 0.1 but the values have 0.5"),
    ({"score__standard_error": None}, "standard_error is None but the values have"),
    (
        {"made_by__components__model__version": 3},
        "made_by.components.model: configurations of model 'cnn' here: picturebook-cnn version 2",
    ),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_refuses_with_file_and_field(
    boards: Path, theirs: Result, capsys: Output, changes: dict[str, Any], message: str
) -> None:
    """Whatever is wrong is told by file and field, and nothing is written."""
    error = _refusal(boards, _file(boards.parent, theirs, **changes), capsys)

    assert error.startswith("error: refused, nothing was written: ")
    assert f"- theirs.json: {message}" in error


def test_refuses_other_unit_counts(
    boards: Path, result_of: Callable[..., Result], tmp_path: Path, capsys: Output
) -> None:
    """A result over other units than the layer's is no result of the layer."""
    given = _file(tmp_path, result_of(np.full(39, 0.5), explainer="short"))

    assert "score.num_units: sizes of cnn, layer1 here: 40 units, not 39 units" in _refusal(
        boards, given, capsys
    )


def test_refuses_scores_out_of_range(
    boards: Path, result_of: Callable[..., Result], tmp_path: Path, capsys: Output
) -> None:
    """No correlation is above 1."""
    given = _file(tmp_path, result_of(np.linspace(0, 1.1, 40), explainer="high"))

    assert "values[36]: 1.01538 is outside [-1, 1] of correlation" in _refusal(
        boards, given, capsys
    )


def test_refuses_an_id_that_is_taken(
    boards: Path, result_of: Callable[..., Result], tmp_path: Path, capsys: Output
) -> None:
    """An explainer's name on the board means one component with one set of options."""
    other = result_of(
        np.full(40, 0.5), explainer="le-siglip", layer="layer2", scorer="ablation",
        options={"penalty": 9},
    )  # fmt: skip

    error = _refusal(boards, _file(tmp_path, other), capsys)

    assert "made_by.components.explainer: configurations of explainer 'le-siglip' here:" in error


def test_refuses_other_numbers_for_a_known_cell(
    boards: Path, tiny: list[Result], result_of: Callable[..., Result], capsys: Output
) -> None:
    """A cell that is here keeps its result, whatever key another one has."""
    other = replace(result_of(np.full(40, 0.5)), cell=tiny[0].cell, key="0" * 64)

    error = _refusal(boards, _file(boards.parent, other), capsys)

    assert "values: this cell has a result here, with key" in error


def test_refuses_a_cell_that_makes_no_sense(
    boards: Path, theirs: Result, tmp_path: Path, capsys: Output
) -> None:
    """No result is taken where the board says n/a."""
    failure = Failure(theirs.key, theirs.cell, "explain", "no masks", not_applicable=True)
    write_failure(boards / "results", failure)

    error = _refusal(boards, _file(tmp_path, theirs), capsys)

    assert "cell: not applicable here: no masks" in error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"key": ', "not valid JSON at line 1, column 9"),
        ('{"values": [NaN]}', "NaN is no number; undefined scores are null"),
        ("[]", "not a JSON object"),
        ('{"schema": 1, "schema": 1}', "key 'schema' is there twice"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_refuses_what_is_no_result(
    boards: Path, tmp_path: Path, capsys: Output, text: str, message: str
) -> None:
    """Truncated and malformed JSON is told by its place."""
    given = tmp_path / "bad.json"
    given.write_text(text)

    error = _refusal(boards, given, capsys)

    assert "- bad.json: " in error
    assert message in error


def test_one_bad_file_refuses_all(
    boards: Path, theirs: Result, tmp_path: Path, capsys: Output
) -> None:
    """A submission with a bad file is refused whole, and every bad file is named."""
    write_result(tmp_path / "run", theirs)
    (tmp_path / "run" / "a.json").write_text("{")
    (tmp_path / "run" / "b.json").write_bytes(b"\xff\xfe")
    (tmp_path / "run" / "c.json").symlink_to("/etc/hostname")

    error = _refusal(boards, tmp_path / "run", capsys)

    assert "3 faults in the files under" in error
    assert "- b.json: not UTF-8 text" in error
    assert "- c.json: not a regular file" in error


def test_refuses_huge_files_unread(
    boards: Path, theirs: Result, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file beyond the largest result is not even read."""
    given = _file(tmp_path, theirs)
    monkeypatch.setattr(submissions, "LARGEST", 100)

    assert "more than the 100 of the largest result" in _refusal(boards, given, capsys)


def test_same_cell_twice(boards: Path, theirs: Result, tmp_path: Path, capsys: Output) -> None:
    """Two files for one cell are no choice."""
    (tmp_path / "run").mkdir()
    for name in ("a.json", "b.json"):
        (tmp_path / "run" / name).write_text(encode(theirs))

    assert "- b.json: cell: a.json has the same one" in _refusal(boards, tmp_path / "run", capsys)


def test_options_go_together(boards: Path, capsys: Output) -> None:
    """Nobody submits anonymously."""
    code = call(["leaderboard", "--out", str(boards), "--submit", str(boards)])

    assert code == 2
    assert capsys.readouterr().err == "error: --submit PATH and --by NAME go together\n"


@pytest.mark.parametrize("survives", [0, 1])
def test_a_kill_while_writing_leaves_nothing(
    boards: Path, theirs: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survives: int
) -> None:
    """Killed before all was written down, a submission is dropped by the next command."""
    before = _tree(boards)
    second = replace(theirs, cell=replace(theirs.cell, explainer="second"))
    for each in (theirs, second):
        write_result(tmp_path / "run", each)
    calls: list[int] = []

    def killed(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > survives:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        submissions.submit(boards, tmp_path / "run", "Ada")

    monkeypatch.undo()
    assert not submissions.unsettled(boards)
    assert call(["leaderboard", "--out", str(boards)]) == 0
    assert _tree(boards) == before


def test_a_kill_while_moving_is_finished(
    boards: Path, theirs: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    """Killed after all was written down, a submission is finished by the next command."""
    second = replace(theirs, cell=replace(theirs.cell, explainer="second"))
    for each in (theirs, second):
        write_result(tmp_path / "run", each)
    moved = Path.replace

    def killed(path: Path, target: Path) -> Path:
        if path.parent.name == "their-explainer":
            raise KeyboardInterrupt
        return moved(path, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        submissions.submit(boards, tmp_path / "run", "Ada")

    monkeypatch.undo()
    assert call(["leaderboard", "--out", str(boards), "--check"]) == 2
    assert "a submission to" in capsys.readouterr().err
    assert call(["leaderboard", "--out", str(boards)]) == 0
    assert {theirs.cell, second.cell} <= {each.cell for each in read_results(boards / "results")}
    assert call(["leaderboard", "--out", str(boards), "--check"]) == 0


def test_a_full_disk_takes_nothing(
    boards: Path, theirs: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be written whole leaves no trace."""
    before = _tree(boards)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResultError, match="nothing was taken"):
        submissions.submit(boards, _file(tmp_path, theirs), "Ada")

    assert _tree(boards) == before
