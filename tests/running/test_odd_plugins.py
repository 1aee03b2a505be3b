"""Plugins that do what nobody expects harm no others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from le_bench.boards.results import read_results

if TYPE_CHECKING:
    from conftest import Bench

ODD = Path(__file__).parent.parent / "toy" / "odd_plugin.py"


def run(bench: Bench, *arguments: str) -> int:
    """`le-bench run toy.toml` with the odd plugins at hand; the exit code."""
    return bench.run("--plugin", str(ODD), *arguments)


def add_row(bench: Bench, kind: str, **options: str) -> None:
    """Put a row of an odd component before all others of its kind."""
    lines = "\n".join(f"{name} = {value}" for name, value in options.items())
    first = f"[[{kind}s]]"
    bench.edit(lambda text: text.replace(first, f'{first}\nuse = "odd"\n{lines}\n\n{first}', 1))


def test_a_scorer_that_writes_into_its_input_changes_no_other_score(bench: Bench) -> None:
    """The scorer after it scores the simulations as they were."""
    bench.run("--out", "usual", "--cache", "usual-cache")
    expected = {
        result.cell: result.values for result in read_results(bench.folder / "usual" / "results")
    }
    add_row(bench, "scorer", oddity='"writes"')

    code = run(bench)

    results = read_results(bench.folder / "leaderboards" / "results")
    found = {result.cell: result.values for result in results if result.cell.scorer != "odd"}
    assert code == 0
    assert len(results) == 2 * len(expected)
    assert found == expected
