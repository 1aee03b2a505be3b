"""Golden files: one tiny experiment to Markdown and JSON, byte for byte.

Set LE_BENCH_UPDATE_GOLDEN=1 to write them anew, then read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from le_bench.boards.leaderboard import render
from le_bench.boards.records import About, Costs, Failure, LayerExplanations, Result

GOLDEN = Path(__file__).parents[1] / "golden" / "boards"


@pytest.mark.parametrize("name", ["README.md", "tiny.md", "tiny.json"])
def test_boards_are_golden(
    name: str,
    tiny: list[Result],
    failures: list[Failure],
    explanations: list[LayerExplanations],
    costs: list[Costs],
) -> None:
    """The boards of the tiny experiment have the bytes that were reviewed."""
    golden = GOLDEN / name

    text = render(
        tiny,
        explanations=explanations,
        costs=costs,
        failures=failures,
        about=[
            About("tiny", "A tiny board", "Made up [for tests].", (("le-siglip", "clip-dissect"),))
        ],
    )[name]
    if os.environ.get("LE_BENCH_UPDATE_GOLDEN") == "1":
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text, encoding="utf-8", newline="\n")

    assert text == golden.read_bytes().decode()
