"""The versions in which CIFAR is distributed, and how their files are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from le_bench.errors import MissingFileError, UnreadableFileError
from le_bench_plugins.datasets.cifar.pickles import read_pickle

SIDE = 32
PIXELS = 3 * SIDE * SIDE
BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
Titles = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Pixels (n, 3072) uint8 by channel and row, labels (n,), coarse labels (n,) if there are."""

    pixels: np.ndarray
    fine: np.ndarray
    coarse: np.ndarray | None


@dataclass(frozen=True, slots=True)
class Version:
    """A distribution: its files by part, known by the file `mark`, and how they are read.

    `titles` gives the names of fine and coarse labels from the folder.
    """

    title: str
    mark: str
    test: tuple[str, ...]
    train: tuple[str, ...]
    read: Callable[[Path], Batch]
    titles: Callable[[Path], tuple[Titles, Titles]]


def _read_python(path: Path, with_coarse: bool) -> Batch:
    """A pickle."""
    content = read_pickle(path)
    pixels = content.get("data")
    labels = content.get("fine_labels" if with_coarse else "labels")
    coarse = content.get("coarse_labels") if with_coarse else None
    if not (
        isinstance(pixels, np.ndarray)
        and pixels.ndim == 2
        and pixels.shape[1] == PIXELS
        and all(_are_labels(own, len(pixels)) for own in (labels, *([coarse] * with_coarse)))
    ):
        raise UnreadableFileError(
            f"{path}: does not have {PIXELS} bytes and a label for each image; unpack the archive "
            "again"
        )
    return Batch(pixels, np.array(labels), None if coarse is None else np.array(coarse))


def _are_labels(labels: Any, count: int) -> bool:
    return (
        isinstance(labels, list)
        and len(labels) == count > 0
        and all(type(label) is int and 0 <= label < 100 for label in labels)
    )


def _read_binary(path: Path, with_coarse: bool) -> Batch:
    """A binary file: for each image its label (after the coarse one, if there is), its pixels."""
    content = np.frombuffer(_read(path), np.uint8)
    width = PIXELS + (2 if with_coarse else 1)
    if len(content) == 0 or len(content) % width:
        raise UnreadableFileError(
            f"{path}: {len(content):,} bytes are not a whole number of images of {width:,}; unpack "
            "the archive again"
        )
    rows = content.reshape(-1, width)
    if with_coarse:
        return Batch(rows[:, 2:], rows[:, 1], rows[:, 0])
    return Batch(rows[:, 1:], rows[:, 0], None)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file; unpack the archive again") from None
    except OSError as error:
        raise UnreadableFileError(
            f"{path}: cannot be read ({error.strerror}); unpack the archive again"
        ) from error


def _python_titles(folder: Path, meta: str, fine: str, coarse: str) -> tuple[Titles, Titles]:
    content = read_pickle(folder / meta)
    return _titles(folder, content.get(fine)), _titles(folder, content.get(coarse, []))


def _binary_titles(folder: Path, fine: str, coarse: str) -> tuple[Titles, Titles]:
    return _listed(folder / fine), _listed(folder / coarse) if coarse else ()


def _listed(path: Path) -> Titles:
    """The names of a text file, one a line."""
    try:
        names = _read(path).decode("utf-8").split()
    except UnicodeDecodeError as error:
        raise UnreadableFileError(
            f"{path}: is no UTF-8 text ({error.reason}); unpack the archive again"
        ) from error
    return _titles(path.parent, names)


def _titles(folder: Path, names: Any) -> Titles:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UnreadableFileError(
            f"{folder}: the names of the classes are no list; unpack the archive again"
        )
    return tuple(name.replace("_", " ") for name in names)


VERSIONS = (
    Version(
        "CIFAR-10",
        "batches.meta",
        ("test_batch",),
        BATCHES,
        partial(_read_python, with_coarse=False),
        partial(_python_titles, meta="batches.meta", fine="label_names", coarse=""),
    ),
    Version(
        "CIFAR-100",
        "meta",
        ("test",),
        ("train",),
        partial(_read_python, with_coarse=True),
        partial(_python_titles, meta="meta", fine="fine_label_names", coarse="coarse_label_names"),
    ),
    Version(
        "CIFAR-10",
        "batches.meta.txt",
        ("test_batch.bin",),
        tuple(f"{name}.bin" for name in BATCHES),
        partial(_read_binary, with_coarse=False),
        partial(_binary_titles, fine="batches.meta.txt", coarse=""),
    ),
    Version(
        "CIFAR-100",
        "fine_label_names.txt",
        ("test.bin",),
        ("train.bin",),
        partial(_read_binary, with_coarse=True),
        partial(_binary_titles, fine="fine_label_names.txt", coarse="coarse_label_names.txt"),
    ),
)
