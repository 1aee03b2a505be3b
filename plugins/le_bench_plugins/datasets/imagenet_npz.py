"""Some images of ImageNet in one numpy archive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from le_bench import hookimpl
from le_bench.components import DatasetSource
from le_bench.concepts.imagenet import (
    imagenet_classes,
    imagenet_superclasses,
    imagenet_wnids,
)
from le_bench.errors import BenchError
from le_bench.probing.presence import labelled_dataset
from le_bench.probing.splits import HOW_TO_GET_IDS
from le_bench.types import ProbeDataset
from le_bench_plugins.datasets.npz import ARCHIVE, NpzDataset


@dataclass(frozen=True)
class ImageNetArchive(DatasetSource):
    """Any number of ImageNet's images in a `.npz` file, with its classes and superclasses.

    `images` and `labels` name arrays as for `npz`, labels counting ImageNet's 1,000 classes; with
    `offsets`, the array of images holds image files back to back. `wnids` names the array of the
    classes' WordNet numbers, by which it is seen that they are counted as everywhere. Names come
    from open_clip and superclasses from WordNet, as for `imagenet`; splits are as for `npz`.
    """

    name: ClassVar[str] = "imagenet-npz"
    version: ClassVar[int] = 1
    how_to_get: ClassVar[Mapping[str, str]] = {"file": ARCHIVE, **HOW_TO_GET_IDS}

    file: Path
    images: str = "images"
    labels: str = "labels"
    wnids: str = "wnids"
    offsets: str = ""
    split_seed: int = 0
    train_ids: Path | None = None
    val_ids: Path | None = None
    test_ids: Path | None = None

    def load(self) -> ProbeDataset:
        """Read the arrays and name the classes."""
        found = NpzDataset(
            self.file,
            images=self.images,
            labels=self.labels,
            classes=self.wnids,
            offsets=self.offsets,
            split_seed=self.split_seed,
            train_ids=self.train_ids,
            val_ids=self.val_ids,
            test_ids=self.test_ids,
        ).load()
        if found.labels is None:
            raise BenchError(f"{self.file}: images of ImageNet need `labels`")
        if found.classes != imagenet_wnids():
            pairs = zip(found.classes, imagenet_wnids(), strict=False)
            place = next((at for at, (a, b) in enumerate(pairs) if a != b), len(found.classes))
            raise BenchError(
                f"{self.file}: array '{self.wnids}' does not hold the WordNet numbers of "
                f"ImageNet's 1,000 classes in their order, first at place {place}; mend the file, "
                "or use `npz` for other classes"
            )
        return labelled_dataset(
            self.file.stem,
            found.images,
            splits=found.splits,
            labels=found.labels,
            classes=imagenet_classes(),
            superclasses=imagenet_superclasses(),
        )


@hookimpl
def le_bench_datasets() -> Iterable[type[DatasetSource]]:
    """Offer images of ImageNet in numpy archives."""
    return [ImageNetArchive]
