"""Which units cannot be explained, and how ties between concepts end."""

from __future__ import annotations

import torch

from le_bench_plugins.explainers.choosing import first_best
from le_bench_plugins.explainers.units import unusable_units


def test_reasons_for_unusable_units() -> None:
    """Constant and non-finite units have a reason that names the split; others have none."""
    train = torch.tensor([[0.0, 1.0, 1.0, 1.0, 5.0], [0.0, 2.0, float("nan"), 2.0, 6.0]])
    val = torch.tensor([[0.0, 3.0, 1.0, float("inf"), 1.0], [1.0, 3.0, 1.0, float("nan"), 2.0]])

    assert unusable_units(train, val) == {
        0: "the unit has the same activation on all train images",
        1: "the unit has the same activation on all val images",
        2: "the unit's activation is not a finite number on 1 train image",
        3: "the unit's activation is not a finite number on 2 val images",
    }


def test_first_best_takes_the_earlier_of_equals() -> None:
    """Values that differ by rounding alone are equal, and the first of them wins."""
    values = torch.tensor(
        [[1.0, 3.0, 3.0 + 1e-12], [-500.0 - 1e-10, -500.0, -501.0]], dtype=torch.float64
    )

    assert first_best(values)[1].tolist() == [1, 0]


def test_first_best_never_takes_nan() -> None:
    """NaN never wins; a row of NaN has a best of -inf."""
    nan = float("nan")
    values = torch.tensor([[nan, -3.0, -2.0], [nan, nan, nan]])

    best, columns = first_best(values)

    assert best.tolist() == [-2.0, float("-inf")]
    assert columns[0] == 2
