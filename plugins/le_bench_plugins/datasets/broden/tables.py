"""The tables of a Broden folder: categories, labels, and what belongs to each image."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from le_bench.errors import BenchError, MissingFileError, UnreadableFileError, unknown_name

MOST = 2**16 - 1  # a pixel holds two bytes
LISTED = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """An image: its file, and the label maps and whole-image labels of the categories read.

    Files are relative to `images/`; `size` is height and width of its label maps; `line` is where
    the index tells of it.
    """

    line: int
    file: str
    size: tuple[int, int]
    maps: tuple[str, ...]
    whole: tuple[int, ...]


@dataclass(slots=True)
class Table:
    """A CSV file, read whole, and the faults found in it."""

    path: Path
    rows: list[tuple[int, dict[str, str]]]
    faults: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path, columns: Sequence[str]) -> Table:
        """The rows with their line numbers. Raises if a column is missing or it is no CSV file."""
        if not path.is_file():
            raise MissingFileError(
                f"{path}: no such file; a Broden folder has index.csv, label.csv, category.csv and "
                "a c_*.csv for each category"
            )
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.DictReader(file, strict=True)
                missing = [column for column in columns if column not in (reader.fieldnames or ())]
                if missing:
                    raise BenchError(
                        f"{path}: column {' and '.join(map(repr, missing))} missing; the first "
                        "line must name the columns"
                    )
                table = cls(path, [])
                for row in reader:
                    table._add(reader.line_num, row)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise UnreadableFileError(
                f"{path}: cannot be read ({error}); write it as a UTF-8 CSV file"
            ) from error
        return table

    def _add(self, line: int, row: dict[str, str]) -> None:
        if None in row or None in row.values():
            self.fault(line, "the number of cells is not that of the first line")
        else:
            self.rows.append((line, row))

    def fault(self, line: int, what: str) -> None:
        """Note a fault."""
        self.faults.append(f"line {line}: {what}")

    def number(self, line: int, row: Mapping[str, str], column: str, most: int = 2**31) -> int:
        """A whole number of a cell, 0 with a fault if it holds none."""
        text = row[column].strip()
        if text.isascii() and text.isdigit() and int(text) <= most:
            return int(text)
        self.fault(line, f"{column} is '{row[column]}', not a whole number up to {most}")
        return 0

    def amount(self, line: int, row: Mapping[str, str], column: str) -> float:
        """A number of a cell, 0 with a fault if it holds none."""
        try:
            value = float(row[column])
        except ValueError:
            value = float("nan")
        if isfinite(value) and value >= 0:
            return value
        self.fault(line, f"{column} is '{row[column]}', not a number from 0")
        return 0.0

    def finish(self) -> None:
        """Raise all faults in one message, if there are any."""
        if self.faults:
            more = len(self.faults) - LISTED
            rest = f"; and {more} more" if more > 0 else ""
            raise UnreadableFileError(f"{self.path}: {'; '.join(self.faults[:LISTED])}{rest}")


def read_categories(folder: Path, wanted: Sequence[str]) -> tuple[str, ...]:
    """The categories of a folder, in its order, or those of them that are wanted."""
    table = Table.read(folder / "category.csv", ["name"])
    names = [row["name"] for _, row in table.rows]
    for line, row in table.rows:
        if not row["name"] or names.count(row["name"]) > 1:
            table.fault(line, f"category '{row['name']}' has no name or comes twice")
    table.finish()
    for name in wanted:
        if name not in names:
            raise BenchError(
                f"{table.path}: `categories` has an {unknown_name('category', name, names)}"
            )
    return tuple(name for name in names if not wanted or name in wanted)


def read_labels(
    folder: Path, categories: Sequence[str]
) -> tuple[dict[str, dict[int, str]], frozenset[int]]:
    """For each category the labels that belong to it, by number; and all numbers there are.

    A label that several categories know belongs to the one in which it covers most; of equal
    coverages the later category counts, as in the authors' code. Number 0 stands for nothing.
    Labels that no category in `categories` knows belong to none. Names are clean.
    """
    table = Table.read(folder / "label.csv", ["number", "name"])
    names: dict[int, str] = {}
    for line, row in table.rows:
        number = table.number(line, row, "number", MOST)
        if number in names:
            table.fault(line, f"label {number} comes twice")
        if not row["name"].strip() and number:
            table.fault(line, f"label {number} has no name")
        names[number] = row["name"].strip()
    table.finish()
    best: dict[int, tuple[float, int]] = {}
    for place, category in enumerate(categories):
        for number, coverage in _coverages(folder, category, names).items():
            best[number] = max(best.get(number, (0.0, -1)), (coverage, place))
    labels = {
        category: {
            number: clean_name(names[number], category)
            for number in sorted(best)
            if number and best[number][1] == place
        }
        for place, category in enumerate(categories)
    }
    return labels, frozenset(names)


def _coverages(folder: Path, category: str, names: Mapping[int, str]) -> dict[int, float]:
    table = Table.read(folder / f"c_{category}.csv", ["number", "coverage"])
    coverages: dict[int, float] = {}
    for line, row in table.rows:
        number = table.number(line, row, "number", MOST)
        if number and number not in names:
            table.fault(line, f"label.csv has no label {number}")
        coverages[number] = table.amount(line, row, "coverage")
    table.finish()
    return coverages


def clean_name(name: str, category: str) -> str:
    """A label's name as the authors of Linear Explanations write it.

    "blue-c" is "blue color", "x_ray-indoor-s" is "x ray, indoor". Only whole endings of colours
    and scenes go, while the authors' text replacement would make a "tile-shaped" a "tilehaped".

    >>> clean_name("blue-c", "color"), clean_name("art_gallery-outdoor-s", "scene")
    ('blue color', 'art gallery, outdoor')
    """
    if category == "color" and name.endswith("-c"):
        name = name.removesuffix("-c") + " color"
    if category == "scene":
        name = name.removesuffix("-s")
    return name.replace("_", " ").replace("-", ", ")


def read_index(
    folder: Path, categories: Sequence[str], numbers: frozenset[int], files: frozenset[str]
) -> tuple[Entry, ...]:
    """The images, in order. `numbers` are the known labels, `files` what lies in `images/`.

    A cell of a category holds nothing or items with `;` between: digits are a label of the whole
    image, all else the file of a label map. The number 0, which 1,987 rows of Broden give as
    their scene, is no label; the authors' code counts it as one without a name.
    """
    table = Table.read(folder / "index.csv", ["image", "sh", "sw", *categories])
    entries: list[Entry] = []
    before: dict[str, int] = {}
    for line, row in table.rows:
        items = [item.strip() for name in categories for item in row[name].split(";")]
        digits = [item for item in items if item.isascii() and item.isdigit()]
        maps = tuple(item for item in items if item and item not in digits)
        whole = tuple(int(item) for item in digits if int(item))
        size = table.number(line, row, "sh"), table.number(line, row, "sw")
        entry = Entry(line, row["image"], size, maps, whole)
        if before.setdefault(entry.file, line) != line:
            table.fault(line, f"'{entry.file}' is listed before, in line {before[entry.file]}")
        for file in (entry.file, *maps):
            if file not in files:
                table.fault(line, f"there is no file 'images/{file}'")
        for number in whole:
            if number not in numbers:
                table.fault(line, f"label.csv has no label {number}")
        if not all(size) or (entries and size != entries[0].size):
            table.fault(line, f"label maps of {size[0]} x {size[1]}: all must be of one size")
        entries.append(entry)
    if not table.rows and not table.faults:
        table.faults.append("no image is listed")
    table.finish()
    _require_listed(table, entries, files)
    return tuple(entries)


def _require_listed(table: Table, entries: Sequence[Entry], files: frozenset[str]) -> None:
    """Refuse an index that was cut off: images that are there, but in no row."""
    named = {
        item.strip() for _, row in table.rows for cell in row.values() for item in cell.split(";")
    }
    suffixes = {Path(entry.file).suffix for entry in entries}
    left = sorted(file for file in files - named if Path(file).suffix in suffixes)
    if left:
        raise BenchError(
            f"{table.path}: lists {len(entries)} images, and {len(left)} files that are there are "
            f"in no line, the first: 'images/{left[0]}'; complete the index or move them away"
        )
