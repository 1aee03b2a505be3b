"""Moments against numpy in float64, and the concepts that are twins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from le_bench_plugins.explainers.linear.blocks import PresenceBlocks
from le_bench_plugins.explainers.linear.moments import Moments, moments, without_twins


def draw(num_images: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    presence = torch.rand(num_images, 6, generator=random)
    return presence, 3 * torch.randn(num_images, 4, generator=random)


def test_moments_agree_with_numpy() -> None:
    """Means and centred products agree with numpy, also over several blocks of images."""
    presence, activations = draw(300)

    found = moments(presence, activations, working_bytes=1)  # 64 images at a time

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


def test_wide_gram_is_symmetric_and_whole() -> None:
    """More concepts than a square of the Gram matrix holds: both halves and all squares agree."""
    random = torch.Generator().manual_seed(0)
    presence = torch.rand(20, 1100, generator=random)

    found = moments(presence, torch.randn(20, 1, generator=random))

    expected = np.cov(presence.double().numpy().T, bias=True)
    assert torch.equal(found.gram, found.gram.T)
    np.testing.assert_allclose(found.gram, expected, atol=1e-14)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_float32_moments_are_near_those_of_float64(offset: float) -> None:
    """In float32 products are right to 1e-5 of the deviations, however far off values lie."""
    presence, activations = draw(3000)
    activations += offset

    narrow = moments(presence, activations, dtype=torch.float32)
    wide = moments(presence, activations)

    deviation = wide.gram.diagonal().sqrt()
    assert narrow.gram.dtype == narrow.cross.dtype == torch.float32
    assert wide.gram.dtype == torch.float64
    error = (narrow.gram - wide.gram) / deviation / deviation[:, None]
    assert float(error.abs().max()) < 1e-5
    error = (narrow.cross - wide.cross) / deviation[:, None] / wide.power.sqrt()
    assert float(error.abs().max()) < 1e-5
    torch.testing.assert_close(narrow.concept_mean, wide.concept_mean, rtol=1e-7, atol=0)
    torch.testing.assert_close(narrow.activation_mean, wide.activation_mean, rtol=1e-7, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_constants_are_exact_in_either_precision(dtype: torch.dtype) -> None:
    """Constant columns have products of exactly 0 even if another concept is huge."""
    presence, activations = draw(5000)
    presence[:, 2], presence[:, 4] = 0.1, 0.999
    activations[:, 1] = 0.3

    found = moments(presence, activations, dtype=dtype)

    assert not found.gram[[2, 4]].any()
    assert not found.gram[:, [2, 4]].any()
    assert not found.cross[:, 1].any()
    assert float(found.power[1]) == 0.0


def test_images_sorted_by_class_do_no_harm() -> None:
    """A column whose first thousand values are constant has the variance of all its values."""
    presence = (torch.arange(5000) >= 4900).float()[:, None]

    found = moments(presence, torch.rand(5000, 1), dtype=torch.float32)

    assert float(found.gram[0, 0]) == pytest.approx(0.02 * 0.98, rel=1e-5)


def test_halves_maps_and_streams_give_the_same(tmp_path: Path) -> None:
    """Presence as float16, mapped from a file or made block by block gives the same moments."""
    presence, activations = draw(500)
    halves = presence.half()
    np.save(tmp_path / "presence.npy", halves.numpy())
    mapped = np.load(tmp_path / "presence.npy", mmap_mode="r")
    asked: list[int] = []

    def read(images: torch.Tensor) -> torch.Tensor:
        asked.append(len(images))
        return halves[images].float()

    stream = PresenceBlocks(read, torch.arange(500), torch.arange(6))
    from_stream = moments(stream, activations, working_bytes=1)
    found = [moments(halves, activations), moments(PresenceBlocks.of(mapped), activations)]

    expected = moments(halves.float(), activations)
    assert max(asked[1:]) == 64  # the first is the sample of images that sets the shift
    for other in [*found, from_stream]:
        torch.testing.assert_close(other.gram, expected.gram, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(other.cross, expected.cross, rtol=1e-12, atol=1e-14)


def test_twins_are_told_from_near_twins_in_float32() -> None:
    """In float32 the suspects are looked at in float64: a copy goes, a near copy stays."""
    presence, activations = draw(2000)
    presence[:, 3] = presence[:, 1]
    presence[:, 5] = presence[:, 0] + 1e-3 * (presence[:, 2] - 0.5)

    def both(columns: torch.Tensor, dtype: torch.dtype) -> tuple[Moments, Moments]:
        train = moments(presence[:1500, columns], activations[:1500], dtype=dtype)
        return train, moments(presence[1500:, columns], activations[1500:], dtype=dtype)

    train, val = both(torch.arange(6), torch.float32)

    kept = without_twins(train, val, lambda columns: both(columns, torch.float64))

    assert kept.tolist() == [0, 1, 2, 4, 5]
