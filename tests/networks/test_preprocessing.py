"""Preprocessing against torchvision's transforms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from le_bench.errors import BenchError
from le_bench.networks.preprocessing import Interpolation, Preprocessing

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def noise(height: int, width: int) -> np.ndarray:
    """One RGB image."""
    random = np.random.default_rng(0)
    return random.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(40, 40), (31, 50), (50, 31), (32, 32), (20, 45), (333, 500)])
def test_resize_and_crop_equal_torchvision(
    size: tuple[int, int], interpolation: Interpolation
) -> None:
    """Shorter side, centre crop and normalisation give torchvision's numbers."""
    pixels = noise(*size)
    preprocessing = Preprocessing(MEAN, STD, resize=32, crop=27, interpolation=interpolation)

    batch = preprocessing([pixels])

    oracle = transforms.Compose(
        [
            transforms.Resize(32, InterpolationMode(interpolation)),
            transforms.CenterCrop(27),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    assert batch.dtype == torch.float32
    assert torch.allclose(batch[0], oracle(Image.fromarray(pixels)), atol=1e-6)


def test_squash_equals_torchvision() -> None:
    """Both sides become `resize`, whatever the proportions."""
    pixels = noise(31, 50)

    batch = Preprocessing(resize=24, squash=True)([pixels])

    oracle = transforms.Compose([transforms.Resize((24, 24)), transforms.ToTensor()])
    assert torch.allclose(batch[0], oracle(Image.fromarray(pixels)), atol=1e-6)


def test_scale_mean_and_std() -> None:
    """Scale 1 with mean and std 128 gives (x - 128) / 128 for x in 0..255."""
    pixels = np.array([[[0, 128, 255]]], np.uint8)
    preprocessing = Preprocessing(mean=(128, 128, 128), std=(128, 128, 128), scale=1)

    batch = preprocessing([pixels])

    assert batch.flatten().tolist() == [-1.0, 0.0, 127 / 128]


def test_default_leaves_size_and_gives_unit_range() -> None:
    """Without options an image becomes numbers from 0 to 1 of its own size, unchanged itself."""
    pixels = noise(3, 4)
    before = pixels.copy()

    batch = Preprocessing()([pixels, pixels])

    assert batch.shape == (2, 3, 3, 4)
    assert torch.allclose(batch[1] * 255, torch.from_numpy(pixels).permute(2, 0, 1).float())
    assert np.array_equal(pixels, before)


def test_images_of_different_sizes_form_no_batch() -> None:
    """The message says what to give."""
    with pytest.raises(BenchError) as caught:
        Preprocessing()([noise(3, 4), noise(5, 4), noise(4, 4)])

    assert str(caught.value) == (
        "images of 3 sizes, such as 3 x 4 pixels and 5 x 4 pixels, cannot form a batch; "
        "give the model `resize` and `crop`"
    )


def test_too_small_image_cannot_be_cropped() -> None:
    """A crop never pads."""
    with pytest.raises(BenchError) as caught:
        Preprocessing(crop=8)([noise(10, 7)])

    assert str(caught.value) == (
        "an image of 10 x 7 pixels is too small for a crop of 8; give the model `resize = 8` or "
        "more"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0.0}, "scale is 0.0; it must be above 0"),
        ({"std": (1.0, 0.0, 1.0)}, "std is (1.0, 0.0, 1.0); each must be above 0"),
        ({"mean": (0.0, float("nan"), 0.0)}, "mean is (0.0, nan, 0.0); each must be finite"),
        ({"resize": 0}, "resize is 0; it must be at least 1"),
        ({"crop": -3}, "crop is -3; it must be at least 1"),
        ({"squash": True}, "squash needs `resize`"),
    ],
)
def test_senseless_options_are_refused(options: dict[str, object], message: str) -> None:
    """Each option is checked when it is given."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole message is asserted
        Preprocessing(**options)

    assert str(caught.value) == message
