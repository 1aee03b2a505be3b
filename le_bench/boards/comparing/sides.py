"""Results by side: the values of one axis, and what they are compared on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from le_bench.boards.comparing.choosing import AXES, Axis, Chosen
from le_bench.boards.comparing.comparison import Group
from le_bench.boards.comparing.contrasts import Contrast, Part
from le_bench.boards.files import ResultError
from le_bench.boards.grid import Column, Grid, make_grids, natural, unit_values
from le_bench.boards.records import Result

Row = Mapping[Column, Result]  # the layers of one explainer


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """Results by group and side, then by explainer and layer.

    `names` are the sides: explainers with the best first, others with most results first. Where
    explainers are the sides, each side has one row, of its own name. `explainers` has the best
    first. Reference rows are in `references`; all others are contenders.
    """

    by: Axis
    names: tuple[str, ...]
    explainers: tuple[str, ...]
    references: frozenset[str]
    places: Mapping[tuple[Group, str], Mapping[str, Row]]

    @property
    def groups(self) -> tuple[Group, ...]:
        """Every group once, in the order of the boards."""
        return tuple(dict.fromkeys(group for group, _ in self.places))


def make_sides(chosen: Chosen, by: Axis) -> Sides:
    """The sides of an axis. Raises ResultError, saying what else could be compared, if below two.

    Failed cells count only for the order of columns and rows, as on boards.
    """
    grids = make_grids(
        chosen.results, chosen.failures, [chosen.about] if chosen.about is not None else []
    )
    sizes = Counter(getattr(result.cell, by) for result in chosen.results)
    explainers = tuple(dict.fromkeys(row for grid in grids for row in grid.rows))
    names = sorted(sizes, key=lambda name: (-sizes[name], natural([name])))
    if by == "explainer":
        names = [name for name in explainers if name in sizes]
    if len(names) < 2:
        raise ResultError(_too_few(chosen, by, names))
    places: dict[tuple[Group, str], dict[str, dict[Column, Result]]] = {}
    for grid in grids:
        for name in grid.rows:
            for column in (at for at in grid.columns if (name, at) in grid.results):
                result = grid.results[name, column]
                rows = places.setdefault((group_of(grid, by), getattr(result.cell, by)), {})
                rows.setdefault(name, {})[column] = result
    references = frozenset(row for grid in grids for row in grid.reference_rows)
    return Sides(by, tuple(names), explainers, references, places)


def group_of(grid: Grid, by: Axis) -> Group:
    """What the cells of a grid have in common with those of other sides."""
    return Group(
        None if by == "scorer" else grid.scorer, None if by == "simulator" else grid.simulator
    )


def _too_few(chosen: Chosen, by: Axis, names: list[str]) -> str:
    counts = defaultdict(set)
    for result in chosen.results:
        for axis in AXES:
            counts[axis].add(getattr(result.cell, axis))
    others = [axis for axis in AXES if len(counts[axis]) > 1]
    found = f"only {by} '{names[0]}' has results" if names else "no cell chosen has a result"
    remedy = f"choose --by {' or '.join(others)}" if others else "run more of it, or choose fewer"
    return f"nothing to compare by {by} in experiment '{chosen.experiment}': {found}; {remedy}"


def higher_is_better(row: Row) -> bool:
    """Whether the scorer of a row ranks higher scores first."""
    return all(result.higher_is_better for result in row.values())


def contrast_of(row: Row) -> Contrast:
    """The mean over the layers of a row that have one; the sign makes higher better."""
    sign = 1.0 if higher_is_better(row) else -1.0
    scored = {at: each for at, each in row.items() if each.score.mean is not None}
    return tuple(
        Part(column, unit_values(result), sign / len(scored)) for column, result in scored.items()
    )
