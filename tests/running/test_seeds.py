"""Random generators by content alone."""

from __future__ import annotations

import random

import numpy as np
import torch

from le_bench.running.seeds import seed_everything, seeded

CPU = torch.device("cpu")


def draw() -> tuple[float, float, float]:
    """A number of each global generator."""
    return random.gauss(), np.random.rand(), float(torch.rand(1))


def test_generators_go_on_as_if_nothing_had_been_drawn() -> None:
    """Within, numbers follow from the seed alone; afterwards they are those that were to come."""
    seed_everything(1)
    first, second = draw(), draw()
    seed_everything(1)

    found = [draw()]
    with seeded(9, CPU):
        inside = draw()
    found.append(draw())
    with seeded(9, CPU):
        again = draw()

    assert found == [first, second]
    assert inside == again
