"""The formats in which descriptions were published, and what a row of each says of its unit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite

from le_bench.types import Term
from le_bench_plugins.explainers.published.tables import Line, Table, require_columns

NOTHING = "the published file leaves the unit's description empty"
NO_CONCEPT = "the published file names no concept for the unit"
UNUSED = ("0", "0.0", "")  # what stands in both columns of a concept that is not there
FIGURES = ("val correlation", "similarity", "score")  # columns that become figures
_NUMBERED = re.compile(r"(weight|concept)(0|[1-9][0-9]*)")


@dataclass(frozen=True, slots=True)
class Saying:
    """What a file says of a unit: terms and bias, or why there are none, and figures."""

    terms: tuple[Term, ...]
    bias: float = 0.0
    reason: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Format:
    """How to read a row, and the number of the first unit if the format fixes it."""

    read: Callable[[Table, Line], Saying]
    first_unit: int | None = None


def recognise(table: Table) -> Format:
    """The format of a table by its columns. Raises UnreadableFileError for one that is none.

    `description`: a text a unit (MILAN, CLIP-Dissect). `weight0, concept0, ..., bias`: a linear
    explanation. `category, label, score`: Network Dissection, whose units begin with 1.
    """
    require_columns(table, ["unit"])
    numbered = [name for name in table.columns if _NUMBERED.fullmatch(name)]
    found = {
        "description": "description" in table.columns,
        "weight0 and concept0": bool(numbered),
        "label": {"label", "category"} <= set(table.columns),
    }
    kinds = [kind for kind, there in found.items() if there]
    if len(kinds) > 1:
        raise table.refuse(f"it has columns {' and '.join(kinds)}; a file holds one kind")
    if not kinds:
        raise table.refuse(
            "nothing says what a unit responds to; give a column 'description', or columns "
            "'weight0', 'concept0', ... and 'bias'"
        )
    if found["label"]:
        return Format(_read_label, first_unit=1)
    if found["description"]:
        return Format(_read_description)
    _check_numbering(table, numbered)
    return Format(_read_linear)


def unit_number(table: Table, line: Line) -> int:
    """The unit of a row as it is written. Raises UnreadableFileError unless it is whole."""
    cell = line.cells["unit"].strip()
    if not re.fullmatch(r"[0-9]{1,9}", cell):
        raise table.refuse(f"unit '{cell}' is no whole number from 0", line)
    return int(cell)


def clean_label(label: str) -> str:
    """A label of Broden in plain words.

    Deviation: the authors of linear explanations replace "-s" and "-c" anywhere in a name; here
    they are endings.

    >>> clean_label("red-c"), clean_label("street-s"), clean_label("playground-outdoor-s")
    ('red color', 'street', 'playground, outdoor')
    """
    name = re.sub(r"-s$", "", re.sub(r"-c$", " color", label.strip()))
    return name.replace("_", " ").replace("-", ", ")


def _read_description(_table: Table, line: Line) -> Saying:
    text = " ".join(line.cells["description"].split())
    return Saying((Term(text),)) if text else Saying((), reason=NOTHING)


def _read_label(_table: Table, line: Line) -> Saying:
    text = clean_label(line.cells["label"])
    return Saying((Term(text),)) if text else Saying((), reason=NOTHING)


def _read_linear(table: Table, line: Line) -> Saying:
    cells = line.cells
    terms = []
    for number in range(sum(name.startswith("concept") for name in cells)):
        concept, weight = cells[f"concept{number}"].strip(), cells[f"weight{number}"].strip()
        if concept in UNUSED and weight in UNUSED:
            continue
        if not concept:
            raise table.refuse(f"weight{number} is {weight} but concept{number} is empty", line)
        terms.append(Term(concept, _number(table, line, f"weight{number}")))
    bias = _number(table, line, "bias")
    return Saying(tuple(terms), bias) if terms else Saying((), reason=NO_CONCEPT)


def _number(table: Table, line: Line, column: str) -> float:
    cell = line.cells[column].strip()
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise table.refuse(f"{column} is '{cell}', which is no finite number", line)
    return value


def _figures(line: Line) -> dict[str, float]:
    """What the authors found of their own explanation, where it is a finite number."""
    found: dict[str, float] = {}
    for column in FIGURES:
        try:
            value = float(line.cells.get(column, ""))
        except ValueError:
            continue
        if isfinite(value):
            found[column] = value
    return found


def _check_numbering(table: Table, numbered: list[str]) -> None:
    """Refuse linear explanations whose columns have a hole or lack a partner or the bias."""
    count = max(sum(name.startswith(kind) for name in numbered) for kind in ("weight", "concept"))
    needed = [f"{kind}{number}" for number in range(count) for kind in ("weight", "concept")]
    require_columns(table, [*needed, "bias"])
    extra = sorted(set(numbered) - set(needed))
    if extra:
        raise table.refuse(f"column '{extra[0]}' comes without those before it")


def sayings(table: Table, lines: list[Line], first_unit: int, form: Format) -> Mapping[int, Saying]:
    """What each of these rows says, by unit from 0. Refuses a unit that has two rows."""
    found: dict[int, tuple[Line, Saying]] = {}
    for line in lines:
        written = unit_number(table, line)
        unit = written - first_unit
        if unit < 0:
            raise table.refuse("unit 0, but units begin with 1; is `first_unit` 0?", line)
        if unit in found:
            raise table.refuse(
                f"unit {written} has been described on line {found[unit][0].number} already", line
            )
        figures = _figures(line)
        found[unit] = (line, replace(form.read(table, line), figures=figures))
    return {unit: saying for unit, (_, saying) in found.items()}
