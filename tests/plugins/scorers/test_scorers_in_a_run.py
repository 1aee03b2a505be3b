"""Scorers as rows of an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from le_bench.boards.results import read_results

if TYPE_CHECKING:
    from conftest import Bench

ROWS = """
[[scorers]]
use = "f1"
id = "F1 at 0.5"
alpha = 0.1
threshold = 0.5

[[scorers]]
use = "auprc"

[[scorers]]
use = "correlation-top-and-random"
top = 5
random = 5
"""


def test_scorers_are_rows_of_an_experiment(bench: Bench) -> None:
    """Rows with options give results of their own, and the board a section for each."""
    bench.edit(lambda text: f"{text}\n{ROWS}")

    code = bench.run()

    results = read_results(bench.folder / "leaderboards" / "results")
    names = {"correlation", "F1 at 0.5", "auprc", "correlation-top-and-random"}
    assert code == 0
    assert {result.cell.scorer for result in results} == names
    assert len(results) == 4 * 4
    board = (bench.folder / "leaderboards" / "toy.md").read_text()
    assert all(f"## {name} (higher is better)" in board for name in names)
