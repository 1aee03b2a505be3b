"""The open_clip encoder, on a tiny model with random weights that open_clip builds and saves."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from le_bench.probing.images import ArrayImages
from le_bench.types import Calibration
from le_bench_plugins.encoders.open_clip import OpenCLIPEncoder

from .tiny_clip import HALF, TEXTS, draw_images

CPU = torch.device("cpu")


def by_hand(
    weights: Path, quick_gelu: bool, images: ArrayImages
) -> tuple[torch.Tensor, torch.Tensor]:
    """The oracle: open_clip's own calls, image by image and text by text."""
    model, _, transform = open_clip.create_model_and_transforms(
        "tiny-clip",
        pretrained=str(weights),
        image_mean=HALF,
        image_std=HALF,
        image_resize_mode="squash",
        force_quick_gelu=quick_gelu,
    )
    model.eval()
    tokenizer = open_clip.get_tokenizer("tiny-clip")
    with torch.no_grad():
        pictures = [Image.fromarray(pixels) for pixels in images.values]
        seen = [model.encode_image(transform(picture)[None]) for picture in pictures]
        read = [model.encode_text(tokenizer([text])) for text in TEXTS]
    return torch.cat(seen), torch.cat(read)


@pytest.mark.parametrize("batch_size", [1, 2, 128])
def test_tag_gives_its_preprocessing_and_activation(
    tag: str, weights: Path, batch_size: int
) -> None:
    """A pretrained tag brings mean, std, resize mode and QuickGELU, without a warning."""
    encoder = OpenCLIPEncoder("tiny-clip", tag, batch_size=batch_size)
    images = draw_images()

    seen, read = encoder.encode_images(images, CPU), encoder.encode_texts(TEXTS, CPU)

    expected_images, expected_texts = by_hand(weights, True, images)
    assert torch.allclose(seen, expected_images, atol=1e-6)
    assert torch.allclose(read, expected_texts, atol=1e-6)
    assert (seen.dtype, seen.shape) == (torch.float32, (5, 16))


def test_checkpoint_takes_the_place_of_a_download(tag: str, weights: Path, tmp_path: Path) -> None:
    """A local file with a tag is used as that tag's weights would be."""
    moved = tmp_path / "downloaded.safetensors"
    moved.write_bytes(weights.read_bytes())
    images = draw_images()

    seen = OpenCLIPEncoder("tiny-clip", tag, checkpoint=moved).encode_images(images, CPU)

    assert torch.equal(seen, OpenCLIPEncoder("tiny-clip", tag).encode_images(images, CPU))


def test_folder_saved_by_open_clip(folder: Path, weights: Path) -> None:
    """A folder brings configuration, preprocessing and weights; the model is but a label."""
    encoder = OpenCLIPEncoder("my own", checkpoint=folder)
    images = draw_images()

    seen, read = encoder.encode_images(images, CPU), encoder.encode_texts(TEXTS, CPU)

    expected_images, expected_texts = by_hand(weights, False, images)
    assert torch.allclose(seen, expected_images, atol=1e-6)
    assert torch.allclose(read, expected_texts, atol=1e-6)


def test_given_preprocessing_overrides(tag: str, weights: Path) -> None:
    """mean, std, resize_mode and interpolation can be given for any checkpoint."""
    images = draw_images()
    given = OpenCLIPEncoder(
        "tiny-clip",
        checkpoint=weights,
        mean=HALF,
        std=HALF,
        resize_mode="squash",
        interpolation="bicubic",
    )

    seen = given.encode_images(images, CPU)
    cropped = OpenCLIPEncoder("tiny-clip", tag, resize_mode="shortest").encode_images(images, CPU)

    assert torch.allclose(seen, by_hand(weights, False, images)[0], atol=1e-6)
    assert not torch.allclose(seen, cropped, atol=1e-3)


def test_template_wraps_each_text(tag: str) -> None:
    """Texts go into the template once, braces in them untouched; raw text is the default."""
    plain = OpenCLIPEncoder("tiny-clip", tag)
    wrapped = OpenCLIPEncoder("tiny-clip", tag, template="a photo of {}")

    read = wrapped.encode_texts(["dog", "{}"], CPU)

    assert torch.equal(read, plain.encode_texts(["a photo of dog", "a photo of {}"], CPU))


def test_nothing_outside_is_touched(tag: str) -> None:
    """Random state, gradient mode and inputs stay; features are ordinary tensors."""
    images = draw_images()
    pixels, state = images.values.copy(), torch.get_rng_state()

    first = OpenCLIPEncoder("tiny-clip", tag).encode_images(images, CPU)
    second = OpenCLIPEncoder("tiny-clip", tag).encode_images(images, CPU)

    assert torch.equal(first, second)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.is_grad_enabled()
    assert not first.is_inference()
    assert np.array_equal(pixels, images.values)


def test_encoder_is_hashable_and_picklable(tag: str, weights: Path) -> None:
    """An encoder is a value: equal options make equal encoders, also after a journey."""
    encoder = OpenCLIPEncoder("tiny-clip", tag, checkpoint=weights, a=2.0, b=-0.5)

    copy = pickle.loads(pickle.dumps(encoder))  # noqa: S301  # our own bytes

    assert copy == encoder
    assert hash(copy) == hash(encoder)


@pytest.mark.parametrize(
    ("model", "tag_name", "a", "b"),
    [
        ("ViT-L-16-SigLIP-384", "webli", 60.0, -0.09),
        ("ViT-SO400M-14-SigLIP-384", "webli", 58.0, -0.13),
        ("ViT-L-14-336", "openai", 58.0, -0.25),
        ("ViT-L-14-336-quickgelu", "openai", 58.0, -0.25),
    ],
)
def test_encoders_of_the_paper_have_its_constants(
    model: str, tag_name: str, a: float, b: float
) -> None:
    """The three encoders are known to open_clip and carry the printed constants."""
    constants = OpenCLIPEncoder(model, tag_name).constants()

    assert constants is not None
    assert (constants.a, constants.b) == (a, b)
    assert constants.source == "Linear Explanations for Individual Neurons"
    assert open_clip.get_pretrained_cfg(model, tag_name)


def test_other_constants_are_given_or_fitted() -> None:
    """Given constants win; other encoders, and the paper's with a template, are fitted."""
    paper = ("ViT-L-16-SigLIP-384", "webli")

    assert OpenCLIPEncoder(*paper, a=7.0, b=-0.2).constants() == Calibration(
        7.0, -0.2, "given", pytest.approx(float("nan"), nan_ok=True)
    )
    assert OpenCLIPEncoder(*paper, template="a photo of {}").constants() is None
    assert OpenCLIPEncoder("ViT-B-32", "openai").constants() is None
