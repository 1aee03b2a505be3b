"""How many worker processes there are, and which task each takes."""

from __future__ import annotations

import os

import pytest

from le_bench.cli.run import MANY_STEPS, _workers
from le_bench.errors import BenchError
from le_bench.running.executors import suits_best

A, B, C = ("CNN", "a"), ("CNN", "b"), ("ViT", "c")


def test_a_worker_stays_at_its_layer() -> None:
    """Then comes a layer where nobody is, then any."""
    assert suits_best([A, B, C, B], B, [A]) == 1
    assert suits_best([A, B, C], C, [A, B]) == 2
    assert suits_best([A, B, C], None, [A]) == 1
    assert suits_best([A, A], B, [A]) == 0


@pytest.mark.parametrize(
    ("cores", "device", "steps", "count"),
    [
        (2, "cpu", MANY_STEPS, 2),
        (64, "cpu", MANY_STEPS, 2),
        (2, "cpu", MANY_STEPS - 1, 0),
        (1, "cpu", MANY_STEPS, 0),
        (2, "cuda", MANY_STEPS, 0),
    ],
)
def test_auto_takes_two_workers_where_they_pay(
    cores: int, device: str, steps: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU with several cores, for a long run."""
    monkeypatch.setattr(os, "cpu_count", lambda: cores)

    assert _workers("auto", device, steps) == count


def test_workers_are_a_number_or_auto() -> None:
    """Nothing to do needs none."""
    assert _workers("3", "cuda", 1) == 3
    assert _workers("3", "cpu", 0) == 0
    with pytest.raises(BenchError, match="--workers two: give a number, or auto"):
        _workers("two", "cpu", 1)
