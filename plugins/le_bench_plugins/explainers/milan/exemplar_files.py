"""Exemplars in the authors' folders: images.npy, masks.npy, activations.csv, ids.csv, units.npy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from le_bench.errors import MissingFileError, UnreadableFileError
from le_bench_plugins.explainers.milan.exemplars import Exemplars
from le_bench_plugins.explainers.milan.shown import Shown

DIMENSIONS = 5  # units, exemplars, channels, height, width
UNITS_AT_ONCE = 16  # bounds memory: 36 MiB of pictures at 224 x 224


@dataclass(frozen=True, slots=True, eq=False)
class StoredExemplars:
    """K exemplars of each of n units, read from their files when they are shown.

    `units` (n,) are the units' numbers in their layer; pictures are (S, S).
    """

    units: Tensor
    images: np.ndarray
    masks: np.ndarray

    @property
    def count(self) -> int:
        """K."""
        return int(self.images.shape[1])

    @classmethod
    def open(cls, folder: Path) -> StoredExemplars:
        """The exemplars of a layer's folder, as `save_exemplars` or the authors' code wrote it.

        images.npy is uint8 (n, K, 3, S, S), masks.npy uint8 or bool (n, K, 1, S, S) of 0 and 1,
        units.npy whole numbers (n,), 0 to n - 1 if it is not there; activations.csv and ids.csv,
        where they are, hold K numbers for each of n units. Raises MissingFileError or
        UnreadableFileError, which names the file, and the line of a CSV.
        """
        images, masks = (_array(folder / f"{name}.npy") for name in ("images", "masks"))
        _check(
            images.ndim == DIMENSIONS and images.shape[2] == 3 and images.dtype == np.uint8,
            folder / "images.npy",
            f"is {images.dtype} of shape {images.shape}, not uint8 (units, exemplars, 3, height, "
            "width)",
        )
        expected = (*images.shape[:2], 1, *images.shape[3:])
        _check(
            masks.shape == expected and masks.dtype in (np.dtype(np.uint8), np.dtype(np.bool_)),
            folder / "masks.npy",
            f"is {masks.dtype} of shape {masks.shape}, not uint8 {expected} like images.npy",
        )
        units = _units(folder / "units.npy", len(images))
        for name in ("activations", "ids"):
            _check_table(folder / f"{name}.csv", len(images), images.shape[1])
        return cls(units, images, masks)

    def show(self, places: Tensor) -> Iterator[Shown]:
        """The exemplars of the units at these places of `units`, some units at a time."""
        for some in torch.split(places, UNITS_AT_ONCE):
            at = some.numpy()
            masks = torch.from_numpy(np.array(self.masks[at])).flatten(0, 1)[:, 0]
            if masks.dtype == torch.uint8 and int(masks.max()) > 1:
                raise UnreadableFileError(
                    f"masks.npy: a mask holds {int(masks.max())}, but masks are 0 or 1; divide "
                    "those of another kind by their largest value"
                )
            count = len(masks)
            yield Shown(
                some.repeat_interleave(self.count),
                torch.arange(self.count).repeat(len(some)),
                torch.from_numpy(np.array(self.images[at])).flatten(0, 1),
                torch.arange(count),
                masks.bool(),
            )


def save_exemplars(
    folder: Path, exemplars: Exemplars, units: Tensor, shown: Iterable[Shown], size: int
) -> None:
    """Write the exemplars of some units of a layer as a folder in the authors' format.

    `shown` are those of `units`, pictures of `size` pixels square; each is written as it comes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shape = (len(units), exemplars.rows.shape[1])
    images = _new(folder / "images.npy", (*shape, 3, size, size))
    masks = _new(folder / "masks.npy", (*shape, 1, size, size))
    place_of = {unit: place for place, unit in enumerate(units.tolist())}
    for some in shown:
        at = ([place_of[unit] for unit in some.unit.tolist()], some.place.numpy())
        images[at] = some.pictures[some.picture_of].numpy()
        masks[at] = some.masks[:, None].to(torch.uint8).cpu().numpy()
    images.flush()
    masks.flush()
    tables = (("activations", exemplars.activations, "%.5e"), ("ids", exemplars.rows, "%i"))
    for name, values, form in tables:
        np.savetxt(folder / f"{name}.csv", values[units].numpy(), delimiter=",", fmt=form)
    np.save(folder / "units.npy", units.numpy())


def _new(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)


def _array(path: Path) -> np.ndarray:
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; exemplars need images.npy and masks.npy")
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UnreadableFileError(f"{path}: this is no array of numbers ({error})") from error
    return array


def _units(path: Path, count: int) -> Tensor:
    if not path.is_file():
        return torch.arange(count)
    units = _array(path)
    _check(
        units.shape == (count,) and np.issubdtype(units.dtype, np.integer),
        path,
        f"is {units.dtype} of shape {units.shape}, not a whole number for each of {count} units",
    )
    _check(len(set(units.tolist())) == count, path, "names a unit twice")
    _check(count == 0 or int(units.min()) >= 0, path, "has a negative unit")
    return torch.from_numpy(np.array(units)).long()


def _check_table(path: Path, num_rows: int, num_columns: int) -> None:
    """Refuse a CSV that has not `num_columns` numbers on each of `num_rows` lines."""
    if not path.is_file():
        return
    lines = path.read_text().split()
    _check(len(lines) == num_rows, path, f"has {len(lines)} lines for {num_rows} units")
    for number, line in enumerate(lines, start=1):
        cells = line.split(",")
        try:
            numbers = [float(cell) for cell in cells]
        except ValueError:
            numbers = []
        _check(
            len(numbers) == num_columns, path, f"line {number} is not {num_columns} numbers: {line}"
        )


def _check(holds: bool, path: Path, fault: str) -> None:
    if not holds:
        raise UnreadableFileError(f"{path} {fault}; compute the exemplars again")
