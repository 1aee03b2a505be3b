"""The validation images of ImageNet (ILSVRC 2012)."""

from __future__ import annotations

import csv
import re
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from le_bench import hookimpl
from le_bench.components import DatasetSource
from le_bench.concepts.imagenet import (
    imagenet_classes,
    imagenet_superclasses,
    imagenet_wnids,
)
from le_bench.errors import BenchError, MissingFileError, UnreadableFileError
from le_bench.probing.files import ANOTHER_FOLDER, find_images, image_dataset, require_complete
from le_bench.probing.images import REPLACE_OR_SKIP, FileImages
from le_bench.probing.splits import HOW_TO_GET_IDS, splits_of
from le_bench.types import ProbeDataset, require

DEVKIT_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
META = "meta.mat"
UNREADABLE_MAT = (  # what scipy raises for files that are damaged or something else
    OSError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    struct.error,
    zlib.error,
    MatReadError,
    NotImplementedError,
)
IMAGES = (
    "the 50,000 validation images of ILSVRC 2012 are ILSVRC2012_img_val.tar (6.7 GB, md5 "
    "29b22e2961454d5413ddabcf34fc5622) from https://image-net.org/download-images after "
    "registration; unpack it into this folder and name the file of their labels with "
    "--set dataset.ground_truth=PATH, or sort them into folders of their classes"
)
TRUTH = (
    "the labels of a folder of unsorted images are data/ILSVRC2012_validation_ground_truth.txt of "
    "ILSVRC2012_devkit_t12.tar.gz from https://image-net.org/download-images (with meta.mat beside "
    "it), or a val.txt with a file and a class a line"
)


@dataclass(frozen=True)
class ImageNetDataset(DatasetSource):
    """ImageNet's validation images, with class names from open_clip and WordNet superclasses.

    `folder` has a folder for each of the 1,000 classes, named by WordNet number, or all images in
    one folder. In the second layout `ground_truth` tells their classes: the development kit's
    `ILSVRC2012_validation_ground_truth.txt` with `meta.mat` beside it; or a text file or Kaggle's
    `LOC_val_solution.csv`, where each line has a file's name (its suffix may be missing) and then
    a WordNet number or the place of the class from 0 to 999.

    Images are ordered by class and then by name in either layout, as torchvision's ImageFolder
    does and as the authors' split files count. `per_class` images of each class must be there
    (0: any number from 1 on). `skip_unreadable` is as for `image-folder`, splits as for `npz`.
    """

    name: ClassVar[str] = "imagenet"
    version: ClassVar[int] = 1
    reference: ClassVar[str] = "Russakovsky et al., IJCV 2015"
    how_to_get: ClassVar[Mapping[str, str]] = {
        "folder": IMAGES,
        "ground_truth": TRUTH,
        **HOW_TO_GET_IDS,
    }

    folder: Path
    ground_truth: Path | None = None
    per_class: int = 50
    superclasses: bool = True
    split_seed: int = 0
    train_ids: Path | None = None
    val_ids: Path | None = None
    test_ids: Path | None = None
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        require(self.per_class >= 0, f"per_class is {self.per_class}; it must be 0 or more")

    def identity(self) -> str:
        """The classes behind the numbers of the development kit, which lie beside its labels."""
        if self.ground_truth is None or self.ground_truth.name != DEVKIT_TRUTH:
            return ""
        return " ".join(_devkit_wnids(self.ground_truth.parent / META))

    def expected_images(self) -> int | None:
        """As many as there must be."""
        return 1000 * self.per_class or None

    def load(self) -> ProbeDataset:
        """List the files and tell their classes; refuse a data set that is not complete."""
        if not self.folder.is_dir():
            raise MissingFileError(f"{self.folder}: no such folder; {IMAGES}, {ANOTHER_FOLDER}")
        paths = find_images(self.folder)
        if not paths:
            raise MissingFileError(
                f"{self.folder}: no image in this folder; {IMAGES}, {ANOTHER_FOLDER}"
            )
        number = {wnid: place for place, wnid in enumerate(imagenet_wnids())}
        flat = [path for path in paths if "/" not in path]
        if flat and len(flat) < len(paths):
            raise BenchError(
                f"{self.folder}: {len(flat)} images lie beside folders of images, such as "
                f"{flat[0]}; move each into the folder of its class, or all into this one"
            )
        labelled = self._flat(paths, number) if flat else self._sorted(paths, number)
        labelled.sort()
        labels = [label for label, _ in labelled]
        require_complete(str(self.folder), labels, imagenet_wnids(), self.per_class or None)
        return image_dataset(
            "ImageNet val",
            FileImages(tuple(self.folder / path for _, path in labelled), REPLACE_OR_SKIP),
            splits=splits_of(self, len(labels)),
            labels=torch.tensor(labels),
            classes=imagenet_classes(),
            superclasses=imagenet_superclasses() if self.superclasses else {},
            skip_unreadable=self.skip_unreadable,
        )

    def _sorted(self, paths: list[str], number: Mapping[str, int]) -> list[tuple[int, str]]:
        """Label and path in the layout of a folder a class."""
        folders = sorted({path.split("/")[0] for path in paths})
        foreign = [folder for folder in folders if folder not in number]
        if foreign:
            raise BenchError(
                f"{self.folder}: '{foreign[0]}' is not the WordNet number of one of "
                f"ImageNet's 1,000 classes, such as n01440764; {len(foreign)} such entries; give "
                "the folder that holds the classes of the validation images and nothing else"
            )
        absent = sorted(set(number) - set(folders))
        if absent:
            raise BenchError(
                f"{self.folder}: {len(absent)} of 1,000 classes have no folder with images, the "
                f"first: {absent[0]}; complete the data set"
            )
        return [(number[path.split("/")[0]], path) for path in paths]

    def _flat(self, paths: list[str], number: Mapping[str, int]) -> list[tuple[int, str]]:
        """Label and path where all images lie in one folder."""
        if self.ground_truth is None:
            raise MissingFileError(
                f"{self.folder}: the images are not in folders of their classes; name the file of "
                f"their labels with --set dataset.ground_truth=PATH: {TRUTH}"
            )
        if self.ground_truth.name == DEVKIT_TRUTH:
            truth = _devkit_labels(self.ground_truth, number, paths)
        else:
            truth = _listed_labels(self.ground_truth, number)
        known = {path: truth.get(path, truth.get(Path(path).stem)) for path in paths}
        unknown = [path for path, label in known.items() if label is None]
        names = {*paths, *(Path(path).stem for path in paths)}
        absent = [name for name in truth if name not in names]
        if len(truth) != len(paths) or unknown or absent:
            faults = [
                f"{len(rows)} {fault}, such as {rows[0]}"
                for rows, fault in (
                    (unknown, "images are not in the list"),
                    (absent, "are not there"),
                )
                if rows
            ]
            what = "; ".join(faults) or "several differ in their suffix alone"
            raise BenchError(
                f"{self.folder}: {len(paths):,} images, but {self.ground_truth} tells of "
                f"{len(truth):,}: {what}; complete the data set or give the list of these images"
            )
        return [(label, path) for path, label in known.items() if label is not None]


def _devkit_labels(truth: Path, number: Mapping[str, int], paths: list[str]) -> dict[str, int]:
    """Labels by file: the i-th line is the development kit's number for the i-th image by name."""
    wnids = _devkit_wnids(truth.parent / META)
    lines = _lines(truth)
    labels: dict[str, int] = {}
    for line, text in enumerate(lines, start=1):
        if not text.isdecimal() or not 1 <= int(text) <= len(wnids):
            raise UnreadableFileError(
                f"{truth}, line {line}: '{text}' is not a number from 1 to {len(wnids)}; fetch the "
                "development kit again"
            )
        labels[f"ILSVRC2012_val_{line:08d}"] = number[wnids[int(text) - 1]]
    return labels


def _devkit_wnids(path: Path) -> list[str]:
    """WordNet numbers in the order of the development kit, which is not that of the classes."""
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; {TRUTH}")
    try:
        synsets = loadmat(path, squeeze_me=True)["synsets"]
        order = np.asarray(synsets["ILSVRC2012_ID"], dtype=np.int64)
        names = np.asarray(synsets["WNID"]).astype(str)
    except UNREADABLE_MAT as error:
        raise UnreadableFileError(
            f"{path}: this is not the development kit's meta.mat ({error}); fetch it again"
        ) from error
    wnids = [str(name) for _, name in sorted(zip(order.tolist(), names, strict=True))][:1000]
    if sorted(wnids) != list(imagenet_wnids()):
        raise UnreadableFileError(
            f"{path}: its first 1,000 synsets are not ImageNet's classes; fetch it again"
        )
    return wnids


def _listed_labels(path: Path, number: Mapping[str, int]) -> dict[str, int]:
    """Labels by file or file without suffix, from lines of a file and its class."""
    labels: dict[str, int] = {}
    for line, text in enumerate(_lines(path), start=1):
        cells = next(csv.reader([re.sub(r"[\s,]+", ",", text)]))
        if line == 1 and cells[0] == "ImageId":
            continue
        name, key = cells[0].rsplit("/", 1)[-1], cells[1] if len(cells) > 1 else ""
        label = int(key) if key.isdecimal() else number.get(key, -1)
        if not 0 <= label < len(number):
            raise UnreadableFileError(
                f"{path}, line {line}: '{text}' is not a file and a class (a WordNet number such "
                "as n01440764, or a place from 0 to 999 in the order of these numbers)"
            )
        if name in labels:
            raise UnreadableFileError(f"{path}, line {line}: {name} is listed before")
        labels[name] = label
    return labels


def _lines(path: Path) -> list[str]:
    """Lines of text that are not empty."""
    try:
        return [line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file; {TRUTH}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFileError(f"{path}: cannot be read ({error})") from error


@hookimpl
def le_bench_datasets() -> Iterable[type[DatasetSource]]:
    """Offer ImageNet."""
    return [ImageNetDataset]
