"""`le-bench check`: where verdicts go, and how they are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from le_bench.cli import call

Output = pytest.CaptureFixture[str]


def test_verdicts_that_cannot_be_written_are_told(tmp_path: Path, capsys: Output) -> None:
    """A folder where a file is wanted is the user's mistake; stdout has the verdicts."""
    code = call(["check", "picturebook", "--kind", "encoder", "--json", str(tmp_path)])

    captured = capsys.readouterr()
    assert code == 2
    assert "0 broken" in captured.out
    assert captured.err.splitlines()[-1] == (
        f"error: cannot write {tmp_path}: Is a directory; make room or give a place that can be "
        "written, then run the same command again"
    )
    assert list(tmp_path.iterdir()) == []
