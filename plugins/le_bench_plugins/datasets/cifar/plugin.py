"""Probe datasets CIFAR-10 and CIFAR-100."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch

from le_bench import hookimpl
from le_bench.components import DatasetSource
from le_bench.errors import BenchError, MissingFileError, UnreadableFileError
from le_bench.probing.files import ANOTHER_FOLDER
from le_bench.probing.images import ArrayImages
from le_bench.probing.presence import labelled_dataset
from le_bench.probing.splits import HOW_TO_GET_IDS, splits_of
from le_bench.types import ProbeDataset
from le_bench_plugins.datasets.cifar.files import SIDE, VERSIONS

VEHICLES = ("vehicles 1", "vehicles 2")
SOURCE = (
    "CIFAR is cifar-10-python.tar.gz (md5 c58f30108f718f92721af3b95e74349a) or "
    "cifar-100-python.tar.gz (md5 eb9058c3a382ffc7106e4002c42a8d85) of "
    "https://www.cs.toronto.edu/~kriz/cifar.html: unpack it one level above this folder, since it "
    "makes the folder cifar-10-batches-py or cifar-100-python itself"
)


@dataclass(frozen=True)
class CIFARDataset(DatasetSource):
    """The images of CIFAR-10 or CIFAR-100 from the folder that its archive makes.

    `folder` is `cifar-10-batches-py` or `cifar-100-python` (Python version), or
    `cifar-10-batches-bin` or `cifar-100-binary` (binary version); which it is, its files tell.
    `part` chooses the 10,000 test or the 50,000 train images. CIFAR-100 has its 20 coarse labels as
    superclasses, of which "vehicles 1" and "vehicles 2" are one, as in the paper. Splits are as for
    `npz`.

    The pickles of the Python version are read by a reader that knows dictionaries, lists, numbers,
    texts and arrays of bytes, and refuses everything else.
    """

    name: ClassVar[str] = "cifar"
    version: ClassVar[int] = 1
    reference: ClassVar[str] = "Krizhevsky, Learning multiple layers of features, 2009"
    how_to_get: ClassVar[Mapping[str, str]] = {"folder": SOURCE, **HOW_TO_GET_IDS}

    folder: Path
    part: Literal["test", "train"] = "test"
    split_seed: int = 0
    train_ids: Path | None = None
    val_ids: Path | None = None
    test_ids: Path | None = None

    def expected_images(self) -> int | None:
        """As many as there must be."""
        return 10_000 if self.part == "test" else 50_000

    def load(self) -> ProbeDataset:
        """Read all images of the part; refuse a number other than that of the data set."""
        if not self.folder.is_dir():
            raise MissingFileError(f"{self.folder}: no such folder; {SOURCE}, {ANOTHER_FOLDER}")
        found = next((own for own in VERSIONS if (self.folder / own.mark).is_file()), None)
        if found is None:
            raise MissingFileError(
                f"{self.folder}: holds no version of CIFAR; {SOURCE}, {ANOTHER_FOLDER}"
            )
        names = found.test if self.part == "test" else found.train
        batches = [found.read(self.folder / name) for name in names]
        pixels = np.concatenate([batch.pixels for batch in batches])
        fine = np.concatenate([batch.fine for batch in batches]).astype(np.int64)
        several = [batch.coarse for batch in batches if batch.coarse is not None]
        coarse = np.concatenate(several) if several else None
        classes, above = found.titles(self.folder)
        expected = 10_000 if self.part == "test" else 50_000
        if len(fine) != expected:
            raise BenchError(
                f"{self.folder}: {len(fine):,} {self.part} images, but CIFAR has {expected:,}; "
                "unpack the archive again"
            )
        if fine.max() >= len(classes) or (coarse is not None and coarse.max() >= len(above)):
            raise UnreadableFileError(
                f"{self.folder}: has labels beyond its {len(classes)} class names; unpack the "
                "archive again"
            )
        images = pixels.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
        return labelled_dataset(
            f"{found.title} {self.part}",
            ArrayImages(np.ascontiguousarray(images)),
            splits=splits_of(self, len(fine)),
            labels=torch.from_numpy(fine),
            classes=classes,
            superclasses={} if coarse is None else _superclasses(fine, coarse, above),
        )


def _superclasses(
    fine: np.ndarray, coarse: np.ndarray, titles: tuple[str, ...]
) -> dict[str, tuple[int, ...]]:
    """The classes of each coarse label, as the images tell them."""
    members: dict[str, set[int]] = {}
    for number, title in enumerate(titles):
        name = "vehicles" if title in VEHICLES else title
        members.setdefault(name, set()).update(np.unique(fine[coarse == number]).tolist())
    return {name: tuple(sorted(classes)) for name, classes in members.items()}


@hookimpl
def le_bench_datasets() -> Iterable[type[DatasetSource]]:
    """Offer CIFAR-10 and CIFAR-100."""
    return [CIFARDataset]
