"""A probe dataset from one numpy archive."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from le_bench import hookimpl
from le_bench.components import DatasetSource
from le_bench.errors import BenchError, MissingFileError, UnreadableFileError, unknown_name
from le_bench.probing.images import ArrayImages, EncodedImages
from le_bench.probing.presence import labelled_dataset
from le_bench.probing.splits import HOW_TO_GET_IDS, splits_of
from le_bench.types import ProbeDataset, require

ARCHIVE = (
    "it is an archive of arrays as numpy.savez writes it, and the head of the experiment file may "
    "say what is in it; put it there"
)


@dataclass(frozen=True)
class NpzDataset(DatasetSource):
    """Images, labels and class names from the arrays of a `.npz` file.

    `images`, `labels` and `classes` name the arrays: uint8 (N, height, width, 3); integers (N,)
    from 0; and the names that the labels count. With `offsets`, the array of images is instead
    one of bytes (uint8) that holds image files back to back, the i-th from offsets[i] to
    offsets[i+1]. `labels = ""` for images without labels. `superclasses` is a table of superclass
    to class names. Splits are 70/10/20 by `split_seed`, unless all of `train_ids`, `val_ids` and
    `test_ids` name files of row numbers (.txt, .npy or .pt).
    """

    name: ClassVar[str] = "npz"
    version: ClassVar[int] = 1
    how_to_get: ClassVar[Mapping[str, str]] = {"file": ARCHIVE, **HOW_TO_GET_IDS}

    file: Path
    images: str = "images"
    labels: str = "labels"
    classes: str = "classes"
    offsets: str = ""
    superclasses: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    split_seed: int = 0
    train_ids: Path | None = None
    val_ids: Path | None = None
    test_ids: Path | None = None

    def __post_init__(self) -> None:
        require(bool(self.labels) or not self.superclasses, "superclasses need `labels`")

    def load(self) -> ProbeDataset:
        """Read all arrays that are named."""
        arrays = self._read()
        images = self._images(arrays)
        splits = splits_of(self, len(images))
        if not self.labels:
            return ProbeDataset(self.file.stem, images, splits)
        labels, classes = arrays[self.labels], arrays[self.classes]
        if classes.ndim != 1 or classes.dtype.kind not in "US":
            raise self._wrong(self.classes, classes, "a list of class names")
        names = tuple(classes.astype(str).tolist())
        if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
            raise self._wrong(self.labels, labels, f"one integer for each of {len(images)} images")
        if labels.min() < 0 or labels.max() >= len(names):
            raise BenchError(
                f"{self.file}: array '{self.labels}' has labels from {labels.min()} to "
                f"{labels.max()}, but array '{self.classes}' names {len(names)} classes, counted "
                "from 0; mend one of them"
            )
        numbers = torch.from_numpy(labels.astype(np.int64))
        return labelled_dataset(
            self.file.stem,
            images,
            splits=splits,
            labels=numbers,
            classes=names,
            superclasses=self.superclasses,
        )

    def _read(self) -> dict[str, np.ndarray]:
        wanted = [self.images, self.offsets, self.labels, self.classes if self.labels else ""]
        try:
            with self.file.open("rb") as file:
                archive = np.load(file, allow_pickle=False)
                if not isinstance(archive, np.lib.npyio.NpzFile):
                    raise ValueError("one array instead of an archive of arrays")
                for key in filter(None, wanted):
                    if key not in archive.files:
                        raise BenchError(
                            f"{self.file}: {unknown_name('array', key, archive.files)}"
                        )
                return {key: archive[key] for key in filter(None, wanted)}
        except FileNotFoundError as error:
            raise MissingFileError(f"{self.file}: no such file; check the path") from error
        except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise UnreadableFileError(
                f"{self.file}: this is no .npz archive of plain arrays ({error}); "
                "write it with numpy.savez, without object arrays"
            ) from error

    def _images(self, arrays: Mapping[str, np.ndarray]) -> ArrayImages | EncodedImages:
        values = arrays[self.images]
        if not self.offsets:
            if values.dtype != np.uint8 or values.ndim != 4 or values.shape[3] != 3:
                raise self._wrong(self.images, values, "uint8 (images, height, width, 3)")
            return ArrayImages(values)
        if values.dtype != np.uint8 or values.ndim != 1:
            raise self._wrong(self.images, values, "the bytes of image files (uint8, one row)")
        offsets = arrays[self.offsets]
        increasing = offsets.ndim == 1 and offsets.dtype.kind in "iu" and len(offsets) > 1
        if not increasing or (np.diff(offsets.astype(np.int64)) <= 0).any():
            raise self._wrong(self.offsets, offsets, "increasing positions of image files")
        if offsets[0] < 0 or offsets[-1] > len(values):
            raise self._wrong(self.offsets, offsets, f"positions within {len(values)} bytes")
        return EncodedImages(values, offsets.astype(np.int64), str(self.file))

    def _wrong(self, key: str, array: np.ndarray, wanted: str) -> BenchError:
        return BenchError(
            f"{self.file}: array '{key}' is {array.dtype} of shape {array.shape}, not {wanted}; "
            "name another array or write the file anew"
        )


@hookimpl
def le_bench_datasets() -> Iterable[type[DatasetSource]]:
    """Offer datasets in numpy archives."""
    return [NpzDataset]
