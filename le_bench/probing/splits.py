"""Which probe images are train, val and test."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from le_bench.errors import BenchError, MissingFileError, UnreadableFileError
from le_bench.networks.weights import read_torch_file
from le_bench.types import SPLITS, Split

AUTHORS = (
    "the splits of the authors of Linear Explanations are in data/data_splits of "
    "https://github.com/Trustworthy-ML-Lab/Linear-Explanations; clone it into the folder that "
    "stands before Linear-Explanations in this path"
)
HOW_TO_GET_IDS: Mapping[str, str] = {f"{split}_ids": AUTHORS for split in SPLITS}
FORMS = (
    "give a .txt file with one number a line, or a .npy or .pt file of a one-dimensional integer "
    "array"
)
TENTHS: Mapping[Split, int] = {"train": 7, "val": 1, "test": 2}


def seeded_splits(num_images: int, seed: int = 0) -> dict[Split, Tensor]:
    """Rows of 70% train, 10% val and 20% test images, each sorted, the same on every machine.

    Rows are ordered by the SHA-256 of seed and row number and cut at 7/10 and 8/10, rounded down
    (the paper's shares and cuts; the authors drew their order without a seed). The hash does not
    change with versions of numpy or torch, as their random streams may. Raises BenchError if a
    split would be empty.

    >>> {name: len(rows) for name, rows in seeded_splits(100).items()}
    {'train': 70, 'val': 10, 'test': 20}
    """
    order = sorted(
        range(num_images), key=lambda row: hashlib.sha256(f"{seed}:{row}".encode()).digest()
    )
    splits: dict[Split, Tensor] = {}
    start = share = 0
    for split in SPLITS:
        share += TENTHS[split]
        end = num_images * share // sum(TENTHS.values())
        splits[split] = torch.tensor(sorted(order[start:end]), dtype=torch.int64)
        start = end
    empty = [split for split, rows in splits.items() if len(rows) == 0]
    if empty:
        raise BenchError(
            f"{num_images} images are too few to split: no image is left for {empty[0]}; give at "
            "least 10 images, or files of row numbers as `train_ids`, `val_ids` and `test_ids`"
        )
    return splits


class SplitOptions(Protocol):
    """The options by which a source lets its user choose splits."""

    @property
    def split_seed(self) -> int:
        """Seed of the order by which images are split if no files are given."""
        ...

    @property
    def train_ids(self) -> Path | None:
        """File of the row numbers of train images."""
        ...

    @property
    def val_ids(self) -> Path | None:
        """File of the row numbers of val images."""
        ...

    @property
    def test_ids(self) -> Path | None:
        """File of the row numbers of test images."""
        ...


def splits_of(options: SplitOptions, num_images: int) -> dict[Split, Tensor]:
    """The splits that a source's options ask for; see `chosen_splits`."""
    files: dict[Split, Path | None] = {
        "train": options.train_ids,
        "val": options.val_ids,
        "test": options.test_ids,
    }
    return chosen_splits(files, num_images, options.split_seed)


def chosen_splits(
    files: Mapping[Split, Path | None], num_images: int, seed: int
) -> dict[Split, Tensor]:
    """The splits of these files of row numbers, or seeded ones if no file is given.

    Raises BenchError if only some files are given, a row number repeats within or across splits or
    points past the images.
    """
    given = {split: path for split, path in files.items() if path is not None}
    if not given:
        return seeded_splits(num_images, seed)
    if len(given) < len(SPLITS):
        missing = " and ".join(f"`{split}_ids`" for split in SPLITS if split not in given)
        raise BenchError(f"{missing} missing: give files of row numbers for all splits or for none")
    splits = {split: read_rows(given[split]) for split in SPLITS}
    owner: dict[int, Path] = {}
    for split, rows in splits.items():
        for row in rows.tolist():
            if not 0 <= row < num_images:
                raise BenchError(
                    f"{given[split]}: row {row} is not one of the {num_images} images; rows count "
                    "from 0"
                )
            if row in owner:
                raise BenchError(
                    f"{given[split]}: row {row} is already in {owner[row]}; each image belongs to "
                    "one split once"
                )
            owner[row] = given[split]
    return splits


def read_rows(path: Path) -> Tensor:
    """Sorted row numbers (n,) int64 of a `.txt` (one a line), `.npy` or `.pt` file.

    Raises MissingFileError or UnreadableFileError, also for a file without a single row.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; check the path")
    try:
        if path.suffix == ".npy":
            rows = np.load(path, allow_pickle=False)
        elif path.suffix in (".pt", ".pth"):
            rows = np.asarray(read_torch_file(path, FORMS))
        else:
            rows = np.array([int(line) for line in path.read_text().split()], dtype=np.int64)
    except (ValueError, OverflowError, OSError, EOFError, TypeError, RuntimeError) as error:
        raise _no_rows(path) from error
    if rows.ndim != 1 or len(rows) == 0 or not np.issubdtype(rows.dtype, np.integer):
        raise _no_rows(path)
    return torch.from_numpy(np.sort(rows.astype(np.int64)))


def _no_rows(path: Path) -> UnreadableFileError:
    return UnreadableFileError(f"{path}: this is no list of row numbers; {FORMS}")
