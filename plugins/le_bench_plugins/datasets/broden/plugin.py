"""A probe dataset in the format of Broden."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from le_bench import hookimpl
from le_bench.components import DatasetSource
from le_bench.errors import MissingFileError
from le_bench.folders import files_below
from le_bench.probing.images import FileImages
from le_bench.probing.splits import splits_of
from le_bench.types import Presence, ProbeDataset
from le_bench_plugins.datasets.broden.masks import FileMasks, places
from le_bench_plugins.datasets.broden.tables import (
    read_categories,
    read_index,
    read_labels,
)


@dataclass(frozen=True)
class BrodenDataset(DatasetSource):
    """Images with label maps of a folder such as `broden1_224`.

    The folder has `category.csv`, `label.csv`, a `c_<category>.csv` for each category,
    `index.csv`, and `images/` with the images and the label maps (PNG, label = red + 256 * green).
    `categories` limits what is read, as the list in NetDissect-Lite's settings does (there without
    "material"); none means all. Each label belongs to the category in which it covers most.

    The vocabulary and the annotated presence (a label occurs in an image) are the labels by clean
    names; `presence = false` leaves the presence out, for which every label map must be decoded
    once. There are no class labels. The split of `index.csv` is not used, as in the authors' code;
    splits are as for `npz`.
    """

    name: ClassVar[str] = "broden"
    version: ClassVar[int] = 1
    reference: ClassVar[str] = "Bau et al., Network Dissection, CVPR 2017"

    folder: Path
    categories: tuple[str, ...] = ()
    presence: bool = True
    split_seed: int = 0
    train_ids: Path | None = None
    val_ids: Path | None = None
    test_ids: Path | None = None

    def load(self) -> ProbeDataset:
        """Read the tables, and all label maps for the presence."""
        if not self.folder.is_dir():
            raise MissingFileError(f"{self.folder}: no such folder; check the path")
        categories = read_categories(self.folder, self.categories)
        labels, numbers = read_labels(self.folder, categories)
        names = {category: tuple(members.values()) for category, members in labels.items()}
        entries = read_index(self.folder, categories, numbers, _files(self.folder / "images"))
        masks = FileMasks(self.folder, entries, names, places(labels, numbers))
        concepts = tuple(name for members in names.values() for name in members)
        annotated = torch.from_numpy(masks.presence()) if self.presence else None
        return ProbeDataset(
            name=self.folder.name,
            images=FileImages(tuple(self.folder / "images" / entry.file for entry in entries)),
            splits=splits_of(self, len(entries)),
            concept_presence=None if annotated is None else Presence(concepts, annotated),
            vocabulary=tuple(dict.fromkeys(concepts)),
            masks=masks,
        )


def _files(folder: Path) -> frozenset[str]:
    """All files below a folder save hidden ones, by relative path."""
    if not folder.is_dir():
        raise MissingFileError(f"{folder}: no such folder; a Broden folder has its images there")
    return frozenset(path.relative_to(folder).as_posix() for path in files_below(folder))


@hookimpl
def le_bench_datasets() -> Iterable[type[DatasetSource]]:
    """Offer data sets in the format of Broden."""
    return [BrodenDataset]
