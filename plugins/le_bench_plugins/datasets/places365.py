"""The validation images of Places365."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from le_bench import hookimpl
from le_bench.components import DatasetSource
from le_bench.errors import BenchError, MissingFileError, UnreadableFileError
from le_bench.probing.files import ANOTHER_FOLDER, find_images, image_dataset, require_complete
from le_bench.probing.images import REPLACE_OR_SKIP, FileImages
from le_bench.probing.splits import HOW_TO_GET_IDS, splits_of
from le_bench.types import ProbeDataset, require

NUM_CLASSES = 365
LISTS = "filelist_places365-standard.tar of http://places2.csail.mit.edu/download.html"
IMAGES = (
    "the 36,500 validation images of Places365 are val_256.tar (525 MB, md5 "
    "e27b17d8d44f4af9a78502beb927f808) of http://places2.csail.mit.edu/download.html; unpack it "
    "one level above this folder, since it makes the folder val_256 itself"
)


@dataclass(frozen=True)
class Places365Dataset(DatasetSource):
    """Places365's validation images, in the order of their list.

    `folder` has all images (`Places365_val_00000001.jpg` and so on), `labels` is
    `places365_val.txt` (a file and the number of its class a line) and `categories` is
    `categories_places365.txt` (a class such as `/a/art_gallery` and its number a line). Classes
    are named in plain words: "art gallery", and "apartment building, outdoor" for
    `/a/apartment_building/outdoor`. There are no superclasses, as in the paper.

    `per_class` images of each class must be there (0: any number from 1 on). `skip_unreadable` is
    as for `image-folder`, splits as for `npz`.
    """

    name: ClassVar[str] = "places365"
    version: ClassVar[int] = 1
    reference: ClassVar[str] = "Zhou et al., TPAMI 2017"
    how_to_get: ClassVar[Mapping[str, str]] = {
        "folder": IMAGES,
        "labels": f"places365_val.txt comes with {LISTS}",
        "categories": f"categories_places365.txt comes with {LISTS}",
        **HOW_TO_GET_IDS,
    }

    folder: Path
    labels: Path
    categories: Path
    per_class: int = 100
    split_seed: int = 0
    train_ids: Path | None = None
    val_ids: Path | None = None
    test_ids: Path | None = None
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        require(self.per_class >= 0, f"per_class is {self.per_class}; it must be 0 or more")

    def expected_images(self) -> int | None:
        """As many as there must be."""
        return NUM_CLASSES * self.per_class or None

    def load(self) -> ProbeDataset:
        """Read both lists and look for the images; refuse a data set that is not complete."""
        categories = _pairs(self.categories, self.how_to_get["categories"])
        names = {number: _title(category) for category, number in categories}
        if sorted(names) != list(range(NUM_CLASSES)) or len(categories) != NUM_CLASSES:
            raise UnreadableFileError(
                f"{self.categories}: does not number 365 classes from 0 to 364; "
                f"{self.how_to_get['categories']}"
            )
        listed = _pairs(self.labels, self.how_to_get["labels"])
        wrong = [number for _, number in listed if number not in names]
        if wrong or len({file for file, _ in listed}) < len(listed):
            raise UnreadableFileError(
                f"{self.labels}: has files twice or numbers that are no class"
                + (f", such as {wrong[0]}" if wrong else "")
                + f"; {self.how_to_get['labels']}"
            )
        self._require_same([file for file, _ in listed])
        numbers = [number for _, number in listed]
        classes = [names[number] for number in range(NUM_CLASSES)]
        require_complete(str(self.folder), numbers, classes, self.per_class or None)
        return image_dataset(
            "Places365 val",
            FileImages(tuple(self.folder / file for file, _ in listed), REPLACE_OR_SKIP),
            splits=splits_of(self, len(listed)),
            labels=torch.tensor(numbers),
            classes=tuple(classes),
            skip_unreadable=self.skip_unreadable,
        )

    def _require_same(self, listed: list[str]) -> None:
        """Refuse a folder that does not have exactly the listed files."""
        if not self.folder.is_dir():
            raise MissingFileError(f"{self.folder}: no such folder; {IMAGES}, {ANOTHER_FOLDER}")
        there = set(find_images(self.folder))
        absent = [file for file in listed if file not in there]
        below = {Path(file).parent for file in there} if len(absent) == len(listed) else set()
        if len(below) == 1 and {Path(file).name for file in there} >= set(listed):
            deeper = self.folder / below.pop()
            raise BenchError(
                f"{self.folder}: the images that {self.labels} lists are not in this folder but in "
                f"{deeper}; give that one with --set dataset.folder={deeper}"
            )
        extra = sorted(there.difference(listed))
        if absent or extra:
            faults = [
                f"{len(files):,} {what}, such as {files[0]}"
                for files, what in ((absent, "are not there"), (extra, "are not in the list"))
                if files
            ]
            raise BenchError(
                f"{self.folder}: {len(there):,} images, but {self.labels} lists {len(listed):,}: "
                f"{'; '.join(faults)}; complete the data set, and move away what is not of it"
            )


def _pairs(path: Path, advice: str) -> list[tuple[str, int]]:
    """A name and a number from each line that is not empty."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file; {advice}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFileError(f"{path}: cannot be read ({error})") from error
    pairs: list[tuple[str, int]] = []
    for line, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        *names, number = text.rsplit(maxsplit=1)
        if not names or not (number.isascii() and number.isdecimal()):
            raise UnreadableFileError(
                f"{path}, line {line}: '{text}' is not a name and a number; {advice}"
            )
        pairs.append((names[0].strip(), int(number)))
    return pairs


def _title(category: str) -> str:
    """Plain words: the first part of a category is but its first letter."""
    parts = category.strip("/").split("/")[1:]
    return ", ".join(part.replace("_", " ") for part in parts)


@hookimpl
def le_bench_datasets() -> Iterable[type[DatasetSource]]:
    """Offer Places365."""
    return [Places365Dataset]
