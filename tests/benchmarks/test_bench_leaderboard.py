"""How long it takes to render a thousand cells of 2,048 units, and to read a hundred."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from le_bench.boards.leaderboard import render
from le_bench.boards.records import Cell, Environment, Provenance, Result
from le_bench.boards.results import UnitScores, make_result, read_results, write_result

NUM_UNITS = 2048


@pytest.fixture(scope="module")
def thousand() -> list[Result]:
    """10 explainers on 25 layers under 2 simulators by 2 scorers, every tenth score undefined.

    There are 20 different sets of scores; drawing a thousand would take longer than the test.
    """
    generator = np.random.default_rng(0)
    drawn = [_drawn(generator.normal(0.3, 0.1, NUM_UNITS), f"{n:064x}") for n in range(20)]
    results = []
    for number in range(1000):
        names = np.unravel_index(number, (10, 25, 2, 2))
        explainer, layer, simulator, scorer = (str(int(name)) for name in names)
        cell = Cell("large", "noise", "net", f"layer{layer}", explainer, simulator, scorer)
        results.append(replace(drawn[number * 7 % 20], cell=cell, key=f"{number:064x}"))
    return results


def _drawn(scores: NDArray[np.float64], key: str) -> Result:
    undefined = dict.fromkeys(range(0, NUM_UNITS, 10), "constant simulation")
    scores[list(undefined)] = np.nan
    made_by = Provenance(Environment("0.1.0", "3.11", "2.14", "cpu"), 0, {})
    cell = Cell("large", "noise", "net", "layer", "explainer", "simulator", "scorer")
    return make_result(cell, key, UnitScores(scores, [1] * NUM_UNITS, undefined), made_by)


@pytest.mark.benchmark(group="leaderboard", min_rounds=2, warmup=False)
def test_bench_render(benchmark: BenchmarkFixture, thousand: list[Result]) -> None:
    """Rendering all boards of a thousand cells."""
    files = benchmark(render, thousand)

    assert set(files) == {"README.md", "large.md", "large.json"}


@pytest.mark.benchmark(group="leaderboard", min_rounds=2, warmup=False)
def test_bench_read(benchmark: BenchmarkFixture, thousand: list[Result], tmp_path: Path) -> None:
    """Reading and checking a hundred result files."""
    for result in thousand[:100]:
        write_result(tmp_path, result)

    read = benchmark(read_results, tmp_path)

    assert len(read) == 100
