"""The units on which two sides disagree most."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from le_bench.boards.comparing.agreement import average_ranks
from le_bench.boards.comparing.comparison import Disagreement, Group
from le_bench.boards.comparing.sides import Row, Sides, higher_is_better
from le_bench.boards.grid import Column, unit_values
from le_bench.boards.statistics import Floats


def largest_disagreements(
    sides: Sides, pair: tuple[Group, str, str], count: int
) -> tuple[Disagreement, ...]:
    """The `count` units of all layers with the largest differences, in order.

    A unit is there once, by the explainer on which the sides disagree most. Only units that both
    sides score, and no reference rows unless they are a side themselves: a random explanation
    disagrees with anything. Equal differences (to six decimals) are in the order of the boards.
    """
    group, first, second = pair
    one, other = sides.places[group, first], sides.places[group, second]
    if sides.by == "explainer":
        rows = [((first, second), one[first], other[second])]
    else:
        rows = [
            ((name, name), one[name], other[name])
            for name in sides.explainers
            if name in one and name in other and name not in sides.references
        ]
    found = [
        Disagreement(*pair, column, unit, names, scores, size)
        for names, first_row, second_row in rows
        for column, unit, scores, size in _largest(
            first_row, second_row, count, by_rank=sides.by == "scorer"
        )
    ]
    found.sort(key=lambda each: -round(abs(each.size), 6))
    units: dict[tuple[Column, int], Disagreement] = {}
    for each in found:
        units.setdefault((each.column, each.unit), each)
    return tuple(units.values())[:count]


def _largest(
    one: Row, other: Row, count: int, *, by_rank: bool
) -> Iterator[tuple[Column, int, tuple[float, float], float]]:
    """Layer, unit, both scores and the difference, of the `count` largest of each layer."""
    for column in (at for at in one if at in other):
        first, second = unit_values(one[column]), unit_values(other[column])
        units = np.flatnonzero(~(np.isnan(first) | np.isnan(second)))
        if by_rank:
            sizes = _ranked(first[units], higher_is_better(one))
            sizes = sizes - _ranked(second[units], higher_is_better(other))
        else:
            sizes = first[units] - second[units]
        largest = np.argsort(-np.abs(sizes).round(6), kind="stable")[:count]
        for place in largest.tolist():
            unit = int(units[place])
            yield column, unit, (float(first[unit]), float(second[unit])), float(sizes[place])


def _ranked(scores: Floats, higher: bool) -> Floats:
    """Ranks among U units as a share of them, in (0, 1]; the best has 1."""
    return average_ranks(scores if higher else -scores) / max(1, len(scores))
