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


def test_one_cause_is_told_once(tmp_path: Path, capsys: Output) -> None:
    """A model that cannot be loaded has its fault told once, with all laws it leaves untried."""
    file = tmp_path / "lost.py"
    file.write_text(
        "from dataclasses import dataclass\n"
        "from le_bench import hookimpl\n"
        "from le_bench.components import ModelSource\n"
        "@dataclass(frozen=True)\n"
        "class Lost(ModelSource):\n"
        "    name = 'lost'\n"
        "    def load(self, device):\n"
        "        raise RuntimeError('the weights are gone')\n"
        "@hookimpl\ndef le_bench_models():\n    return [Lost]\n"
    )

    code = call(["check", str(file)])

    lines = capsys.readouterr().out.splitlines()
    place = next(number for number, line in enumerate(lines) if "weights are gone" in line)
    assert code == 4
    assert sum("weights are gone" in line for line in lines) == 1
    assert lines[place : place + 2] == [
        "8 laws are broken by one cause: it raised RuntimeError: the weights are gone (lost.py:8)",
        "  The laws: 'in eval mode', 'same weights', 'preprocessing', 'deterministic', 'images one "
        "by one', 'skeleton like the model', 'device asked for', 'leaves torch alone'",
    ]
