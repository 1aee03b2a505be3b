"""Images in memory and in files, and what happens to damaged ones."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from le_bench.errors import UnreadableFileError
from le_bench.probing.images import ArrayImages, EncodedImages, FileImages


def noise(seed: int, height: int = 5, width: int = 7) -> np.ndarray:
    """One RGB image."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """The bytes of an image file."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, kind)
    return target.getvalue()


def test_array_images_by_row() -> None:
    """Rows come in the order asked for, as copies."""
    images = ArrayImages(np.stack([noise(seed) for seed in range(4)]))

    read = images.read([3, 0, 3])
    read[0][:] = 0

    assert len(images) == 4
    assert np.array_equal(read[1], noise(0))
    assert np.array_equal(images.values[3], noise(3))


@pytest.mark.parametrize(
    "values", [np.zeros((2, 3, 4, 3)), np.zeros((2, 3, 4), np.uint8), np.zeros((2, 3, 4, 4), "u1")]
)
def test_array_images_must_be_rgb_bytes(values: np.ndarray) -> None:
    """Other types and shapes are refused."""
    with pytest.raises(ValueError, match=r"not uint8 \(images, height, width, 3\)"):
        ArrayImages(values)


def test_encoded_images_of_different_sizes() -> None:
    """Files back to back are cut at their offsets and decoded."""
    files = [encoded(noise(0)), encoded(noise(1, 9, 2)), encoded(noise(2))]
    offsets = np.cumsum([0, *map(len, files)])
    images = EncodedImages(np.frombuffer(b"".join(files), np.uint8), offsets, "set.npz")

    read = images.read([1, 2])

    assert len(images) == 3
    assert np.array_equal(read[0], noise(1, 9, 2))
    assert np.array_equal(read[1], noise(2))


def test_damaged_encoded_images_are_all_named() -> None:
    """One message names each damaged image by number."""
    files = [encoded(noise(0)), b"no image", encoded(noise(2))[:-40]]
    offsets = np.cumsum([0, *map(len, files)])
    images = EncodedImages(np.frombuffer(b"".join(files), np.uint8), offsets, "set.npz")

    with pytest.raises(UnreadableFileError) as caught:
        images.read([0, 1, 2])

    message = str(caught.value)
    assert message.startswith("cannot read set.npz, image 1 (cannot identify image file ")
    assert "); set.npz, image 2 (" in message
    assert message.endswith("); replace or remove what is damaged")


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "1", "LA"])
def test_files_of_any_mode_become_rgb(tmp_path: Path, mode: str) -> None:
    """Grey, palette, transparent and print images have three colour channels."""
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    Image.fromarray(noise(0)).convert(mode).save(path)

    read = FileImages((path,)).read([0])

    assert read[0].shape == (5, 7, 3)
    assert read[0].dtype == np.uint8


def test_png_files_are_read_without_loss(tmp_path: Path) -> None:
    """Pixels are those that were written, by row."""
    paths = tuple(tmp_path / f"{seed}.png" for seed in range(3))
    for seed, path in enumerate(paths):
        Image.fromarray(noise(seed)).save(path)

    read = FileImages(paths).read([2, 0])

    assert np.array_equal(read[0], noise(2))
    assert np.array_equal(read[1], noise(0))


@pytest.mark.parametrize("kept", [0, 1, 20, 60])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_truncated_files_are_named(tmp_path: Path, kind: str, kept: int) -> None:
    """A file of any kind that is cut anywhere is named, never read as half an image."""
    path = tmp_path / "image"
    path.write_bytes(encoded(noise(0, 40, 40), kind)[:kept])

    with pytest.raises(UnreadableFileError) as caught:
        FileImages((path,)).read([0])

    assert str(caught.value).startswith(f"cannot read {path} (")
    assert str(caught.value).endswith("); replace or remove what is damaged")


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A file that vanished after listing is named."""
    path = tmp_path / "gone.png"

    with pytest.raises(UnreadableFileError) as caught:
        FileImages((path,)).read([0])

    assert str(caught.value) == (
        f"cannot read {path} ([Errno 2] No such file or directory: '{path}'); "
        "replace or remove what is damaged"
    )


def test_long_lists_of_damaged_files_are_shortened(tmp_path: Path) -> None:
    """Ten files are named, the others counted."""
    paths = tuple(tmp_path / f"{number}.png" for number in range(13))

    with pytest.raises(UnreadableFileError, match=r"9\.png'\); and 3 more; replace or remove"):
        FileImages(paths).read(range(13))
