"""Calibration against scipy, scikit-learn, the authors' grid and hand-made extremes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from le_bench.errors import BenchError
from le_bench.formulas import calibration
from le_bench.formulas.calibration import MAX_SLOPE, fit_calibration


def draw_cells(
    seed: int, images: int = 300, concepts: int = 12, gain: float = 0.06
) -> tuple[Tensor, Tensor]:
    """Cosines as a SigLIP gives them, and truth for concepts of different prevalence."""
    generator = torch.Generator().manual_seed(seed)
    prevalence = torch.linspace(0.02, 0.25, concepts)
    ranks = torch.rand(images, concepts, generator=generator).argsort(0).argsort(0)
    truth = (ranks < prevalence * images).float()
    noise = 0.03 * torch.randn(images, concepts, generator=generator)
    return 0.05 + gain * truth + noise, truth


def cross_entropy(cosines: Tensor, truth: Tensor, a: float, b: float) -> float:
    """The definition, in numpy: mean of -log P over present and of -log(1 - P) over absent."""
    logits = a * (cosines.double().numpy() + b)
    return float(np.mean(np.logaddexp(0, logits) - truth.double().numpy() * logits))


@pytest.mark.parametrize("seed", range(4))
def test_fit_equals_scipy(seed: int) -> None:
    """A derivative-free search in (a, b) ends at the same constants and the same loss."""
    cosines, truth = draw_cells(seed)

    fitted = fit_calibration(cosines, truth)

    found = minimize(
        lambda v: cross_entropy(cosines, truth, *v),
        x0=[60.0, -0.09],
        method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-16, "maxiter": 5000},
    )
    assert fitted.a == pytest.approx(found.x[0], rel=1e-6)
    assert fitted.b == pytest.approx(found.x[1], rel=1e-6)
    assert fitted.cross_entropy == pytest.approx(found.fun, abs=1e-14)


def test_fit_equals_unpenalised_logistic_regression() -> None:
    """scikit-learn's logistic regression without penalty on (cosine, 1) gives (a, a * b)."""
    cosines, truth = draw_cells(seed=9)

    fitted = fit_calibration(cosines, truth)

    oracle = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000)
    oracle.fit(cosines.double().reshape(-1, 1).numpy(), truth.reshape(-1).numpy())
    assert fitted.a == pytest.approx(oracle.coef_.item(), rel=1e-5)
    assert fitted.a * fitted.b == pytest.approx(oracle.intercept_.item(), rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), gain=st.floats(0.0, 0.2))
def test_authors_grid_never_beats_the_fit(seed: int, gain: float) -> None:
    """No point of the grid that made the paper's constants has a smaller cross-entropy."""
    cosines, truth = draw_cells(seed, images=60, concepts=4, gain=gain)
    a_grid = [0.1, 0.25, 0.5, 0.75, 1.0, *range(2, 151, 4)]
    b_grid = np.arange(-1.0, 1.01, 0.05)

    fitted = fit_calibration(cosines, truth)

    best = min(cross_entropy(cosines, truth, a, b) for a in a_grid for b in b_grid)
    assert fitted.cross_entropy <= best
    assert fitted.cross_entropy == pytest.approx(
        cross_entropy(cosines, truth, fitted.a, fitted.b), abs=1e-12
    )


def test_gradient_vanishes_at_the_fit() -> None:
    """Mean residual and mean residual times cosine are zero, which defines the optimum."""
    cosines, truth = draw_cells(seed=3)

    fitted = fit_calibration(cosines, truth)

    residual = torch.sigmoid(fitted.a * (cosines.double() + fitted.b)) - truth
    assert abs(float(residual.mean())) < 1e-9
    assert abs(float((residual * cosines).mean())) < 1e-9


def test_planted_constants_are_recovered() -> None:
    """Truth drawn from sigmoid(58 * (cosine - 0.13)) gives these constants back."""
    generator = torch.Generator().manual_seed(1)
    cosines = 0.06 + 0.04 * torch.randn(4000, 50, generator=generator)
    truth = torch.bernoulli(torch.sigmoid(58 * (cosines - 0.13)), generator=generator)

    fitted = fit_calibration(cosines, truth)

    assert fitted.a == pytest.approx(58, rel=0.02)
    assert fitted.b == pytest.approx(-0.13, abs=0.001)
    assert fitted.source == "fitted on 4000 images and 50 concepts"


def test_soft_truth_is_allowed() -> None:
    """Presence between 0 and 1 as truth gives back the constants that made it, exactly."""
    cosines, _ = draw_cells(seed=5)
    truth = torch.sigmoid(40 * (cosines.double() - 0.2))

    fitted = fit_calibration(cosines, truth)

    assert (fitted.a, fitted.b) == (pytest.approx(40, rel=1e-6), pytest.approx(-0.2, rel=1e-6))


def test_concepts_in_over_30_percent_are_left_out() -> None:
    """A concept present in 40% of the images changes nothing; one in exactly 30% counts."""
    cosines, truth = draw_cells(seed=2, images=100)
    forty, thirty = torch.zeros(100, 1), torch.zeros(100, 1)
    forty[:40], thirty[:30] = 1, 1
    extra = torch.rand(100, 1, generator=torch.Generator().manual_seed(0)) * 0.1

    plain = fit_calibration(cosines, truth)
    with_forty = fit_calibration(torch.cat([cosines, extra], 1), torch.cat([truth, forty], 1))
    with_thirty = fit_calibration(torch.cat([cosines, extra], 1), torch.cat([truth, thirty], 1))

    assert with_forty == plain
    assert with_thirty.a != plain.a
    assert with_thirty.source == "fitted on 100 images and 13 concepts"


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("gap", [1e-6, 0.01, 0.5])
def test_separable_cells_stop_at_the_bound(sign: int, gap: float) -> None:
    """Where the cosine tells truth without a mistake, |a| is the stated bound and b the best."""
    truth = torch.zeros(50, 2)
    truth[:5] = 1
    cosines = sign * (gap * truth + 0.1)

    fitted = fit_calibration(cosines, truth)

    assert fitted.a == pytest.approx(sign * MAX_SLOPE)
    best = minimize(
        lambda v: cross_entropy(cosines, truth, fitted.a, v[0]), x0=[fitted.b], method="Nelder-Mead"
    )
    assert fitted.cross_entropy <= best.fun + 1e-12


def test_cells_separable_but_for_a_tie_stop_at_the_bound() -> None:
    """Equal cosines at the boundary leave the best slope infinite."""
    cosines = torch.tensor([[0.1], [0.2], [0.2], [0.3], [0.1], [0.1], [0.1], [0.1]])
    truth = torch.tensor([[0.0], [0.0], [1.0], [1.0], [0.0], [0.0], [0.0], [0.0]])

    fitted = fit_calibration(cosines, truth)

    assert fitted.a == pytest.approx(MAX_SLOPE)


def test_steep_optimum_beyond_the_bound_stops_there() -> None:
    """Cells that one close mistake makes inseparable, but whose best slope exceeds the bound."""
    cosines = torch.full((1000, 1), 0.1)
    cosines[:100] = 0.1001
    truth = torch.zeros(1000, 1)
    truth[:99] = 1
    truth[500] = 1

    fitted = fit_calibration(cosines, truth)

    assert fitted.a == pytest.approx(MAX_SLOPE)


def test_encoder_that_looks_away_gets_a_negative_slope() -> None:
    """Cosines that fall with presence give the mirrored constants."""
    cosines, truth = draw_cells(seed=4)

    fitted = fit_calibration(cosines, truth)
    mirrored = fit_calibration(-cosines, truth)

    assert mirrored.a == pytest.approx(-fitted.a, rel=1e-8)
    assert mirrored.b == pytest.approx(-fitted.b, rel=1e-8)


def test_order_of_images_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shuffled images and other block sizes give the same constants."""
    cosines, truth = draw_cells(seed=6)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))

    whole = fit_calibration(cosines, truth)
    monkeypatch.setattr(calibration, "BLOCK_CELLS", 50)
    blocks = fit_calibration(cosines[order], truth[order])

    assert blocks.a == pytest.approx(whole.a, rel=1e-9)
    assert blocks.b == pytest.approx(whole.b, rel=1e-9)


def test_half_precision_is_summed_in_float64() -> None:
    """float16 cosines give what the same numbers give in float64."""
    cosines, truth = draw_cells(seed=7)
    half = cosines.half()

    fitted = fit_calibration(half, truth.half())

    assert fitted.a == pytest.approx(fit_calibration(half.double(), truth).a, rel=1e-9)


def test_inputs_are_not_changed() -> None:
    """Cosines and truth are the same after fitting."""
    cosines, truth = draw_cells(seed=8)
    before = cosines.clone(), truth.clone()

    fit_calibration(cosines, truth)

    assert torch.equal(cosines, before[0])
    assert torch.equal(truth, before[1])


@pytest.mark.parametrize("prevalence", [0.0, 0.5, 1.0])
def test_no_usable_concept_asks_for_constants(prevalence: float) -> None:
    """Concepts that are absent everywhere or too frequent leave nothing to fit."""
    truth = torch.zeros(10, 2)
    truth[: int(10 * prevalence)] = 1

    with pytest.raises(BenchError) as caught:
        fit_calibration(torch.rand(10, 2), truth)

    assert str(caught.value) == (
        "cannot fit the encoder's calibration: none of 2 concepts with ground truth is present in "
        "at least one and at most 30% of 10 images; give the encoder its constants `a` and `b`"
    )


def test_equal_cosines_are_refused() -> None:
    """An encoder that gives one cosine for everything cannot be calibrated."""
    _, truth = draw_cells(seed=0)

    with pytest.raises(BenchError) as caught:
        fit_calibration(torch.full_like(truth, 0.1), truth)

    assert str(caught.value) == (
        "cannot fit the encoder's calibration: all its cosines are equal; "
        "use a trained encoder or give the encoder its constants `a` and `b`"
    )


def test_cosines_without_any_relation_are_refused() -> None:
    """A best slope of zero would need an infinite b."""
    cosines = torch.tensor([[0.1], [0.2], [0.1], [0.2], [0.1], [0.2], [0.1], [0.2]])
    truth = torch.tensor([[1.0], [1.0], [0.0], [0.0], [0.0], [0.0], [0.0], [0.0]])

    with pytest.raises(BenchError) as caught:
        fit_calibration(cosines, truth)

    assert str(caught.value) == (
        "cannot fit the encoder's calibration: its cosines do not depend on whether a concept is "
        "present; use a trained encoder or give the encoder its constants `a` and `b`"
    )


def test_nan_cosines_are_refused() -> None:
    """NaN is reported as such, not fitted."""
    cosines, truth = draw_cells(seed=0)
    cosines[3, 1] = float("nan")

    with pytest.raises(BenchError) as caught:
        fit_calibration(cosines, truth)

    assert str(caught.value) == (
        "cannot fit the encoder's calibration: its cosines contain NaN or infinity; "
        "check its weights and preprocessing"
    )


def test_shapes_must_agree() -> None:
    """Cosines and truth of different shape are a fault of the caller."""
    with pytest.raises(ValueError, match=r"cosines \(4, 2\) and truth \(4, 3\)"):
        fit_calibration(torch.rand(4, 2), torch.zeros(4, 3))
