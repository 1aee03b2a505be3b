"""Figures that a paper gives for cells of an experiment: its [[published]] tables."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from le_bench.errors import unknown_name
from le_bench.planning.options import Faults

CELL_KEYS = ("model", "layer", "explainer", "simulator", "scorer")
FIGURES = ("value", "live_mean", "length", "dead")
ERRORS = {"se": "value", "live_se": "live_mean"}  # the standard error of which figure
Place = tuple[str, ...]


def read_published(
    listed: Any, known: Mapping[str, Sequence[str]], faults: Faults
) -> dict[Place, dict[str, float]]:
    """The figures of each cell, by its names in the order of CELL_KEYS.

    `value` is the mean score and `live_mean` that over live units, `se` and `live_se` are their
    standard errors, `length` is the mean number of terms and `dead` the share of dead units. A cell
    may have any of the four, in one table. `known` are the experiment's names by key of a cell.
    """
    published: dict[Place, dict[str, float]] = {}
    if not isinstance(listed, list):
        faults.add("published", f"must be [[published]] tables, not {listed!r}")
        return {}
    for number, table in enumerate(listed, start=1):
        where = f"published {number}"
        before = faults.num_mistakes
        for message in _faults_of(table, known):
            faults.add(where, message)
        if faults.num_mistakes > before:
            continue
        place = tuple(str(table[key]) for key in CELL_KEYS)
        if place in published:
            faults.add(where, "this cell has figures already; give them all in one table")
        published[place] = {key: float(table[key]) for key in (*FIGURES, *ERRORS) if key in table}
    return published


def _faults_of(table: Any, known: Mapping[str, Sequence[str]]) -> list[str]:
    """What is wrong with one table, in words."""
    every = (*CELL_KEYS, *FIGURES, *ERRORS)
    if (
        not isinstance(table, Mapping)
        or not set(CELL_KEYS) <= set(table)
        or not set(FIGURES) & set(table)
    ):
        return [f"needs the keys {', '.join(CELL_KEYS)} and one or more of {', '.join(FIGURES)}"]
    found = [unknown_name("key", key, every) for key in table if key not in every]
    found += [
        unknown_name(key, str(table[key]), known[key])
        for key in CELL_KEYS
        if table[key] not in known[key]
    ]
    for key in (key for key in (*FIGURES, *ERRORS) if key in table):
        given = table[key]
        if not _is_finite_number(given):
            found.append(f"{key} must be a finite number, not {reprlib.repr(given)}")
        elif given < 0 and key not in ERRORS.values():
            found.append(f"{key} must not be below 0, as {given} is")
        elif key == "dead" and given > 1:
            found.append(f"dead must be a share from 0 to 1, not {given}")
        elif ERRORS.get(key, key) not in table:
            found.append(f"{key} is the standard error of {ERRORS[key]}, which is not given")
    return found


def _is_finite_number(given: Any) -> bool:
    try:
        return (
            isinstance(given, int | float)
            and not isinstance(given, bool)
            and isfinite(float(given))
        )
    except OverflowError:  # a whole number of hundreds of digits
        return False
