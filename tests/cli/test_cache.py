"""`le-bench cache` touches folders of finished steps alone."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from le_bench.cli import call

if TYPE_CHECKING:
    from conftest import Bench

Output = pytest.CaptureFixture[str]


@pytest.mark.parametrize("command", [["clear", "--yes"], ["list"], ["verify"]])
def test_a_folder_of_something_else_is_refused(
    tmp_path: Path, capsys: Output, command: list[str]
) -> None:
    """Without our tag nothing in a folder is removed, checked or marked as ours."""
    record = tmp_path / "boards" / "impact" / "toy" / "net.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}")

    code = call(["cache", *command, "--cache", str(tmp_path / "boards")])

    assert code == 2
    assert capsys.readouterr().err == (
        f"error: --cache {tmp_path}/boards: is no cache of le_bench, for it has no CACHEDIR.TAG of "
        "ours; give the folder that runs use, as `le-bench cache path` shows it\n"
    )
    assert [path for path in (tmp_path / "boards").rglob("*") if path.is_file()] == [record]


def test_records_under_a_stage_name_stay_in_a_folder_of_both(bench: Bench) -> None:
    """Boards in the folder of a cache keep their Top Impact when the cache is cleared."""
    common = ["--plugin", str(bench.plugin), "--cache", "both", "--out", "both"]
    call(["impact", "toy.toml", *common])
    before = bench.files("both/impact/toy")

    code = call(["cache", "clear", "--yes", "--cache", "both"])

    assert code == 0
    assert len(before) == 2
    assert bench.files("both/impact/toy") == before
    assert not list((bench.folder / "both").glob("*/??/*.json"))


def test_a_file_is_refused(tmp_path: Path, capsys: Output) -> None:
    """A cache is a folder."""
    (tmp_path / "file").write_text("")

    code = call(["cache", "clear", "--yes", "--cache", str(tmp_path / "file")])

    assert code == 2
    assert capsys.readouterr().err == (
        f"error: --cache {tmp_path}/file: is a file; give a folder of finished steps\n"
    )


def test_a_no_removes_nothing(
    bench: Bench, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what the user wants, so the exit code is 0."""
    bench.run()
    before = bench.files("cache")
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", StringIO("n\n"))

    code = call(["cache", "clear"])

    assert code == 0
    assert capsys.readouterr().out.endswith("nothing was removed\n")
    assert bench.files("cache") == before


def test_no_answer_removes_nothing(
    bench: Bench, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody can answer, the message names the option that needs no answer."""
    bench.run()
    before = bench.files("cache")
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", StringIO(""))

    code = call(["cache", "clear"])

    assert code == 2
    assert capsys.readouterr().err.endswith(
        "error: nothing was removed, for nobody answered; give --yes\n"
    )
    assert bench.files("cache") == before


def test_clearing_an_absent_folder_is_no_fault(tmp_path: Path, capsys: Output) -> None:
    """There is nothing to remove, and nothing is made."""
    code = call(["cache", "clear", "--yes", "--cache", str(tmp_path / "absent")])

    assert code == 0
    assert not (tmp_path / "absent").exists()
