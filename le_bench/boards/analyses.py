"""What results say beyond their means: dead units, live units, lengths, scorers side by side.

In the form of the paper's Tables 4, 9, 14 and 15 and its figure of correlation against ablation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from typing import Any

import numpy as np

from le_bench.boards.grid import Column, Grid, unit_values
from le_bench.boards.markdown import MISSING, number, shown, table
from le_bench.boards.records import Result
from le_bench.boards.statistics import Floats
from le_bench.boards.tables import column_title, row_title

_DEAD = (
    "A unit is dead if no probe image activates it by 0.01 or more. Live means are over the units "
    "that are not dead."
)
_LENGTHS = "Mean number of terms of an explanation, units without an explanation left out."
_SIDE_BY_SIDE = "Mean score over all units of all layers of the cells that every scorer has."
_FITS = (
    "Second score as a quadratic function of the first, by least squares over the units of all "
    "layers and explainers (reference rows left out) that have both scores. `r` is Pearson's "
    "correlation of the two scores."
)


@dataclass(frozen=True, slots=True)
class QuadraticFit:
    """y = a x^2 + b x + c over `num_units` pairs of scores, with its R^2 and Pearson's r.

    All NaN for fewer than three different x.
    """

    a: float
    b: float
    c: float
    r_squared: float
    correlation: float
    num_units: int


def quadratic_fit(first: Floats, second: Floats) -> QuadraticFit:
    """The fit of second on first scores (P,), pairs with NaN left out.

    Source: "Linear Explanations for Individual Neurons", appendix, the scatter of correlation
    against ablation scores; the published scores give 0.4231 x^2 + 0.00574 without a linear term.
    """
    both = ~np.isnan(first) & ~np.isnan(second)
    x, y = first[both], second[both]
    if len(np.unique(x)) < 3:
        nan = float("nan")
        return QuadraticFit(nan, nan, nan, nan, nan, len(x))
    centre, spread = x.mean(), x.std()
    z = (x - centre) / spread  # the powers of raw scores are nearly collinear
    design = np.stack([z**2, z, np.ones_like(z)], 1)
    weights, *_ = np.linalg.lstsq(design, y, rcond=None)
    a = weights[0] / spread**2
    b = weights[1] / spread - 2 * a * centre
    c = weights[2] - weights[1] * centre / spread + a * centre**2
    total = ((y - y.mean()) ** 2).sum()
    left = ((y - design @ weights) ** 2).sum()
    r_squared = 1 - left / total if total > 0 else float("nan")
    correlation = np.corrcoef(x, y)[0, 1] if y.std() > 0 else float("nan")
    return QuadraticFit(float(a), float(b), float(c), float(r_squared), float(correlation), len(x))


def analysis_blocks(grids: Sequence[Grid]) -> list[str]:
    """The section of an experiment's page."""
    if not any(grid.results for grid in grids):
        return []
    first = grids[0]
    blocks = ["## Analyses", "### Dead units", _DEAD, dead_table(first)]
    if any(result.dead for result in first.results.values()):
        blocks += [f"#### Live units only, {_title(first)}", live_table(first)]
    blocks += ["### Length of explanations", _LENGTHS, lengths_table(first)]
    beside = scorers_table(grids)
    if beside:
        blocks += ["### Scorers side by side", _SIDE_BY_SIDE, beside]
    fits = fits_table(grids)
    if fits:
        blocks += ["### One score against another", _FITS, fits]
    return blocks


def _title(grid: Grid) -> str:
    return f"{shown(grid.scorer)} with {shown(grid.simulator)}"


def dead_table(grid: Grid) -> str:
    """One line a layer: units, dead ones and their share (Table 14)."""
    rows = []
    for column in grid.columns:
        results = [grid.results[row, column] for row in grid.rows if (row, column) in grid.results]
        if results:
            count, dead = results[0].score.num_units, results[0].score.num_dead
            rows.append(
                {
                    "model / layer": column_title(column),
                    "units": f"{count:,}",
                    "dead": f"{dead:,}",
                    "share": f"{number(100 * dead / count if count else None, 2)}%",
                }
            )
    return table(rows, right=["units", "dead", "share"])


def live_table(grid: Grid) -> str:
    """Explainers by layers that have dead units: mean over live units (Table 15)."""
    columns = [
        column
        for column in grid.columns
        if any(at == column and result.dead for (_, at), result in grid.results.items())
    ]
    return _by_column(grid, columns, lambda result: number(result.score.live_mean, grid.decimals))


def lengths_table(grid: Grid) -> str:
    """Explainers by layers: mean number of terms (Table 4)."""
    return _by_column(grid, grid.columns, lambda result: number(result.score.mean_length, 2))


def _by_column(grid: Grid, columns: Sequence[Column], text: Any) -> str:
    rows = []
    for name in grid.rows:
        row = {"explainer": row_title(grid, name)}
        for column in columns:
            result = grid.results.get((name, column))
            row[column_title(column)] = MISSING if result is None else text(result)
        rows.append(row)
    return table(rows, right=[column_title(column) for column in columns])


def scorers_table(grids: Sequence[Grid]) -> str:
    """Explainers by scorers under each simulator (Table 9); nothing for a single scorer."""
    rows = []
    scorers = list(dict.fromkeys(grid.scorer for grid in grids))
    if len(scorers) < 2:
        return ""
    for simulator, group in _by_simulator(grids):
        for name in group[0].rows:
            shared = [
                column
                for column in group[0].columns
                if len(group) == len(scorers) and all((name, column) in g.results for g in group)
            ]
            if not shared:
                continue
            row = {"simulator": shown(simulator), "explainer": row_title(group[0], name)}
            for grid in group:
                values = np.concatenate([unit_values(grid.results[name, c]) for c in shared])
                row[shown(grid.scorer)] = number(_mean(values), 4)
                row[f"below 0, {shown(grid.scorer)}"] = _share_below(values)
            rows.append(row)
    return table(rows, right=list(rows[0])[2:]) if rows else ""


def _mean(values: Floats) -> float | None:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else None


def _share_below(values: Floats) -> str:
    defined = values[~np.isnan(values)]
    share = 100 * float((defined < 0).mean()) if len(defined) else None
    return f"{number(share, 1)}%"


def _by_simulator(grids: Sequence[Grid]) -> Iterator[tuple[str, list[Grid]]]:
    ordered = sorted(grids, key=lambda grid: grid.simulator)
    for simulator, group in groupby(ordered, key=lambda grid: grid.simulator):
        yield simulator, list(group)


def fits(grids: Sequence[Grid]) -> dict[tuple[str, str, str], QuadraticFit]:
    """Fits of each scorer on each other one, by simulator and the two scorers' names."""
    found = {}
    for simulator, group in _by_simulator(grids):
        for (i, one), (j, other) in product(enumerate(group), enumerate(group)):
            if i == j:
                continue
            places = [
                place
                for place in one.results
                if place in other.results and place[0] not in one.reference_rows
            ]
            if places:
                found[simulator, one.scorer, other.scorer] = quadratic_fit(
                    *(_all_values(grid, sorted(places)) for grid in (one, other))
                )
    return found


def _all_values(grid: Grid, places: Sequence[tuple[str, Column]]) -> Floats:
    results: list[Result] = [grid.results[place] for place in places]
    return np.concatenate([unit_values(result) for result in results])


def fits_table(grids: Sequence[Grid]) -> str:
    """One line a pair of scorers and simulator: the quadratic, its R^2, and r."""
    rows = [
        {
            "simulator": shown(simulator),
            "first score x": shown(first),
            "second score y": shown(second),
            "units": f"{fit.num_units:,}",
            "x²": number(fit.a, 4),
            "x": number(fit.b, 4),
            "1": number(fit.c, 4),
            "R²": number(fit.r_squared, 3),
            "r": number(fit.correlation, 3),
        }
        for (simulator, first, second), fit in fits(grids).items()
    ]
    return table(rows, right=["units", "x²", "x", "1", "R²", "r"]) if rows else ""


def fits_json(grids: Sequence[Grid]) -> list[dict[str, Any]]:
    """The fits for machines; undefined numbers are null."""
    return [
        {
            "simulator": simulator,
            "first": first,
            "second": second,
            "num_units": fit.num_units,
            **{
                name: round(value, 6) + 0.0 if np.isfinite(value) else None
                for name, value in (
                    ("x2", fit.a),
                    ("x", fit.b),
                    ("constant", fit.c),
                    ("r_squared", fit.r_squared),
                    ("correlation", fit.correlation),
                )
            },
        }
        for (simulator, first, second), fit in fits(grids).items()
    ]
