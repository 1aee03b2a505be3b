"""One scorer under one simulator as a grid: explainers best first, layers of models as columns."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan, sqrt

import numpy as np

from le_bench.boards.records import About, Cell, Failure, Result
from le_bench.boards.statistics import (
    Difference,
    Floats,
    Mean,
    best_and_ties,
    draw_resamples,
    paired_differences,
)

Column = tuple[str, str]  # model, layer
Place = tuple[str, Column]  # explainer, column

_PAIRED_SEED = 0  # one for all boards: a difference must not depend on which other rows there are


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """All cells of one experiment, simulator and scorer.

    `rows` are explainers, best mean over columns on top. One that lacks a column stands above those
    that it beats on the columns both have, but never first. `best` and `tied` are per column among
    contenders (reference rows are left out). `means` has only complete rows, those with a mean in
    every column that has any.
    """

    experiment: str
    simulator: str
    scorer: str
    higher_is_better: bool
    columns: tuple[Column, ...]
    rows: tuple[str, ...]
    reference_rows: frozenset[str]
    results: Mapping[Place, Result]
    failures: Mapping[Place, Failure]
    best: Mapping[Column, str]
    tied: frozenset[Place]
    means: Mapping[str, Mean]

    @property
    def submitted_rows(self) -> frozenset[str]:
        """The explainers of which a result was submitted and not reproduced."""
        return frozenset(row for (row, _), each in self.results.items() if each.origin is not None)

    @property
    def decimals(self) -> int:
        """Three, or four if no mean reaches 0.1, as ablation scores often do not."""
        means = [
            abs(each.score.mean) for each in self.results.values() if each.score.mean is not None
        ]
        return 4 if means and max(means) < 0.1 else 3

    @property
    def winner(self) -> str | None:
        """The best contender by mean over columns; None if no contender is complete."""
        return next(
            (row for row in self.rows if row in self.means and row not in self.reference_rows), None
        )


def make_grids(
    results: Sequence[Result], failures: Sequence[Failure], about: Sequence[About] = ()
) -> tuple[Grid, ...]:
    """The grids of all experiments, by name; simulators with most cells come first.

    Scorers and columns come in the order that `about` gives; scorers that it does not list by their
    number of cells, columns by name. All simulators of a scorer have the same columns, so that a
    gap is seen as one. Where a cell has both a result and a failure, the result counts.
    """
    scored: dict[tuple[str, str, str], dict[Place, Result]] = defaultdict(dict)
    failed: dict[tuple[str, str, str], dict[Place, Failure]] = defaultdict(dict)
    columns: dict[tuple[str, str], set[Column]] = defaultdict(set)
    for result in results:
        scored[_table(result.cell)][_place(result.cell)] = result
    for failure in failures:
        if _place(failure.cell) not in scored[_table(failure.cell)]:
            failed[_table(failure.cell)][_place(failure.cell)] = failure
    for (experiment, scorer, simulator), places in scored.items():
        missing = failed[experiment, scorer, simulator]
        columns[experiment, scorer] |= {column for _, column in [*places, *missing]}
    scorers = {a.experiment: {s: n for n, s in enumerate(a.scorers)} for a in about}
    cells = [*(result.cell for result in results), *(failure.cell for failure in failures)]
    sizes = Counter((cell.experiment, cell.scorer) for cell in cells)
    order = sorted(
        scored,
        key=lambda key: (
            key[0],
            scorers.get(key[0], {}).get(key[1], len(scored)),
            -sizes[key[:2]],
            key[1],
            -len(scored[key]),
            key[2],
        ),
    )
    in_order = {
        key: sorted(found, key=layer_order(about, key[0])) for key, found in columns.items()
    }
    return tuple(_make_grid(key, in_order[key[:2]], scored[key], failed[key]) for key in order)


def layer_order(
    about: Sequence[About], experiment: str
) -> Callable[[Column], tuple[int, tuple[tuple[tuple[int, int, str], ...], ...]]]:
    """A sorting key for the layers of an experiment: its own order, then by name."""
    listed = [at for each in about if each.experiment == experiment for at in each.layers]
    return lambda at: (listed.index(at) if at in listed else len(listed), natural(at))


def _table(cell: Cell) -> tuple[str, str, str]:
    return cell.experiment, cell.scorer, cell.simulator


def _place(cell: Cell) -> Place:
    return cell.explainer, (cell.model, cell.layer)


def natural(names: Iterable[str]) -> tuple[tuple[tuple[int, int, str], ...], ...]:
    """A sorting key by which `layer10` comes after `layer9`."""
    return tuple(
        tuple(
            (0, int(part), part) if part.isdecimal() else (1, 0, part)
            for part in re.split(r"(\d+)", name)
        )
        for name in names
    )


def _make_grid(
    key: tuple[str, str, str],
    columns: Sequence[Column],
    results: Mapping[Place, Result],
    failures: Mapping[Place, Failure],
) -> Grid:
    experiment, scorer, simulator = key
    higher = all(result.higher_is_better for result in results.values())
    references = frozenset(row for (row, _), result in results.items() if result.reference_row)
    names = {row for row, _ in [*results, *failures]}
    filled = [
        column
        for column in columns
        if any(_mean(results, row, column) is not None for row in names)
    ]
    best: dict[Column, str] = {}
    tied: set[Place] = set()
    for column in columns:
        rows = sorted(row for row in names - references if (row, column) in results)
        leader, equals = _best_of(rows, [results[row, column] for row in rows], higher)
        tied |= {(row, column) for row in equals}
        best |= {column: leader} if leader is not None else {}
    means = {row: _mean_over(results, row, filled) for row in names}
    complete = {row: mean for row, mean in means.items() if mean.num_units == len(filled) > 0}
    sign = -1 if higher else 1
    return Grid(
        experiment=experiment,
        simulator=simulator,
        scorer=scorer,
        higher_is_better=higher,
        columns=tuple(columns),
        rows=_ranked(results, means, complete, sign),
        reference_rows=references,
        results=results,
        failures=failures,
        best=best,
        tied=frozenset(tied),
        means=complete,
    )


def _ranked(
    results: Mapping[Place, Result], means: Mapping[str, Mean], complete: Collection[str], sign: int
) -> tuple[str, ...]:
    """Explainers as `Grid.rows` has them; `sign` is -1 if higher is better."""
    by_mean = sorted(means, key=lambda row: (_order(sign * means[row].mean), row))
    rows = [row for row in by_mean if row in complete]
    for row in (row for row in by_mean if row not in complete):
        own = [at for name, at in results if name == row]
        mean = _order(sign * means[row].mean)
        beaten = (
            number
            for number, other in enumerate(rows)
            if number > 0
            and other in complete
            and mean < _order(sign * _mean_over(results, other, own).mean)
        )
        rows.insert(next(beaten, len(rows)), row)
    return tuple(rows)


def _order(value: float) -> float:
    """A sorting key: undefined last, equal but for float noise (nine decimals) the same."""
    return round(value, 9) if isfinite(value) else inf


def _mean(results: Mapping[Place, Result], row: str, column: Column) -> float | None:
    result = results.get((row, column))
    return None if result is None else result.score.mean


def _best_of(
    rows: Sequence[str], results: Sequence[Result], higher: bool
) -> tuple[str | None, list[str]]:
    if not rows:
        return None, []
    outcome = best_and_ties(np.stack([unit_values(r) for r in results]), higher_is_better=higher)
    tied = [row for row, equal in zip(rows, outcome.tied, strict=True) if equal]
    return None if outcome.row is None else rows[outcome.row], tied


def unit_values(result: Result) -> Floats:
    """The scores of a result by unit, (U,), NaN where undefined; one array, not to be changed."""
    return result.unit_values


def _mean_over(results: Mapping[Place, Result], row: str, columns: Collection[Column]) -> Mean:
    """Mean of the column means and its error; units of different layers are independent.

    `num_units` counts the columns that the row has.
    """
    scores = [results[row, column].score for column in columns if (row, column) in results]
    means = [score.mean for score in scores if score.mean is not None]
    errors = [
        nan if s.standard_error is None else s.standard_error for s in scores if s.mean is not None
    ]
    if not means:
        return Mean(nan, nan, 0)
    spread = sqrt(sum(error**2 for error in errors)) / len(means)
    return Mean(sum(means) / len(means), spread, len(means))


def grid_differences(
    grid: Grid, pairs: Sequence[tuple[str, str]]
) -> dict[tuple[tuple[str, str], Column], Difference]:
    """First minus second explainer for each pair and column where both have a result."""
    sizes: dict[int, list[tuple[tuple[str, str], Column]]] = defaultdict(list)
    for pair in dict.fromkeys(pairs):
        for column in grid.columns:
            if all((row, column) in grid.results for row in pair):
                sizes[len(grid.results[pair[0], column].values)].append((pair, column))
    values = {place: unit_values(result) for place, result in grid.results.items()}
    found: dict[tuple[tuple[str, str], Column], Difference] = {}
    for num_units, places in sorted(sizes.items()):
        first, second = (
            np.stack([values[pair[side], column] for pair, column in places]) for side in (0, 1)
        )
        resamples = draw_resamples(num_units, _PAIRED_SEED)
        found |= dict(zip(places, paired_differences(first, second, resamples), strict=True))
    return found
