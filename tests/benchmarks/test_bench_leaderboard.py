"""How long boards take: to render a thousand cells, read a hundred, compare the committed ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from le_bench.boards.comparing.choosing import Chosen, Names, choose
from le_bench.boards.comparing.comparison import Comparison
from le_bench.boards.comparing.pairing import compare
from le_bench.boards.leaderboard import render
from le_bench.boards.records import Cell, Environment, Provenance, Result
from le_bench.boards.results import UnitScores, make_result, read_results, write_result

NUM_UNITS = 2048
COMMITTED = Path(__file__).parents[2] / "leaderboards"


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


@pytest.mark.benchmark(group="compare", min_rounds=3, warmup=True)
def test_bench_choose(benchmark: BenchmarkFixture) -> None:
    """Reading and checking the committed results of the default experiment."""
    chosen = benchmark(choose, [COMMITTED], "picturebook", Names())

    assert len(chosen.results) > 900


@pytest.mark.benchmark(group="compare", min_rounds=3, warmup=True)
def test_bench_compare(benchmark: BenchmarkFixture) -> None:
    """Comparing simulators on the committed results, once they are read."""

    def setup() -> tuple[tuple[Chosen, str], dict[str, int]]:
        return (choose([COMMITTED], "picturebook", Names()), "simulator"), {}

    compared: Comparison = benchmark.pedantic(compare, setup=setup, rounds=5)

    assert len(compared.cells) > 900
