"""CSV files as their authors wrote them: every cell a text, every line with its number."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from le_bench.errors import MissingFileError, UnreadableFileError, near_misses


@dataclass(frozen=True, slots=True)
class Line:
    """One row: the number of its line in the file, and its cells by column."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A file with its columns in order and its rows, of which there is at least one."""

    path: Path
    columns: tuple[str, ...]
    lines: Sequence[Line]

    def refuse(self, fault: str, line: Line | None = None) -> UnreadableFileError:
        """The error for a fault of the file or of one line."""
        where = f", line {line.number}" if line else ""
        return UnreadableFileError(f"{self.path}{where}: {fault}")


def read_table(path: Path) -> Table:
    """The cells of a comma-separated file with a header.

    Nothing is guessed: "null", "nan", "inf", "true" and numbers stay the texts they are. A byte
    order mark and any kind of line end are understood; a blank line is skipped. Raises
    MissingFileError, or UnreadableFileError with the line: for another encoding than UTF-8, a row
    of more or fewer cells than the header, unbalanced quotes, a column that occurs twice.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; check the path")
    rows = _rows(path, _text(path))
    if not rows:
        raise UnreadableFileError(f"{path}: the file is empty; it needs a header and a row a unit")
    columns = tuple(cell.strip() for cell in rows[0][1])
    table = Table(path, columns, [])
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise table.refuse(f"column '{twice[0]}' occurs twice in the header")
    if len(columns) == 1 and ";" in columns[0]:
        raise table.refuse("its cells are separated by semicolons; write it with commas")
    lines = []
    for number, cells in rows[1:]:
        line = Line(number, dict(zip(columns, cells, strict=False)))
        if len(cells) != len(columns):
            raise table.refuse(
                f"{len(cells)} cells for {len(columns)} columns; quote a cell that holds a comma",
                line,
            )
        lines.append(line)
    if not lines:
        raise table.refuse("it has a header but no row")
    return Table(path, columns, lines)


def require_columns(table: Table, needed: Sequence[str]) -> None:
    """Refuse a table without one of these columns, with the names that are nearest."""
    for column in needed:
        if column not in table.columns:
            close = near_misses(column, table.columns)
            hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(table.columns)}"
            raise table.refuse(f"there is no column '{column}'; {hint}")


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableFileError(
            f"{path}, line {line}: this is not UTF-8 text; save the file in that encoding"
        ) from error
    if "\0" in text:
        raise UnreadableFileError(f"{path}: it holds NUL characters; save it as UTF-8 text")
    return text


def _rows(path: Path, text: str) -> list[tuple[int, list[str]]]:
    """Cells with the number of the line they begin on."""
    reader = csv.reader(StringIO(text, newline=None), strict=True)
    rows, first = [], 1
    try:
        for cells in reader:
            if cells:
                rows.append((first, cells))
            first = reader.line_num + 1
    except csv.Error as error:
        raise UnreadableFileError(f"{path}, line {first}: {error}; check its quotes") from error
    return rows
