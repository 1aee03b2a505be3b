"""Label maps in PNG files, read when needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from le_bench.errors import UnreadableFileError
from le_bench.probing.images import DECODE_FAILURES
from le_bench.types import PixelLabels
from le_bench_plugins.datasets.broden.tables import MOST, Entry

UNKNOWN = -1


@dataclass(frozen=True, slots=True, eq=False)
class FileMasks:
    """The label maps and whole-image labels of the entries of an index.

    `place` (65536,) int32 turns a file's label number into the label of `categories`: 0 for those
    of categories that are not read, -1 for those that do not exist. Files are decoded when needed;
    a damaged one is named then.
    """

    folder: Path
    entries: tuple[Entry, ...]
    categories: Mapping[str, tuple[str, ...]]
    place: npt.NDArray[np.int32]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the label maps."""
        return self.entries[0].size

    def read(self, rows: Sequence[int]) -> PixelLabels:
        """See `types.Masks`: as many layers as the image with most has, int32."""
        entries = [self.entries[row] for row in rows]
        deepest = max((len(entry.maps) for entry in entries), default=0)
        most = max((len(entry.whole) for entry in entries), default=0)
        layers = np.zeros((len(rows), deepest, *self.size), np.int32)
        whole = np.zeros((len(rows), most), np.int32)
        for row, entry in enumerate(entries):
            for layer, file in enumerate(entry.maps):
                layers[row, layer] = self._decode(file)
            whole[row, : len(entry.whole)] = self.place[list(entry.whole)]
        return PixelLabels(layers, whole)

    def presence(self) -> npt.NDArray[np.float32]:
        """Which concepts occur in which images, (N, C) of 0 and 1. Decodes every file."""
        num_concepts = sum(map(len, self.categories.values()))
        present = np.zeros((len(self.entries), num_concepts + 1), np.float32)
        for row in range(len(self.entries)):
            labels = self.read([row])
            present[row, labels.layers.ravel()] = 1.0
            present[row, labels.whole.ravel()] = 1.0
        return present[:, 1:]

    def _decode(self, file: str) -> npt.NDArray[np.int32]:
        """The labels of one file: number = red + 256 * green of each pixel."""
        path = self.folder / "images" / file
        try:
            with Image.open(path) as picture:
                if picture.mode not in ("RGB", "RGBA"):
                    raise ValueError(f"its pixels are {picture.mode}, not red, green and blue")
                pixels = np.asarray(picture)
        except DECODE_FAILURES as error:
            raise UnreadableFileError(
                f"cannot read {path} ({error}); a label map is a PNG file whose pixels hold a "
                "label number as red + 256 * green"
            ) from error
        if pixels.shape[:2] != self.size:
            raise UnreadableFileError(
                f"{path}: this label map has {pixels.shape[0]} x {pixels.shape[1]} pixels, but "
                f"index.csv says {self.size[0]} x {self.size[1]}"
            )
        numbers = pixels[..., 0].astype(np.int32) + 256 * pixels[..., 1].astype(np.int32)
        labels: npt.NDArray[np.int32] = self.place[numbers]
        if (labels == UNKNOWN).any():
            number = int(numbers[labels == UNKNOWN][0])
            raise UnreadableFileError(f"{path}: label.csv has no label {number}")
        return labels


def places(
    labels: Mapping[str, Mapping[int, str]], numbers: frozenset[int]
) -> npt.NDArray[np.int32]:
    """What each label number of a file becomes; see `FileMasks`."""
    place = np.full(MOST + 1, UNKNOWN, np.int32)
    place[[0, *numbers]] = 0
    kept = [number for members in labels.values() for number in members]
    place[kept] = np.arange(1, len(kept) + 1)
    return place
