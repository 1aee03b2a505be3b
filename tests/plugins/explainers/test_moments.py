"""Moments against numpy in float64, and the concepts that are twins."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from le_bench_plugins.explainers.linear import moments as subject
from le_bench_plugins.explainers.linear.moments import Moments, moments, without_twins


def draw(num_images: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    presence = torch.rand(num_images, 6, generator=random)
    return presence, 3 * torch.randn(num_images, 4, generator=random)


def test_moments_agree_with_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Means and centred products agree with numpy, also over several blocks of rows."""
    presence, activations = draw(100)
    monkeypatch.setattr(subject, "ROWS_AT_ONCE", 30)

    found = moments(presence, activations)

    P, A = presence.double().numpy(), activations.double().numpy()
    together = np.cov(P.T, A.T, bias=True)
    np.testing.assert_allclose(found.concept_mean, P.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.activation_mean, A.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.gram, together[:6, :6], atol=1e-14)
    np.testing.assert_allclose(found.cross, together[:6, 6:], atol=1e-14)
    np.testing.assert_allclose(found.power, together.diagonal()[6:], rtol=1e-12)


def test_large_offsets_do_not_cancel() -> None:
    """Activations of 10000 + 0.01 * noise have the variance of their float32 values."""
    random = torch.Generator().manual_seed(0)
    activations = 10_000 + 0.01 * torch.randn(500, 1, generator=random)

    found = moments(torch.rand(500, 2, generator=random), activations)

    expected = np.var(activations.double().numpy())
    assert float(found.power[0]) == pytest.approx(expected, rel=1e-9)


def test_constant_columns_have_exact_zeros() -> None:
    """A column that is constant on the split has products of exactly 0, whatever its value."""
    presence, activations = draw(77)
    presence[:, 2] = 0.1
    activations[:, 1] = 0.3

    found = moments(presence, activations)

    assert not found.gram[2].any()
    assert not found.gram[:, 2].any()
    assert not found.cross[2].any()
    assert not found.cross[:, 1].any()
    assert float(found.power[1]) == 0.0


def test_one_image() -> None:
    """One image has means and no variance."""
    presence, activations = draw(1)

    found = moments(presence, activations)

    assert torch.equal(found.activation_mean, activations[0].double())
    assert not found.gram.any()


def test_tensors_round_trip() -> None:
    """Moments come back from their tensors by name."""
    found = moments(*draw(20))

    again = Moments.from_tensors(found.tensors("train"), "train")

    assert torch.equal(again.cross, found.cross)
    assert torch.equal(again.num_images, found.num_images)


def test_take_keeps_the_asked_concepts() -> None:
    """Moments of some concepts are the moments over their columns."""
    presence, activations = draw(50)
    columns = torch.tensor([4, 1])

    taken = moments(presence, activations).take(columns)

    expected = moments(presence[:, columns], activations)
    torch.testing.assert_close(taken.gram, expected.gram)
    torch.testing.assert_close(taken.cross, expected.cross)


def test_later_twins_are_left_out() -> None:
    """A copy, and a scaled and shifted copy, of an earlier concept is left out."""
    presence, activations = draw(60)
    presence[:, 3] = presence[:, 1]
    presence[:, 5] = 0.2 + 0.5 * presence[:, 1]
    train, val = moments(presence[:40], activations[:40]), moments(presence[40:], activations[40:])

    assert without_twins(train, val).tolist() == [0, 1, 2, 4]


def test_concepts_equal_on_train_alone_are_no_twins() -> None:
    """Concepts that agree on train but not on val are two concepts."""
    presence, activations = draw(60)
    presence[:40, 3] = presence[:40, 1]
    train, val = moments(presence[:40], activations[:40]), moments(presence[40:], activations[40:])

    assert without_twins(train, val).tolist() == [0, 1, 2, 3, 4, 5]


def test_concepts_without_train_variance_are_left_out() -> None:
    """A concept that is constant on train has no weight there and takes no part."""
    presence, activations = draw(60)
    presence[:40, 0] = 0.0
    train, val = moments(presence[:40], activations[:40]), moments(presence[40:], activations[40:])

    assert without_twins(train, val).tolist() == [1, 2, 3, 4, 5]
