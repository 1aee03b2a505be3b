"""A probe dataset from a folder of image files."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar

import torch

from le_bench import hookimpl
from le_bench.components import DatasetSource
from le_bench.errors import BenchError, MissingFileError, UnreadableFileError, unknown_name
from le_bench.folders import files_below
from le_bench.probing.files import SUFFIXES, find_images, image_dataset
from le_bench.probing.images import REPLACE_OR_SKIP, FileImages
from le_bench.probing.splits import splits_of
from le_bench.types import ProbeDataset

LABELS_FILE = "labels.csv"


@dataclass(frozen=True)
class ImageFolderDataset(DatasetSource):
    """Image files in one of three layouts.

    A folder with `labels.csv` (columns `file` and `label`, files relative to the folder) has the
    images that the file lists, in its order. Else a folder with folders has one class a folder;
    images are ordered by path. Else all images lie in the folder itself and have no labels.
    Classes are sorted by name, without spaces around it. `class_names` is a table that gives
    classes better names, such as words for WordNet numbers. `superclasses` and the splits are as
    for `npz`.

    Files are decoded when needed; a damaged one is named then and ends the run. With
    `skip_unreadable` all files are decoded at the start, and damaged ones are left out and counted
    on boards; rows of split files count all files.
    """

    name: ClassVar[str] = "image-folder"
    version: ClassVar[int] = 1

    folder: Path
    class_names: Mapping[str, str] = field(default_factory=dict, hash=False)
    superclasses: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    split_seed: int = 0
    train_ids: Path | None = None
    val_ids: Path | None = None
    test_ids: Path | None = None
    skip_unreadable: bool = False

    def load(self) -> ProbeDataset:
        """List the files and read their labels."""
        if not self.folder.is_dir():
            raise MissingFileError(f"{self.folder}: no such folder; check the path")
        labelled = self._listed() if (self.folder / LABELS_FILE).is_file() else self._found()
        images = FileImages(tuple(self.folder / path for path, _ in labelled), REPLACE_OR_SKIP)
        splits = splits_of(self, len(images))
        keys = sorted({label for _, label in labelled if label})
        if not keys:
            if self.superclasses or self.class_names:
                raise BenchError(
                    f"{self.folder}: `class_names` and `superclasses` need labels; put the images "
                    f"of each class into a folder of its own or write {LABELS_FILE}"
                )
            return image_dataset(
                self.folder.name, images, splits=splits, skip_unreadable=self.skip_unreadable
            )
        for key in self.class_names:
            if key not in keys:
                raise BenchError(
                    f"{self.folder}: `class_names` has an {unknown_name('class', key, keys)}"
                )
        names = tuple(self.class_names.get(key, key) for key in keys)
        number = {key: place for place, key in enumerate(keys)}
        labels = torch.tensor([number[label] for _, label in labelled])
        return image_dataset(
            self.folder.name,
            images,
            splits=splits,
            labels=labels,
            classes=names,
            superclasses=self.superclasses,
            skip_unreadable=self.skip_unreadable,
        )

    def _found(self) -> list[tuple[str, str]]:
        """Relative path and class (empty in the flat layout) of each image, by path."""
        paths = find_images(self.folder)
        flat = [path for path in paths if "/" not in path]
        if not paths:
            raise MissingFileError(
                f"{self.folder}: no image in this folder; images end in "
                f"{', '.join(sorted(SUFFIXES))}"
            )
        if flat and len(flat) < len(paths):
            raise BenchError(
                f"{self.folder}: {len(flat)} images lie beside folders of images, such as "
                f"{flat[0]}; move them into a folder of their class or list all images in "
                f"{LABELS_FILE}"
            )
        if not flat:
            self._require_images(paths)
        return [(path, path.split("/")[0].strip() if "/" in path else "") for path in paths]

    def _require_images(self, paths: list[str]) -> None:
        """Refuse folders of classes without a single image."""
        full = {path.split("/")[0] for path in paths}
        empty = sorted(
            path.name
            for path in self.folder.iterdir()
            if path.is_dir() and path.name not in full and not path.name.startswith(".")
        )
        if empty:
            raise BenchError(
                f"{self.folder}: {len(empty)} folders have no image, the first: '{empty[0]}'; "
                "complete the data set or move away what is no class"
            )

    def _listed(self) -> list[tuple[str, str]]:
        """Relative path and class of each image that the list names, in its order."""
        path = self.folder / LABELS_FILE
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                rows = csv.DictReader(file)
                missing = {"file", "label"} - set(rows.fieldnames or ())
                if missing:
                    raise BenchError(
                        f"{path}: column {' and '.join(map(repr, sorted(missing)))} missing; the "
                        "first line must name the columns: file,label"
                    )
                listed = [
                    (rows.line_num, row["file"] or "", (row["label"] or "").strip(), None in row)
                    for row in rows
                ]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise UnreadableFileError(
                f"{path}: cannot be read ({error}); write it as UTF-8 text with a first line "
                "file,label"
            ) from error
        there = {file.relative_to(self.folder).as_posix() for file in files_below(self.folder)}
        before: dict[str, int] = {}
        faults = []
        for line, name, label, surplus in listed:
            fault = self._fault(name, label, there)
            if surplus:
                fault = "too many cells; put a label that has commas in double quotes"
            first = before.setdefault(PurePosixPath(name).as_posix(), line)
            if not fault and first != line:
                fault = f"'{name}' is listed before, in line {first}"
            if fault:
                faults.append(f"line {line}: {fault}")
        if not listed:
            faults = ["no image is listed"]
        if faults:
            rest = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
            raise BenchError(f"{path}: {'; '.join(faults[:5])}{rest}; mend the list")
        return [(name, label) for _, name, label, _ in listed]

    def _fault(self, name: str, label: str, there: Collection[str]) -> str:
        if not name or not label:
            return "file or label is empty"
        if not (self.folder / name).is_file():
            return f"there is no file '{name}'"
        if PurePosixPath(name).as_posix() not in there:
            return (
                f"'{name}' is hidden or no plain path below the folder, so that its changes would "
                "go unnoticed"
            )
        return ""


@hookimpl
def le_bench_datasets() -> Iterable[type[DatasetSource]]:
    """Offer folders of image files."""
    return [ImageFolderDataset]
