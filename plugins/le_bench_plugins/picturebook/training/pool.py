"""Pictures drawn once and kept on disk, so that training does not wait for the drawing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from le_bench_plugins.picturebook.captions import captions
from le_bench_plugins.picturebook.world import draw, presence

WORLD_SEED = 0
ENCODER_TRAIN_START = 1_000_000
TARGET_TRAIN_START = 2_000_000
ENCODER_HELD_OUT_START = 3_000_000
TARGET_HELD_OUT_START = 3_100_000
ENCODER_CALIBRATION_START = 3_050_000

NUM_CAPTIONS = 4
_CHUNK = 500


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Pictures `start` to `start + N - 1` of the world with everything that training reads.

    images: (N, 64, 64, 3) uint8, a file mapped into memory. labels: (N,) int64 class positions.
    presence: (N, C) bool over `CONCEPTS`. captions: `NUM_CAPTIONS` for each picture.
    """

    start: int
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    presence: npt.NDArray[np.bool_]
    captions: list[list[str]]

    def __len__(self) -> int:
        """Return N."""
        return len(self.labels)


def generator_digest() -> str:
    """Return a SHA-256 of pictures 0 to 255 and their concepts: it names the generator's state."""
    pictures = draw(np.arange(256), seed=WORLD_SEED)
    digest = hashlib.sha256(np.ascontiguousarray(pictures.images).tobytes())
    digest.update(np.packbits(presence(pictures)).tobytes())
    return digest.hexdigest()


def open_pool(directory: Path, start: int, count: int) -> Pool:
    """Return the pictures from `start` on, drawn first if the directory does not hold them.

    The directory's name for the pool contains the generator's digest, hence a changed generator
    never reads old pictures.
    """
    home = directory / f"{start}-{count}-{generator_digest()[:12]}"
    if not (home / "captions.json").exists():
        _draw_pool(home, start, count)
    return Pool(
        start=start,
        images=np.load(home / "images.npy", mmap_mode="r"),
        labels=np.load(home / "labels.npy"),
        presence=np.load(home / "presence.npy"),
        captions=json.loads((home / "captions.json").read_text()),
    )


def _draw_pool(home: Path, start: int, count: int) -> None:
    """Draw the pictures chunk by chunk; the captions are written last and mark the end."""
    home.mkdir(parents=True, exist_ok=True)
    images = np.lib.format.open_memmap(
        home / "images.npy", mode="w+", dtype=np.uint8, shape=(count, 64, 64, 3)
    )
    labels = np.empty(count, dtype=np.int64)
    present: list[npt.NDArray[np.bool_]] = []
    texts: list[list[str]] = []
    for first in range(0, count, _CHUNK):
        last = min(first + _CHUNK, count)
        pictures = draw(np.arange(start + first, start + last), seed=WORLD_SEED)
        images[first:last] = pictures.images
        labels[first:last] = pictures.labels
        present.append(presence(pictures))
        variants = [captions(pictures, variant, WORLD_SEED) for variant in range(NUM_CAPTIONS)]
        texts.extend(list(texts_of_one) for texts_of_one in zip(*variants, strict=True))
    images.flush()
    np.save(home / "labels.npy", labels)
    np.save(home / "presence.npy", np.concatenate(present))
    (home / "captions.json").write_text(json.dumps(texts))


def iterate_batches(
    pool: Pool, batch_size: int, num_samples: int, seed: int
) -> Iterator[tuple[npt.NDArray[np.int64], Tensor]]:
    """Yield (rows, pictures) until about `num_samples` pictures were seen; every epoch shuffles.

    rows: (B,) positions in the pool. pictures: (B, 3, 64, 64) float32 in [-1, 1], in the
    channels-last format, half of them mirrored and all of them shifted by up to 2 pixels, the
    edge repeated. The last, incomplete batch of an epoch is left out.
    """
    stream = np.random.default_rng(seed)
    seen = 0
    while True:
        order = stream.permutation(len(pool))
        for first in range(0, len(pool) - batch_size + 1, batch_size):
            if seen >= num_samples:
                return
            rows = np.sort(order[first : first + batch_size])
            yield rows, to_pictures(_augment(pool.images[rows], stream))
            seen += batch_size


def to_pictures(images: npt.NDArray[np.uint8]) -> Tensor:
    """Return images (B, 64, 64, 3) as channels-last float32 (B, 3, 64, 64) in [-1, 1]."""
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    return pixels.to(torch.float32).div_(127.5).sub_(1.0)


def _augment(
    images: npt.NDArray[np.uint8], stream: np.random.Generator, reach: int = 2
) -> npt.NDArray[np.uint8]:
    """Return the images (B, 64, 64, 3) mirrored by chance and shifted within `reach` pixels."""
    count, height, width, _ = images.shape
    offsets = stream.integers(-reach, reach + 1, size=(2, count, 1))
    rows = np.clip(np.arange(height) + offsets[0], 0, height - 1)
    columns = np.clip(np.arange(width) + offsets[1], 0, width - 1)
    mirrored = stream.random(count) < 0.5
    columns[mirrored] = columns[mirrored, ::-1]
    augmented: npt.NDArray[np.uint8] = images[
        np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]
    ]
    return augmented
