"""Images in parquet files, decoded when needed."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from le_bench.probing.images import REPLACE_OR_SKIP, decode_image, read_each
from le_bench_plugins.datasets.parquet.tables import Part

if TYPE_CHECKING:
    import pyarrow as pa

KEPT_BYTES = 2**28  # of row groups, beside the latest


@dataclass(eq=False)
class RowGroups:
    """A column of images, read by row groups, the smallest piece of a parquet file.

    Threads read one group at a time. Memory holds the latest group, however large it is (Hugging
    Face writes 100 images a group), and others up to KEPT_BYTES.
    """

    parts: tuple[Part, ...]
    column: str
    _starts: np.ndarray = field(init=False)  # first row of each group, and the number of rows
    _places: list[tuple[int, int]] = field(init=False)
    _kept: OrderedDict[int, pa.ChunkedArray] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._places = [
            (number, group)
            for number, part in enumerate(self.parts)
            for group in range(part.footer.num_row_groups)
        ]
        sizes = [self.parts[n].footer.row_group(group).num_rows for n, group in self._places]
        self._starts = np.cumsum([0, *sizes])

    def __len__(self) -> int:
        """Number of images."""
        return int(self._starts[-1])

    def title(self, row: int) -> str:
        """The file and the row in it, counted from 0."""
        number, _ = self._places[self._group(row)]
        before = sum(part.footer.num_rows for part in self.parts[:number])
        return f"{self.parts[number].path}, row {row - before}"

    def file(self, row: int) -> bytes:
        """The bytes of an image file. Raises OSError or ValueError if there are none."""
        group = self._group(row)
        with self._lock:
            cells = self._read(group)
        cell = cells[row - int(self._starts[group])].as_py()
        content, name = cell, None
        if isinstance(cell, dict):
            content, name = cell["bytes"], cell.get("path")
        if not content:
            there = f"only the path '{name}'" if name else "none"
            raise ValueError(f"no bytes of an image, {there}")
        return bytes(content)

    def _group(self, row: int) -> int:
        return int(np.searchsorted(self._starts, row, side="right")) - 1

    def _read(self, group: int) -> pa.ChunkedArray:
        import pyarrow as pa  # noqa: PLC0415  # an extra
        from pyarrow import parquet  # noqa: PLC0415  # an extra

        if group in self._kept:
            self._kept.move_to_end(group)
            return self._kept[group]
        number, own = self._places[group]
        part = self.parts[number]
        try:
            with parquet.ParquetFile(part.path, metadata=part.footer) as file:
                cells = file.read_row_group(own, columns=[self.column]).column(0)
        except (pa.ArrowException, OSError) as error:
            raise OSError(f"row group {own} is damaged: {error}") from error
        while self._kept and sum(map(_num_bytes, self._kept.values())) > KEPT_BYTES:
            self._kept.popitem(last=False)
        self._kept[group] = cells
        return cells


@dataclass(frozen=True, eq=False)
class ParquetImages:
    """Some rows (N,) of a column of image files, whatever their mode, as RGB."""

    groups: RowGroups
    rows: np.ndarray

    def __len__(self) -> int:
        """Number of images."""
        return len(self.rows)

    def read(self, rows: Sequence[int]) -> list[np.ndarray]:
        """These rows, decoded. Raises UnreadableFileError that names the damaged ones."""
        return read_each(rows, self._decode, self.title, REPLACE_OR_SKIP)

    def title(self, row: int) -> str:
        """The file of an image and its row there."""
        return self.groups.title(int(self.rows[row]))

    def take(self, rows: Sequence[int]) -> ParquetImages:
        """Some of the images, numbered anew."""
        return ParquetImages(self.groups, self.rows[list(rows)])

    def _decode(self, row: int) -> np.ndarray:
        return decode_image(io.BytesIO(self.groups.file(int(self.rows[row]))))


def _num_bytes(cells: pa.ChunkedArray) -> int:
    return int(cells.nbytes)
