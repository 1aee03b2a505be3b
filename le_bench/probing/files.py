"""Probe datasets of image files: what their sources share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from le_bench.errors import BenchError, UnreadableFileError
from le_bench.folders import files_below
from le_bench.probing.presence import labelled_dataset
from le_bench.types import Images, ProbeDataset, Split

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm"})

ANOTHER_FOLDER = "or give another path with --set dataset.folder=PATH"


def find_images(folder: Path) -> list[str]:
    """Relative paths of all image files below a folder, sorted; hidden ones are left out."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in files_below(folder)
        if path.suffix.lower() in SUFFIXES
    )


class NamedImages(Images, Protocol):
    """Images that can be named and left out."""

    def title(self, row: int) -> str:
        """What an image is called in messages: its file, or its place in one."""
        ...

    def take(self, rows: Sequence[int]) -> NamedImages:
        """Some of the images, numbered anew."""
        ...


def unreadable_rows(images: Images) -> list[int]:
    """The rows that cannot be decoded; every image is decoded once, in threads."""

    def is_damaged(row: int) -> bool:
        try:
            images.read([row])
        except UnreadableFileError:
            return True
        return False

    with ThreadPoolExecutor() as pool:
        damaged = list(pool.map(is_damaged, range(len(images))))
    return [row for row, each in enumerate(damaged) if each]


def without_rows(splits: Mapping[Split, Tensor], dropped: Sequence[int]) -> dict[Split, Tensor]:
    """Splits of the images that stay, by their new numbers, when some rows are dropped.

    >>> without_rows({"train": torch.tensor([0, 1, 4])}, [1, 3])["train"].tolist()
    [0, 2]
    """
    gone = torch.tensor(sorted(dropped), dtype=torch.int64)
    kept = {split: rows[~torch.isin(rows, gone)] for split, rows in splits.items()}
    return {split: rows - torch.searchsorted(gone, rows) for split, rows in kept.items()}


def image_dataset(
    name: str,
    images: NamedImages,
    *,
    splits: Mapping[Split, Tensor],
    labels: Tensor | None = None,
    classes: tuple[str, ...] = (),
    superclasses: Mapping[str, Sequence[str | int]] | None = None,
    skip_unreadable: bool = False,
) -> ProbeDataset:
    """A probe dataset of these images, with labels (N,) or without.

    With `skip_unreadable` every image is decoded once, and those that cannot be are left out of
    images and splits and named in `unreadable`; `splits` count all images. Raises
    UnreadableFileError if a split has none left.
    """
    dropped = unreadable_rows(images) if skip_unreadable else []
    unreadable = tuple(images.title(row) for row in dropped)
    if dropped:
        gone = set(dropped)
        kept = [row for row in range(len(images)) if row not in gone]
        if not kept:
            raise UnreadableFileError(f"{name}: none of its {len(images)} images can be read")
        splits = without_rows(splits, dropped)
        empty = [split for split, rows in splits.items() if len(rows) == 0]
        if empty:
            raise UnreadableFileError(
                f"{name}: no image of split {empty[0]} can be read; {len(dropped)} of all "
                f"{len(images)} images are damaged, such as {unreadable[0]}; replace them, or "
                "split the images otherwise"
            )
        labels = None if labels is None else labels[kept]
        images = images.take(kept)
    if labels is None:
        return ProbeDataset(name, images, splits, unreadable=unreadable)
    return labelled_dataset(
        name,
        images,
        splits=splits,
        labels=labels,
        classes=classes,
        superclasses=superclasses or {},
        unreadable=unreadable,
    )


def require_complete(
    title: str, labels: Sequence[int], classes: Sequence[str], per_class: int | None
) -> None:
    """Refuse a data set of which a part is missing, with the classes that are at fault.

    `classes` are called as the data set's files call them. `per_class` is the number of images that
    each class must have, None for any from 1 on.
    """
    counts = [0] * len(classes)
    for label in labels:
        counts[label] += 1
    wanted = "at least one" if per_class is None else str(per_class)
    wrong = [
        number
        for number, count in enumerate(counts)
        if count == 0 or (per_class is not None and count != per_class)
    ]
    if wrong:
        listed = ", ".join(f"{classes[number]} has {counts[number]}" for number in wrong[:3])
        more = f" and {len(wrong) - 3} more classes" if len(wrong) > 3 else ""
        total = f" ({len(classes) * per_class:,} in all)" if per_class is not None else ""
        raise BenchError(
            f"{title}: {sum(counts):,} images, but each of its {len(classes)} classes must have "
            f"{wanted}{total}; {listed}{more}; complete the data set, or say with `per_class` how "
            "many images of each class it has (0 for any number)"
        )
