"""Each tutorial does what it shows: its files and commands, in order, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

TUTORIALS = sorted((Path(__file__).parents[2] / "docs" / "tutorials").glob("*.md"))
_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.S | re.M)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file it is, and its text."""

    language: str
    title: str | None
    text: str


def blocks(page: str) -> Iterator[Block]:
    for language, title, text in _BLOCK.findall(page):
        yield Block(language, title or None, text)


def matches(shown: str, printed: str) -> bool:
    """Whether all shown lines are printed, in order and in whole; `...` stands for any lines."""
    lines = [" ".join(line.split()) for line in shown.strip().splitlines()]
    parts = [r"(?:.*\n)*?" if line == "..." else re.escape(line) + r"\n" for line in lines]
    text = "".join(f"{' '.join(line.split())}\n" for line in printed.strip().splitlines())
    return re.fullmatch("".join(parts), text) is not None


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
@pytest.mark.timeout(900)
def test_the_tutorial_runs_as_shown(path: Path, tmp_path: Path) -> None:
    """Files are written, commands run without fault, and the output is what the page shows."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "LE_BENCH_HOME": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
    }
    work = tmp_path / "work"
    work.mkdir()
    printed, commands = None, 0
    for block in blocks(path.read_text(encoding="utf-8")):
        if block.title is not None:
            (work / block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "bash":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.text],
                cwd=work, env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
            printed, commands = done.stdout, commands + 1
        else:
            assert block.language == "text", f"{block.language} blocks need a title"
            assert printed is not None
            assert matches(block.text, printed), f"shown:\n{block.text}\nprinted:\n{printed}"

    assert commands > 0


def test_shown_output_is_held_line_by_line() -> None:
    """A line that is not printed, or is printed elsewhere, is noticed."""
    assert matches("a\n...\nd", "a\nb\nc\nd\n")
    assert not matches("a\nd", "a\nb\nd\n")
    assert not matches("...\nb\n...\na\n...", "a\nb\n")
    assert not matches("...\nb", "a\nbb\n")


def test_the_explainer_is_that_of_the_readme() -> None:
    """Two pages show one plugin; what is mended in one is mended in both."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    tutorial = next(path for path in TUTORIALS if path.stem == "explainer")
    shown = next(each for each in blocks(tutorial.read_text()) if each.title == "nearest_word.py")

    assert f"```python\n{shown.text}```" in readme
