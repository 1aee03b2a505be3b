"""The pixel labels of drawn pictures, packed small."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from le_bench.types import PixelLabels
from le_bench_plugins.picturebook.concepts import CATEGORIES, CATEGORY_CONCEPTS
from le_bench_plugins.picturebook.world import Pictures

DRAWN = tuple(category for category in CATEGORIES if category != "scene")
BEFORE: Mapping[str, int] = {
    category: sum(len(CATEGORY_CONCEPTS[earlier]) for earlier in CATEGORIES[:place])
    for place, category in enumerate(CATEGORIES)
}
"""How many concepts the categories before this one have: by so much labels exceed its ids."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnMasks:
    """Label maps of N pictures, one layer a category; the scene labels the whole picture.

    `packed` holds the maps of each picture compressed: about 1 KiB instead of 20. `scenes` (N,)
    are labels.
    """

    categories: ClassVar[Mapping[str, tuple[str, ...]]] = CATEGORY_CONCEPTS

    packed: tuple[bytes, ...]
    scenes: npt.NDArray[np.uint8]
    size: tuple[int, int]

    @classmethod
    def of(cls, pictures: Pictures) -> DrawnMasks:
        """The labels of these pictures."""
        packed = []
        for row in range(len(pictures.indices)):
            ids = np.stack([pictures.masks[category][row] for category in DRAWN])
            packed.append(zlib.compress(ids.tobytes(), 1))
        scenes = (pictures.scenes + 1 + BEFORE["scene"]).astype(np.uint8)
        height, width = pictures.images.shape[1:3]
        return cls(tuple(packed), scenes, (height, width))

    def read(self, rows: Sequence[int]) -> PixelLabels:
        """(B, 5, 64, 64) and (B, 1) uint8."""
        maps = b"".join(zlib.decompress(self.packed[row]) for row in rows)
        ids = np.frombuffer(maps, np.uint8).reshape(len(rows), len(DRAWN), *self.size)
        before = np.array([BEFORE[category] for category in DRAWN], np.uint8)[:, None, None]
        return PixelLabels(np.where(ids > 0, ids + before, 0), self.scenes[list(rows), None])
