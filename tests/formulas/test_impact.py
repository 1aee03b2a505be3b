"""Top Impact: numpy as oracle, and the laws it must obey."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from le_bench.formulas.impact import top_impact, unit_impacts


def draw(images: int = 40, units: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    impacts = torch.randn(images, units, generator=generator, dtype=torch.float64)
    return impacts, torch.randn(images, units, generator=generator).relu()


def test_impacts_are_the_papers() -> None:
    """Half of what accuracy loses less what the loss loses, each of the total, by hand."""
    correct = torch.tensor([True, True, False, True])
    losses = torch.tensor([0.1, 0.4, 1.0, 0.5])
    without = torch.tensor([[True], [False], [True], [True]])
    losses_without = torch.tensor([[0.2], [1.4], [0.3], [0.5]])

    impacts = unit_impacts(correct, losses, without, losses_without)

    expected = [
        (0 - (0.1 - 0.2) / 2.0) / 2,
        (1 / 3 - (0.4 - 1.4) / 2.0) / 2,
        (-1 / 3 - (1.0 - 0.3) / 2.0) / 2,
        0.0,
    ]
    assert impacts[:, 0].tolist() == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.33, 0.5, 1.0])
def test_top_impact_equals_numpy(fraction: float) -> None:
    """Sorted by activation, the image on which the fraction falls counting in part."""
    impacts, activations = draw()

    found = top_impact(impacts, activations, [fraction])[0]

    for unit in range(3):
        order = np.argsort(-activations[:, unit].numpy(), kind="stable")
        sizes = np.abs(impacts[:, unit].numpy())[order]
        sums = np.concatenate([[0], sizes.cumsum()])
        right = np.interp(fraction * 40, np.arange(41), sums) / sizes.sum()
        assert float(found[unit]) == pytest.approx(right)


@pytest.mark.parametrize("count", [1, 7, 1000])
def test_equal_impacts_give_the_fraction(count: int) -> None:
    """TI(b) = b for a unit to which all images matter alike, however few there are."""
    fractions = [0.0003, 0.02, 0.1, 0.5, 1.0]

    found = top_impact(torch.full((count, 2), -0.3), torch.rand(count, 2), fractions)

    assert found[:, 0].tolist() == pytest.approx(fractions)
    assert found[:, 1].tolist() == pytest.approx(fractions)


@pytest.mark.parametrize(
    ("fraction", "count"), [(0.0003, 15), (0.002, 101), (0.02, 1001), (0.1, 5001), (1.0, 50000)]
)
def test_authors_counting(fraction: float, count: int) -> None:
    """Index int(b N) of the cumulative sum: 15 images of 50,000 for 0.0003, 101 for 0.002."""
    impacts = torch.ones(50_000, 1)

    found = top_impact(impacts, torch.rand(50_000, 1), [fraction], "authors")

    assert float(found) == pytest.approx(count / 50_000)


def test_unit_without_impact_is_undefined() -> None:
    """NaN for it, and the others keep theirs."""
    impacts, activations = draw()
    expected = top_impact(impacts, activations, [0.1])
    impacts[:, 1] = 0.0

    found = top_impact(impacts, activations, [0.1])

    assert found[0].isnan().tolist() == [False, True, False]
    assert found[0, [0, 2]].tolist() == expected[0, [0, 2]].tolist()


def test_ties_keep_the_order_of_images() -> None:
    """A unit that is 0 everywhere counts the first images first, on every machine."""
    impacts = torch.tensor([[3.0], [1.0], [1.0], [1.0]])

    assert top_impact(impacts, torch.zeros(4, 1), [0.25]).tolist() == [[0.5]]
