"""Each similarity of CLIP-Dissect against its formula written out for one unit and one concept."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from le_bench_plugins.explainers import similarities
from le_bench_plugins.explainers.similarities import (
    cosine_similarity,
    cubed_cosine_similarity,
    rank_reorder,
    soft_wpmi,
    wpmi,
)


def draw(seed: int, num_images: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    cosines = 0.3 + 0.2 * torch.randn(num_images, 7, generator=random)
    return cosines, torch.randn(num_images, 4, generator=random) * 3


def softmax(row: np.ndarray) -> np.ndarray:
    return np.exp(row) / np.exp(row).sum()


def slow_mutual_information(
    cosines: np.ndarray, activations: np.ndarray, top_k: int, soft: bool
) -> np.ndarray:
    num_units, num_concepts = activations.shape[1], cosines.shape[1]
    probabilities = np.stack([softmax((10 if soft else 2) * row) for row in cosines])
    evidence = np.zeros((num_units, num_concepts))
    for unit in range(num_units):
        highest = np.argsort(-activations[:, unit], kind="stable")[:top_k]
        for c in range(num_concepts):
            for i, image in enumerate(highest):
                p = probabilities[image, c]
                if soft:
                    q = 0.998 - (i / len(highest)) * (0.998 - 0.97)
                    evidence[unit, c] += math.log(1 + q * (p - 1) + 1e-7)
                else:
                    evidence[unit, c] += math.log(p + 1e-7)
    prior = [math.log(np.mean(np.exp(evidence[:, c]))) for c in range(num_concepts)]
    return evidence - (1.0 if soft else 0.6) * np.array(prior)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), top_k=st.sampled_from([1, 9, 60]))
def test_mutual_informations(seed: int, top_k: int) -> None:
    """Soft-wpmi and wpmi equal their formulas, image by image."""
    cosines, activations = draw(seed)
    P, A = cosines.double().numpy(), activations.double().numpy()

    np.testing.assert_allclose(
        soft_wpmi(cosines, activations, top_k),
        slow_mutual_information(P, A, top_k, soft=True),
        atol=1e-10,
    )
    np.testing.assert_allclose(
        wpmi(cosines, activations, top_k),
        slow_mutual_information(P, A, top_k, soft=False),
        atol=1e-10,
    )


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), num_images=st.sampled_from([7, 60, 400]))
def test_rank_reorder(seed: int, num_images: int) -> None:
    """Rank-reorder equals its formula with the same five random orders."""
    cosines, activations = draw(seed, num_images)

    found = rank_reorder(cosines, activations, seed=11)

    P, A = cosines.double().numpy(), activations.double().numpy()
    count = max(int(0.05 * num_images), 2)
    random = torch.Generator().manual_seed(11)
    orders = [torch.randperm(count, generator=random).numpy() for _ in range(5)]
    for unit in range(4):
        highest = np.argsort(-A[:, unit], kind="stable")[:count]
        t = A[highest, unit]
        ascending = t[::-1]
        base = np.mean([np.abs(ascending - ascending[order]) ** 3 for order in orders])
        for c in range(7):
            presence = P[highest, c]
            r = np.empty(count)
            r[np.argsort(presence)] = ascending
            mean = presence.mean()
            if base == 0 or mean <= 0:
                assert bool(found[unit, c].isnan())
            else:
                expected = -np.mean(np.abs(t - r) ** 3) / base / math.sqrt(mean)
                assert float(found[unit, c]) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_cosines(seed: int) -> None:
    """Cosine is not centred; the cubed one is, then cubed, with norms of at least 1e-3."""
    cosines, activations = draw(seed)
    activations[:, 2] *= 1e-3

    plain, cubed = (
        cosine_similarity(cosines, activations),
        cubed_cosine_similarity(cosines, activations),
    )

    P, A = cosines.double().numpy(), activations.double().numpy()
    for unit in range(4):
        for c in range(7):
            a, p = A[:, unit], P[:, c]
            expected = a @ p / np.linalg.norm(a) / np.linalg.norm(p)
            assert float(plain[unit, c]) == pytest.approx(expected, rel=1e-9)
            a, p = (a - a.mean()) ** 3, (p - p.mean()) ** 3
            expected = a @ p / max(np.linalg.norm(a), 1e-3) / max(np.linalg.norm(p), 1e-3)
            assert float(cubed[unit, c]) == pytest.approx(expected, rel=1e-9)


def test_one_unit_has_no_soft_wpmi() -> None:
    """Against a layer of one unit soft-wpmi is 0 for every concept."""
    cosines, activations = draw(0)

    assert not soft_wpmi(cosines, activations[:, :1]).any()


def test_differences_below_float32_survive() -> None:
    """Concepts whose evidence of hundreds differs by 1e-6 are told apart."""
    cosines, activations = draw(0, num_images=200)
    cosines = cosines.double()
    cosines[:, 1] = cosines[:, 0] + 1e-9

    similar = soft_wpmi(cosines, activations)

    assert bool((similar[:, 1] != similar[:, 0]).all())


def test_negative_presence_never_wins_rank_reorder() -> None:
    """A concept of negative mean cosine is NaN for this concept alone."""
    cosines, activations = draw(0)
    cosines[:, 3] = -0.1

    found = rank_reorder(cosines, activations, seed=0)

    assert bool(found[:, 3].isnan().all())
    assert not found[:, [0, 1, 2, 4, 5, 6]].isnan().any()


def test_blocks_of_units_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units are worked off in blocks; their size does not matter."""
    cosines, activations = draw(0)
    whole = soft_wpmi(cosines, activations), rank_reorder(cosines, activations, seed=0)
    monkeypatch.setattr(similarities, "NUMBERS_AT_ONCE", 1)

    blocks = soft_wpmi(cosines, activations), rank_reorder(cosines, activations, seed=0)

    torch.testing.assert_close(blocks, whole)


def test_one_image() -> None:
    """One image is enough for all but rank-reorder, which has no order to compare."""
    cosines, activations = draw(0, num_images=1)

    assert bool(soft_wpmi(cosines, activations).isfinite().all())
    assert bool(wpmi(cosines, activations).isfinite().all())
    assert bool(rank_reorder(cosines, activations, seed=0).isnan().all())
