"""From results to a comparison: sides paired on the same cells and units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from math import nan

import numpy as np

from le_bench.boards.comparing.agreement import rank_agreements, rank_stability, unit_correlations
from le_bench.boards.comparing.choosing import Axis, Chosen
from le_bench.boards.comparing.comparison import Agreement, Comparison, Group, SideBySide, Stability
from le_bench.boards.comparing.contrasts import UNDEFINED, Contrast, Part, estimate, holm
from le_bench.boards.comparing.disagreeing import largest_disagreements
from le_bench.boards.comparing.sides import Row, Sides, contrast_of, make_sides
from le_bench.boards.grid import Column, unit_values
from le_bench.boards.records import Result
from le_bench.boards.statistics import Floats, mean_and_error

FEW_SIDES = 4  # with more, only some pairs are worth showing
Pair = tuple[Group, str, str]
Draft = tuple[SideBySide, Contrast]


def compare(chosen: Chosen, by: Axis, num_units: int = 5) -> Comparison:
    """All pairs of sides of an axis, on the cells and units that both have.

    Simulators and explainers are paired by unit. Two scorers have two scales, so they have no
    difference, and disagree on a unit by how it ranks in its layer. Two models share no unit, so
    they have a difference of means over layers and the order of explainers, nothing by unit.
    `num_units` is how many units of each pair are listed as disagreeing most.

    Raises ResultError if there are fewer than two sides.
    """
    sides = make_sides(chosen, by)
    pairs = [
        (group, first, second)
        for group in sides.groups
        for first, second in combinations(sides.names, 2)
        if (group, first) in sides.places and (group, second) in sides.places
    ]
    drafts = [draft for pair in pairs for draft in _drafts(sides, pair)]
    if by == "scorer":
        drafts = [(draft, ()) for draft, _ in drafts]
    finished = _finish(drafts)
    leaders = tuple(_leaders(sides, pairs, chosen))
    return Comparison(
        experiment=chosen.experiment,
        by=by,
        sides=sides.names,
        rows=tuple(each for each in finished if each.column is None),
        cells=tuple(each for each in finished if each.column is not None),
        agreements=() if by == "explainer" else tuple(_agreements(sides, pairs)),
        stabilities=tuple(_stabilities(sides)) if by == "explainer" else (),
        disagreements=()
        if by == "model"
        else tuple(d for pair in leaders for d in largest_disagreements(sides, pair, num_units)),
        leaders=leaders,
        num_tests=int(sum(not np.isnan(each.corrected) for each in finished)),
        partial=any(result.partial for result in chosen.results),
    )


def _finish(drafts: Sequence[Draft]) -> list[SideBySide]:
    """The drafts with their estimates and the p-values corrected for the number of all of them."""
    estimates = estimate([contrast for _, contrast in drafts])
    corrected = holm(np.array([each.p_value for each in estimates]))
    return [
        replace(draft, difference=each, corrected=float(p))
        for (draft, _), each, p in zip(drafts, estimates, corrected, strict=True)
    ]


def _drafts(sides: Sides, pair: Pair) -> Iterator[Draft]:
    group, first, second = pair
    one, other = sides.places[group, first], sides.places[group, second]
    if sides.by == "explainer":
        yield from _paired(pair, None, one[first], other[second])
        return
    for name in (row for row in sides.explainers if row in one or row in other):
        rows = one.get(name, {}), other.get(name, {})
        if sides.by == "model":
            yield _unpaired(pair, name, *rows)
        else:
            yield from _paired(pair, name, *rows)


def _paired(pair: Pair, name: str | None, one: Row, other: Row) -> Iterator[Draft]:
    """The row over all layers, then each layer that both sides have."""
    columns = [column for column in one if column in other]
    cells = [_cell(pair, name, column, one[column], other[column]) for column in columns]
    usable = [cell for cell, _ in cells if not np.isnan(cell.first_mean)]
    parts = [replace(contrast[0], weight=1 / len(usable)) for _, contrast in cells if contrast]
    sums = np.array([cell.undefined for cell, _ in cells]).reshape(-1, 3).sum(0)
    yield (
        SideBySide(
            *pair,
            row=name,
            column=None,
            first_mean=_mean([cell.first_mean for cell in usable]),
            second_mean=_mean([cell.second_mean for cell in usable]),
            difference=UNDEFINED,
            pearson=_mean([cell.pearson for cell in usable]),
            spearman=_mean([cell.spearman for cell in usable]),
            undefined=(int(sums[0]), int(sums[1]), int(sums[2])),
            missing=(len(other.keys() - one.keys()), len(one.keys() - other.keys())),
            num_layers=len(usable),
        ),
        tuple(parts),
    )
    yield from cells


def _cell(pair: Pair, name: str | None, column: Column, *cells: Result) -> Draft:
    """One cell on both sides; no contrast if no unit has a score on both."""
    first, second = (unit_values(cell) for cell in cells)
    lost = np.isnan(first), np.isnan(second)
    shared = ~(lost[0] | lost[1])
    pearson, spearman = unit_correlations(first, second)
    draft = SideBySide(
        *pair,
        row=name,
        column=column,
        first_mean=mean_and_error(first[shared]).mean,
        second_mean=mean_and_error(second[shared]).mean,
        difference=UNDEFINED,
        pearson=pearson,
        spearman=spearman,
        undefined=(
            int((lost[0] & ~lost[1]).sum()),
            int((lost[1] & ~lost[0]).sum()),
            int((lost[0] & lost[1]).sum()),
        ),
    )
    return draft, (Part(column, first - second),) if shared.any() else ()


def _unpaired(pair: Pair, name: str, one: Row, other: Row) -> Draft:
    """Means over the layers of two models, and their difference between independent units."""
    rows = [_scored(row) for row in (one, other)]
    means = [_mean([mean_and_error(values).mean for values in row.values()]) for row in rows]
    lost = [sum(r.score.num_undefined for r in row.values()) for row in (one, other)]
    contrast = tuple(
        Part(column, values, sign / len(row))
        for row, sign in zip(rows, (1.0, -1.0), strict=True)
        for column, values in row.items()
    )
    draft = SideBySide(
        *pair,
        row=name,
        column=None,
        first_mean=means[0],
        second_mean=means[1],
        difference=UNDEFINED,
        pearson=nan,
        spearman=nan,
        undefined=(lost[0], lost[1], 0),
        num_layers=sum(map(len, rows)),
    )
    return draft, contrast if all(rows) else ()


def _scored(row: Row) -> dict[Column, Floats]:
    return {at: unit_values(each) for at, each in row.items() if each.score.mean is not None}


def _mean(values: Sequence[float]) -> float:
    """The mean of the defined ones, NaN if there are none."""
    return mean_and_error(np.array(values, dtype=np.float64)).mean


def _agreements(sides: Sides, pairs: Sequence[Pair]) -> Iterator[Agreement]:
    """Only contenders that have a mean in every layer that any of them has, on both sides."""
    complete = {
        place: {name: contrast_of(rows[name]) for name in _complete(sides, rows)}
        for place, rows in sides.places.items()
    }
    drafts = []
    for group, first, second in pairs:
        one, other = complete[group, first], complete[group, second]
        both = tuple(name for name in other if name in one)
        if both:
            contrasts = [one[name] for name in both], [other[name] for name in both]
            drafts.append(((group, first, second), both, contrasts))
    ranks = rank_agreements([contrasts for *_, contrasts in drafts])
    for (pair, both, _), each in zip(drafts, ranks, strict=True):
        yield Agreement(*pair, both, each)


def _complete(sides: Sides, rows: Mapping[str, Row]) -> list[str]:
    """Contenders with a mean in every layer in which any explainer has one, best first."""
    scored = {name: set(_scored(row)) for name, row in rows.items()}
    columns = set().union(*scored.values())
    return [
        name
        for name in sides.explainers
        if name not in sides.references and scored.get(name) == columns and columns
    ]


def _stabilities(sides: Sides) -> Iterator[Stability]:
    for group in sides.groups:
        rows = {name: row[name] for (g, name), row in sides.places.items() if g == group}
        names = _complete(sides, rows)
        if names:
            contrasts = [contrast_of(rows[name]) for name in names]
            yield Stability(group, tuple(names), rank_stability(contrasts))


def _leaders(sides: Sides, pairs: Sequence[Pair], chosen: Chosen) -> Iterator[Pair]:
    """All pairs of few sides; of many, those with the group's best and those asked for."""
    asked = [set(pair) for pair in chosen.about.pairs] if chosen.about else []
    best: dict[Group, str] = {}
    for group, first, second in pairs:
        if sides.by == "explainer":
            own = [name for name in sides.names if name not in sides.references]
            best.setdefault(group, next((n for n in own if (group, n) in sides.places), first))
        else:
            best.setdefault(group, first)
        few = len(sides.names) <= FEW_SIDES
        if few or best[group] in (first, second) or {first, second} in asked:
            yield group, first, second
