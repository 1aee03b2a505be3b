"""Agreement of presence with the truth: scikit-learn as oracle."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, brier_score_loss
from torch import Tensor

from le_bench.formulas.fidelity import NUM_BINS, measure_fidelity


def draw(images: int = 200, concepts: int = 7) -> tuple[Tensor, Tensor]:
    """A truth and a presence that is related to it, with ties and values on edges of bins."""
    random = torch.Generator().manual_seed(0)
    truth = torch.rand(images, concepts, generator=random) < torch.linspace(0.05, 0.9, concepts)
    noise = torch.rand(images, concepts, generator=random)
    presence = ((0.4 * truth + 0.6 * noise) * 30).round() / 30
    return presence, truth


def slow_error(presence: np.ndarray, truth: np.ndarray) -> float:
    """Expected calibration error, bin by bin."""
    bins = np.minimum((presence.astype(np.float64) * NUM_BINS).astype(int), NUM_BINS - 1)
    total = 0.0
    for each in range(NUM_BINS):
        inside = bins == each
        if inside.any():
            total += inside.mean() * abs(presence[inside].mean() - truth[inside].mean())
    return total


def test_average_precision_and_brier_equal_scikit_learn() -> None:
    """By concept, to 1e-6."""
    presence, truth = draw()

    found = measure_fidelity(presence, truth)

    for concept in range(7):
        p, y = presence[:, concept].double().numpy(), truth[:, concept].numpy()
        expected = average_precision_score(y, p)
        assert float(found.average_precision[concept]) == pytest.approx(expected, abs=1e-6)
        assert float(found.brier[concept]) == pytest.approx(brier_score_loss(y, p), abs=1e-6)


def test_calibration_error_equals_a_slow_computation() -> None:
    """Of one concept, and pooled over several as if all their cells were one concept's."""
    presence, truth = draw()

    found = measure_fidelity(presence, truth)

    p, y = presence.double().numpy(), truth.double().numpy()
    for concepts in ([0], [3], [1, 2, 5], list(range(7))):
        expected = slow_error(p[:, concepts].ravel(), y[:, concepts].ravel())
        assert found.calibration_error(concepts) == pytest.approx(expected, abs=1e-9)
    assert isnan(found.calibration_error([]))


def test_calibration_error_equals_scikit_learns_curve() -> None:
    """With presence away from edges, bins are scikit-learn's."""
    random = np.random.default_rng(0)
    p = random.integers(0, 1000, 500) / 1000 + 0.0003
    y = random.random(500) < p**2

    found = measure_fidelity(torch.from_numpy(p)[:, None], torch.from_numpy(y)[:, None])

    true, predicted = calibration_curve(y, p, n_bins=NUM_BINS, strategy="uniform")
    counts = np.histogram(p, bins=NUM_BINS, range=(0, 1))[0]
    expected = (counts[counts > 0] / 500 * np.abs(true - predicted)).sum()
    assert found.calibration_error([0]) == pytest.approx(expected, abs=1e-9)


def test_perfect_presence_has_no_error() -> None:
    """Presence that is the truth: AP 1, errors 0, at both ends of [0, 1]."""
    _, truth = draw()

    found = measure_fidelity(truth.float(), truth)

    assert found.average_precision.tolist() == [1.0] * 7
    assert found.brier.tolist() == [0.0] * 7
    assert found.calibration_error(list(range(7))) == 0.0


def test_one_sided_concepts_have_no_precision() -> None:
    """A concept in no image, or in every one, has a Brier score and no average precision."""
    presence, truth = draw(concepts=3)
    truth[:, 0], truth[:, 1] = False, True

    found = measure_fidelity(presence, truth)

    assert found.average_precision.isnan().tolist() == [True, True, False]
    assert not bool(found.brier.isnan().any())


def test_blocks_of_concepts_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Concepts together or in blocks, and inputs are left alone."""
    presence, truth = draw()
    before = presence.clone(), truth.clone()
    whole = measure_fidelity(presence, truth)
    monkeypatch.setattr("le_bench.formulas.fidelity.BLOCK_CELLS", 450)

    parts = measure_fidelity(presence, truth)

    assert torch.equal(whole.average_precision, parts.average_precision)
    assert torch.equal(whole.gaps, parts.gaps)
    assert torch.equal(presence, before[0])
    assert torch.equal(truth, before[1])


def test_shapes_must_agree() -> None:
    """Presence and truth of other shapes, or of no image, are refused."""
    with pytest.raises(ValueError, match=r"are not \(images, concepts\)"):
        measure_fidelity(torch.ones(3, 2), torch.ones(3, 3, dtype=torch.bool))
