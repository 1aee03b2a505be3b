"""Correlation scoring: scipy as oracle, and the reason for each undefined score."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import pearsonr
from torch import Tensor

from le_bench.types import Activations, Layer, Score, Simulation
from le_bench_plugins.scorers.correlation import CorrelationScorer

NAN, INF = float("nan"), float("inf")


def draw(images: int = 30, units: int = 4) -> tuple[Tensor, Tensor]:
    """Activations and a simulation that is related to them."""
    generator = torch.Generator().manual_seed(0)
    activations = torch.randn(images, units, generator=generator).relu()
    return activations, activations + torch.randn(images, units, generator=generator)


def score(activations: Tensor, simulated: Tensor, undefined: dict[int, str] | None = None) -> Score:
    """Score a simulation; the val split holds rubbish, which must not matter."""
    rubbish = torch.full_like(activations, 7.0)
    return CorrelationScorer().score(
        {
            "val": Simulation("val", rubbish, {}),
            "test": Simulation("test", simulated, undefined or {}),
        },
        {
            "val": Activations(Layer("x"), rubbish),
            "test": Activations(Layer("x"), activations),
        },
        None,
    )


def test_scores_equal_scipy() -> None:
    """Pearson correlation over the test images of each unit, in float64."""
    activations, simulated = draw()

    result = score(activations, simulated)

    expected = [
        pearsonr(a, s).statistic
        for a, s in zip(activations.double().T.numpy(), simulated.double().T.numpy(), strict=True)
    ]
    assert result.values.dtype == torch.float64
    assert result.values.tolist() == pytest.approx(expected, abs=1e-14)
    assert result.undefined == {}


def test_simulation_up_to_scale_and_offset_is_perfect() -> None:
    """Perfect, mirrored, and perfect with a large offset, whatever the bias of an explanation."""
    activations, _ = draw(units=3)
    simulated = torch.stack(
        [activations[:, 0] * 5, -activations[:, 1], activations[:, 2].double().float() + 1000], 1
    )

    result = score(activations, simulated)

    assert result.values.tolist() == pytest.approx([1.0, -1.0, 1.0], abs=1e-6)


def test_each_undefined_score_has_its_reason() -> None:
    """No undefined unit is dropped, 0, or without a reason; the others keep their scores."""
    activations, simulated = draw(units=10)
    expected = score(activations, simulated).values
    activations[:, 0] = 0.0
    activations[:, 1] = 0.3
    activations[3, 2] = NAN
    activations[3, 3] = INF
    simulated[:, 4] = 0.5
    simulated[3, 5] = NAN
    simulated[:, 6] = NAN
    activations[:, 7], simulated[:, 7] = 0.0, 0.5
    activations[:, 8], simulated[:, 8] = 0.0, NAN

    result = score(activations, simulated, {6: "no terms", 8: "no idea"})

    assert result.undefined == {
        0: "the unit is dead on the test images",
        1: "the activations are constant on the test images",
        2: "the activations contain NaN or infinity",
        3: "the activations contain NaN or infinity",
        4: "the simulation is constant on the test images",
        5: "the simulation contains NaN or infinity",
        6: "no terms",
        7: "the unit is dead on the test images",
        8: "no idea",
    }
    assert result.values[:9].isnan().tolist() == [True] * 9
    assert result.values[9] == expected[9]


def test_undefined_simulation_with_numbers_is_still_undefined() -> None:
    """A simulator's reason counts even if it left numbers in the column."""
    activations, simulated = draw()

    result = score(activations, simulated, {1: "no terms"})

    assert result.undefined == {1: "no terms"}
    assert result.values.isnan().tolist() == [False, True, False, False]


def test_one_test_image_is_not_enough() -> None:
    """Every unit says so, save those with a reason of their own."""
    result = score(torch.ones(1, 3), torch.ones(1, 3), {2: "no terms"})

    assert result.undefined == {
        0: "a correlation needs at least two test images",
        1: "a correlation needs at least two test images",
        2: "no terms",
    }


def test_two_test_images_are_enough() -> None:
    """Two points lie on a line."""
    result = score(torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [2.0]]))

    assert result.values.tolist() == pytest.approx([-1.0])


def test_order_of_images_does_not_matter() -> None:
    """Shuffled test images give the same scores."""
    activations, simulated = draw()
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))

    shuffled = score(activations[order], simulated[order])

    assert torch.allclose(shuffled.values, score(activations, simulated).values, atol=1e-14)


def test_inputs_are_not_changed() -> None:
    """Scoring leaves activations and simulation alone, undefined units included."""
    activations, simulated = draw()
    before = activations.clone(), simulated.clone()

    score(activations, simulated, {0: "no terms"})

    assert torch.equal(activations, before[0])
    assert torch.equal(simulated, before[1])
