"""Probe datasets from parquet files on this machine and from Hugging Face."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

import huggingface_hub.constants
import numpy as np
import torch
from huggingface_hub import snapshot_download

from le_bench import hookimpl
from le_bench.components import DatasetSource
from le_bench.errors import BenchError, MissingFileError
from le_bench.fingerprint import path_digest
from le_bench.networks.hosted import download, is_offline, require_online
from le_bench.probing.files import image_dataset
from le_bench.probing.splits import HOW_TO_GET_IDS, SplitOptions, splits_of
from le_bench.types import ProbeDataset, require
from le_bench_plugins.datasets.parquet.images import ParquetImages, RowGroups
from le_bench_plugins.datasets.parquet.shards import (
    NUMBERED,
    choose_split,
    find_splits,
    names_tell_number,
    places_of,
)
from le_bench_plugins.datasets.parquet.tables import (
    class_names,
    open_parts,
    read_labels,
    require_images,
    require_pyarrow,
)

COMMIT = re.compile(r"[0-9a-f]{40}")
REPOSITORY = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


class TableOptions(SplitOptions, Protocol):
    """What both sources let their user choose."""

    @property
    def image(self) -> str:
        """The column of images."""
        ...

    @property
    def label(self) -> str:
        """The column of labels, empty for images without labels."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes by number, where the files have none."""
        ...

    @property
    def superclasses(self) -> Mapping[str, tuple[str, ...]]:
        """Classes of each superclass."""
        ...

    @property
    def skip_unreadable(self) -> bool:
        """Whether damaged images are left out."""
        ...


@dataclass(frozen=True)
class ParquetDataset(DatasetSource):
    """Images with labels in parquet files, as `datasets.Dataset.to_parquet` writes them.

    `path` is a file or a folder of files; of a folder that holds several splits, `split` names one
    (`train` for `data/train-00000-of-00002.parquet` and so on). Column `image` has the bytes of
    image files, by themselves or in a struct beside their `path`. Column `label` has numbers of
    classes, whose names stand in the file's metadata or else in `classes`; or names, which are then
    sorted. `label = ""` for images without labels. `superclasses` and the probe dataset's own
    splits are as for `npz`, `skip_unreadable` is as for `image-folder`.
    """

    name: ClassVar[str] = "parquet"
    version: ClassVar[int] = 1
    how_to_get: ClassVar[Mapping[str, str]] = HOW_TO_GET_IDS

    path: Path
    split: str = ""
    image: str = "image"
    label: str = "label"
    classes: tuple[str, ...] = ()
    superclasses: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    split_seed: int = 0
    train_ids: Path | None = None
    val_ids: Path | None = None
    test_ids: Path | None = None
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        _require_sense(self)

    def load(self) -> ProbeDataset:
        """Read the labels; images are decoded when needed."""
        if self.path.is_dir():
            paths = choose_split(str(self.path), find_splits(self.path), self.split)
        else:
            paths = [self.path]
            numbered = NUMBERED.fullmatch(self.path.stem)
            if numbered is not None and int(numbered["count"]) > 1:
                raise BenchError(
                    f"{self.path}: this is one of {int(numbered['count'])} parts; give their "
                    "folder as `path`"
                )
            if self.split:
                raise BenchError(f"{self.path}: `split` chooses in a folder, and this is a file")
        return _dataset(self.path.stem, paths, self)


@dataclass(frozen=True)
class HubDataset(DatasetSource):
    """Images with labels from a repository of parquet files on Hugging Face.

    `dataset` is its name, such as "uoft-cs/cifar10", `split` one of its own splits, and `revision`
    the commit that is read: names of branches move, so that results could not be made again. A
    repository in another format has its tables as commits of the branch `refs/convert/parquet`.
    Only tables are fetched, into Hugging Face's cache, and no code of a repository is ever run.

    All other options are those of `parquet`.
    """

    name: ClassVar[str] = "hf-dataset"
    version: ClassVar[int] = 1
    how_to_get: ClassVar[Mapping[str, str]] = HOW_TO_GET_IDS

    dataset: str
    revision: str
    split: str
    image: str = "image"
    label: str = "label"
    classes: tuple[str, ...] = ()
    superclasses: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    split_seed: int = 0
    train_ids: Path | None = None
    val_ids: Path | None = None
    test_ids: Path | None = None
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        require(
            REPOSITORY.fullmatch(self.dataset) is not None,
            f"dataset is '{self.dataset}', which is no repository such as 'uoft-cs/cifar10'; "
            "files on this machine are read by `parquet`",
        )
        require(
            COMMIT.fullmatch(self.revision) is not None,
            f"revision is '{self.revision}', which is no commit of 40 hex digits; take it from "
            f"https://huggingface.co/datasets/{self.dataset}/commits/main, since the content of a "
            "branch changes",
        )
        require(bool(self.split), "split is empty; name one of the data set's splits")
        _require_sense(self)

    def identity(self) -> str:
        """Digests of the split's files, in their order."""
        if self.missing():
            return "not on this machine"
        return " ".join(path_digest(path) for path in self._paths())

    def missing(self) -> str:
        """How to get the tables, unless the whole split is here.

        Raises BenchError if it is not clear which files are those of the split.
        """
        found = find_splits(self._snapshot)
        here = ""
        if found and not places_of(found, self.split):
            here = f" (here: {', '.join(found)})"
        else:
            try:
                self._paths()
            except MissingFileError:
                here = " as a whole" if found else ""
            else:
                return ""
        return (
            f"{self._title}: split '{self.split}' is not on this machine{here}; `le-bench run` "
            "fetches it if it has network; by hand: run `hf download "
            f"{self.dataset} --repo-type dataset --revision {self.revision} --include "
            "'*.parquet'` where there is network and copy its cache folder here (`HF_HOME` "
            "names it, else ~/.cache/huggingface)"
        )

    def fetch(self) -> None:
        """Download the tables of the split unless they are here.

        Where names do not say how many there are (`0000.parquet`), Hugging Face is asked for those
        that an interrupted download left out; if HF_HUB_OFFLINE is set, those that are here count.
        """
        require_pyarrow()
        message = self.missing()
        if not message and (is_offline() or names_tell_number(self._paths())):
            return
        if not message:
            message = (
                f"{self._title}: the names of the files here do not say whether split "
                f"'{self.split}' is whole; set HF_HUB_OFFLINE=1 to take it for whole"
            )
        download(self._fetch, message)
        message = self.missing()
        if message:
            raise MissingFileError(message)

    def _fetch(self) -> None:
        require_online()
        snapshot_download(
            self.dataset,
            repo_type="dataset",
            revision=self.revision,
            allow_patterns=[
                f"*{self.split}-*.parquet",
                f"*{self.split}*/*.parquet",
                f"{self.split}.parquet",
                f"*/{self.split}.parquet",
            ],
        )

    def load(self) -> ProbeDataset:
        """Read the labels; images are decoded when needed."""
        message = self.missing()
        if message:
            raise MissingFileError(message)
        return _dataset(self.dataset, self._paths(), self)

    def _paths(self) -> list[Path]:
        """The split's files in Hugging Face's cache. Raises BenchError if it is not whole."""
        return choose_split(self._title, find_splits(self._snapshot), self.split)

    @property
    def _snapshot(self) -> Path:
        cache = Path(huggingface_hub.constants.HF_HUB_CACHE)
        repository = f"datasets--{self.dataset.replace('/', '--')}"
        return cache / repository / "snapshots" / self.revision

    @property
    def _title(self) -> str:
        return f"hf-dataset {self.dataset}"


def _require_sense(options: TableOptions) -> None:
    labelled = bool(options.label)
    require(labelled or not options.superclasses, "superclasses need `label`")
    require(labelled or not options.classes, "classes need `label`")


def _dataset(name: str, paths: Sequence[Path], options: TableOptions) -> ProbeDataset:
    """The probe dataset in these files, in their order."""
    parts = open_parts(paths)
    for part in parts:
        require_images(part, options.image)
    groups = RowGroups(tuple(parts), options.image)
    images = ParquetImages(groups, np.arange(len(groups)))
    splits = splits_of(options, len(images))
    if not options.label:
        return image_dataset(name, images, splits=splits, skip_unreadable=options.skip_unreadable)
    labels = read_labels(parts, options.label)
    names = class_names(parts, options.label)
    if names and options.classes:
        raise BenchError(f"{paths[0]}: names its classes itself; leave out `classes`")
    if labels.dtype == object:
        if options.classes:
            raise BenchError(f"{paths[0]}: has names for labels; leave out `classes`")
        labels = np.array([label.strip() for label in labels], dtype=object)
        names, numbers = tuple(sorted(set(labels))), np.unique(labels, return_inverse=True)[1]
    else:
        names, numbers = names or options.classes, labels
        _require_named(paths[0], options.label, numbers, names)
    return image_dataset(
        name,
        images,
        splits=splits,
        labels=torch.from_numpy(numbers.astype(np.int64)),
        classes=names,
        superclasses=options.superclasses,
        skip_unreadable=options.skip_unreadable,
    )


def _require_named(path: Path, column: str, numbers: np.ndarray, names: Sequence[str]) -> None:
    """Refuse labels without names of their classes."""
    if not names:
        raise BenchError(
            f"{path}: column '{column}' has numbers, and nothing in the file names their classes; "
            "give the names in their order as `classes`"
        )
    if numbers.min() < 0 or numbers.max() >= len(names):
        raise BenchError(
            f"{path}: column '{column}' has labels from {numbers.min()} to {numbers.max()}, but "
            f"{len(names)} classes are named, counted from 0 (-1 means no label: choose a split "
            'that has labels, or give `label = ""`)'
        )


@hookimpl
def le_bench_datasets() -> Iterable[type[DatasetSource]]:
    """Offer parquet files, and data sets of Hugging Face."""
    return [ParquetDataset, HubDataset]
