"""Concept texts from files: plain lists and the labels of Broden."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from le_bench.errors import BenchError, MissingFileError, UnreadableFileError

LINE_END = re.compile(r"\r\n|\r|\n")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufffe]")
LABELS = "label.csv"


def once_each(texts: Iterable[str]) -> tuple[str, ...]:
    """Texts without the space around them, empty ones left out, each at its first place.

    Nothing else is done to them: "null", "nan" and "0" are words.

    >>> once_each([" dog", "", "null", "dog"])
    ('dog', 'null')
    """
    return tuple(dict.fromkeys(text for text in map(str.strip, texts) if text))


def read_concepts(path: Path) -> tuple[str, ...]:
    """The concepts of a UTF-8 text file, one a line; lines may end in LF, CR LF or CR.

    Raises MissingFileError, or UnreadableFileError that names the first line which is no text.
    """
    lines = LINE_END.split(_read(path))
    for number, line in enumerate(lines, start=1):
        if CONTROL.search(line):
            raise UnreadableFileError(
                f"{path}, line {number}: holds characters that are no text; give a file of UTF-8 "
                "text with one concept a line"
            )
    concepts = once_each(lines)
    if not concepts:
        raise UnreadableFileError(f"{path}: holds no concept; write one a line")
    return concepts


def broden_concepts(path: Path) -> tuple[str, ...]:
    """The labels of a Broden folder, or of its `label.csv`, by clean names, each once.

    Colours and scenes lose their endings: "blue-c" is "blue color", "x_ray-indoor-s" is
    "x ray, indoor", as the authors of Linear Explanations write them. Label 0 stands for nothing.
    Raises MissingFileError, or UnreadableFileError with the faulty lines.
    """
    file = path / LABELS if path.is_dir() else path
    reader = csv.DictReader(LINE_END.split(_read(file)), strict=True)
    try:
        columns = reader.fieldnames or ()
        missing = [name for name in ("number", "name", "category") if name not in columns]
        if missing:
            raise UnreadableFileError(
                f"{file}: column {' and '.join(map(repr, missing))} missing; this is not Broden's "
                f"{LABELS}"
            )
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise UnreadableFileError(f"{file}, line {reader.line_num}: {error}") from error
    faulty = [line for line, row in rows if None in row.values() or not row["name"].strip()]
    if faulty or not rows:
        where = ", ".join(map(str, faulty[:5])) or "1"
        raise UnreadableFileError(
            f"{file}: no label can be read from line {where}; fetch the file again"
        )
    return once_each(clean_label(row["name"], row["category"]) for _, row in rows if _label(row))


def clean_label(name: str, category: str) -> str:
    """A label of Broden in plain words; `category` is such as "scene(12)" or "object;part".

    >>> clean_label("blue-c", "color(4)"), clean_label("art_gallery-outdoor-s", "scene")
    ('blue color', 'art gallery, outdoor')
    """
    name = name.strip()
    if "color" in category and name.endswith("-c"):
        name = name.removesuffix("-c") + " color"
    if "scene" in category:
        name = name.removesuffix("-s")
    return name.replace("_", " ").replace("-", ", ")


def unite(parts: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The texts of all parts in order, each once."""
    return once_each(text for part in parts for text in part)


def _label(row: dict[str, str]) -> bool:
    return row["number"].strip() != "0"


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file") from None
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise BenchError(
            f"{path}, line {line}: is not UTF-8 text; save the file in that encoding"
        ) from error
