"""The tables of an experiment's board as Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite

from le_bench.boards.grid import Column, Grid, grid_differences, unit_values
from le_bench.boards.markdown import (
    MINUS,
    MISSING,
    Notes,
    code,
    number,
    page,
    reason_shown,
    shown,
    table,
)
from le_bench.boards.records import (
    Cost,
    FurtherFigure,
    LayerExplanations,
    Origin,
    Result,
    UnitExplanation,
)

NUM_EXAMPLES = 5
SUBMITTED = "\N{DAGGER}"
_TERMS_SHOWN = 6


def column_title(column: Column) -> str:
    """A column's heading: model / layer, different for different columns."""
    return " / ".join(code(name) if " / " in name else shown(name) for name in column)


def main_table(grid: Grid) -> str:
    """Explainers by layers: mean ± standard error, best bold, ties `=`, published in brackets."""
    notes = Notes()
    wide = len(grid.columns) > 1
    rows = []
    for name in grid.rows:
        row = {"explainer": row_title(grid, name)}
        row |= {column_title(at): _cell(grid, name, at, notes) for at in grid.columns}
        if wide:
            row["mean over layers"] = _mean_cell(grid, name, notes)
        rows.append(row)
    headers = [header for header in rows[0] if header != "explainer"]
    return page(table(rows, right=headers), notes.lines()).rstrip()


def row_title(grid: Grid, name: str) -> str:
    """An explainer as the first cell of its row, in italics for a reference row.

    A dagger marks a row with results that were submitted.
    """
    title = f"*{shown(name)}*" if name in grid.reference_rows else shown(name)
    return f"{title} {SUBMITTED}" if name in grid.submitted_rows else title


def _cell(grid: Grid, name: str, column: Column, notes: Notes) -> str:
    result = grid.results.get((name, column))
    if result is None:
        failure = grid.failures.get((name, column))
        if failure is None:
            return f"{MISSING} {notes.mark('not run')}"
        reason = reason_shown(failure.reason)
        if failure.not_applicable:
            return f"n/a {notes.mark(reason)}"
        return f"{MISSING} {notes.mark(f'failed at {shown(failure.step)}: {reason}')}"
    parts = [f"{_value(result, grid.decimals)}"]
    if grid.best.get(column) == name:
        parts = [f"**{parts[0]}**"]
    elif (name, column) in grid.tied:
        parts.append("=")
    if result.published is not None:
        parts.append(_published(result.published, result.published_further.get("se")))
    if result.score.num_undefined:
        parts.append(notes.mark(_undefined(result)))
    if result.origin is not None:
        parts.append(f"{SUBMITTED} {notes.mark(origin_shown(result.origin))}")
    return " ".join(parts)


def _published(value: float, error: float | None = None) -> str:
    """A figure of the paper in brackets, with its standard error to the digits that are given."""
    return f"[{number(value, 4)}]" if error is None else f"[{number(value, 4)} ± {error:g}]"


def _published_details(result: Result) -> dict[str, str]:
    """The paper's figures of the details, each with a space before it; empty without one."""
    further = result.published_further
    found: dict[FurtherFigure, Callable[[float], str]] = {
        "dead": lambda share: f"[{100 * share:g}%]",
        "live_mean": lambda mean: _published(mean, further.get("live_se")),
        "length": lambda length: f"[{number(length, 2)}]",
    }
    return {key: f" {show(further[key])}" if key in further else "" for key, show in found.items()}


def origin_shown(origin: Origin) -> str:
    """The sentence that marks a submitted result."""
    return f"submitted from {shown(origin.file)} by {shown(origin.by)}; not reproduced here"


def _value(result: Result, decimals: int) -> str:
    score = result.score
    if score.mean is None:
        return "undefined"
    return f"{number(score.mean, decimals)} ± {number(score.standard_error, decimals)}"


def _undefined(result: Result) -> str:
    score = result.score
    reasons = "; ".join(
        f"{reason_shown(why)} ({n:,})" for why, n in alike_together(score.undefined).items()
    )
    return f"{score.num_undefined:,} of {score.num_units:,} units undefined: {reasons}"


def alike_together(reasons: Mapping[str, int]) -> dict[str, int]:
    """Reasons with how often each holds; those that differ in a quoted name only become one.

    The most frequent name stands for them, the first of equals; results keep each reason.

    >>> alike_together({"no concept 'a cat'": 2, "no concept 'a dog'": 3, "dead": 1})
    {'dead': 1, "no concept 'a dog' and the same of 1 other name": 5}
    """
    groups: dict[str, list[tuple[int, str]]] = {}
    for reason, count in sorted(reasons.items()):
        groups.setdefault(re.sub("'.*?'", "''", reason), []).append((-count, reason))
    found = {}
    for _, group in sorted(groups.items()):
        reason, others = min(group)[1], len(group) - 1
        if others:
            reason += f" and the same of {others} other {'name' if others == 1 else 'names'}"
        found[reason] = -sum(count for count, _ in group)
    return found


def _mean_cell(grid: Grid, name: str, notes: Notes) -> str:
    mean = grid.means.get(name)
    if mean is None:
        return f"{MISSING} {notes.mark('no mean: not every layer has a score')}"
    text = f"{number(mean.mean, grid.decimals)} ± {number(mean.standard_error, grid.decimals)}"
    return f"**{text}**" if name == grid.winner else text


def differences_table(grid: Grid, chosen: Sequence[tuple[str, str]] = ()) -> str:
    """Each explainer minus the next row, then chosen pairs: mean and 95% interval, by layer."""
    consecutive = list(zip(grid.rows, grid.rows[1:], strict=False))
    pairs = [*consecutive, *(pair for pair in chosen if pair not in consecutive)]
    found = grid_differences(grid, pairs)
    rows = []
    for pair in pairs:
        row = {f"first {MINUS} second": f" {MINUS} ".join(map(shown, pair))}
        for column in grid.columns:
            gap = found.get((pair, column))
            text = MISSING
            if gap is not None and gap.num_units:
                bounds = [
                    number(bound, grid.decimals, signed=True) for bound in (gap.low, gap.high)
                ]
                interval = f"[{', '.join(bounds)}]" if isfinite(gap.low) else "n/a"
                text = f"{number(gap.mean, grid.decimals, signed=True)} {interval}"
                whole = grid.results[pair[0], column].score.num_units
                text += f" (n={gap.num_units:,})" if gap.num_units < whole else ""
            row[column_title(column)] = text
        if any((pair, column) in found for column in grid.columns):
            rows.append(row)
    return table(rows, right=[column_title(at) for at in grid.columns]) if rows else ""


def details_table(grid: Grid, costs: Mapping[tuple[str, str, str], Cost]) -> str:
    """One line a cell: units, undefined, dead, live mean, interval, length, seconds, key."""
    rows = []
    for column in grid.columns:
        for name in (row for row in grid.rows if (row, column) in grid.results):
            result = grid.results[name, column]
            score = result.score
            cost = costs.get((*column, name))
            beside = _published_details(result)
            bounds = [number(bound, grid.decimals) for bound in (score.ci_low, score.ci_high)]
            rows.append(
                {
                    "model / layer": column_title(column),
                    "explainer": row_title(grid, name),
                    "units": f"{score.num_units:,}",
                    "undefined": f"{score.num_undefined:,}",
                    "dead": f"{score.num_dead:,}" + beside["dead"],
                    "live mean": number(score.live_mean, grid.decimals) + beside["live_mean"],
                    "95% interval": "n/a" if score.ci_low is None else f"[{', '.join(bounds)}]",
                    "terms": number(score.mean_length, 2) + beside["length"],
                    "seconds": MISSING if cost is None else f"{cost.seconds:,.1f}",
                    "key": f"`{result.key[:12]}`",
                }
            )
    return table(rows, right=["units", "undefined", "dead", "live mean", "terms", "seconds"])


def figures_table(grid: Grid, explanations: Sequence[LayerExplanations]) -> str:
    """What explainers found of their own explanations: mean over units, and least to most.

    One line for each explainer, in the grid's order, and figure; empty if there are none.
    """
    found: dict[tuple[str, str], dict[Column, list[float]]] = {}
    for name in grid.rows:
        for layer in (each for each in explanations if each.explainer == name):
            for unit in layer.units:
                for figure, value in unit.figures.items():
                    by_column = found.setdefault((name, figure), {})
                    by_column.setdefault((layer.model, layer.layer), []).append(value)
    rows = [
        {"explainer": row_title(grid, name), "figure": shown(figure)}
        | {column_title(at): _spread(by_column.get(at, ())) for at in grid.columns}
        for (name, figure), by_column in found.items()
    ]
    return table(rows, right=[column_title(at) for at in grid.columns])


def _spread(values: Sequence[float]) -> str:
    """Mean and range, three digits each."""
    if not values:
        return MISSING
    mean, least, most = (
        f"{value:.3g}".replace("-", MINUS)
        for value in (sum(values) / len(values), min(values), max(values))
    )
    return f"{mean} [{least}, {most}]"


def simulators_table(grids: Sequence[Grid]) -> str:
    """Mean over the layers that an explainer has under every simulator, side by side.

    Explainers without such a layer are left out; empty for a single simulator.
    """
    simulators = [grid.simulator for grid in grids]
    found: dict[str, dict[Column, dict[str, float]]] = {}
    for grid in grids:
        for (name, column), result in grid.results.items():
            if result.score.mean is not None:
                by_column = found.setdefault(name, {})
                by_column.setdefault(column, {})[grid.simulator] = result.score.mean
    shared = {
        name: [means for means in by_column.values() if len(means) == len(grids)]
        for name, by_column in found.items()
    }
    if len(grids) < 2 or not any(shared.values()):
        return ""
    decimals = max(grid.decimals for grid in grids)
    rows = [
        {
            "explainer": row_title(grids[0], name),
            **{
                f"under {shown(simulator)}": number(_average(layers, simulator), decimals)
                for simulator in simulators
            },
            "layers": str(len(layers)),
        }
        for name in grids[0].rows
        if (layers := shared.get(name))
    ]
    return table(rows, right=[*(f"under {shown(simulator)}" for simulator in simulators), "layers"])


def _average(layers: Sequence[Mapping[str, float]], simulator: str) -> float:
    return sum(means[simulator] for means in layers) / len(layers)


def linear_formula(explanation: UnitExplanation) -> str:
    """An explanation as a reader writes it: `0.83·cat + 0.41·striped − 0.12`, or its reason.

    A lone concept of weight 1 without bias is a description and stands by itself; after six
    terms the number of further ones is told.
    """
    if explanation.reason:
        return f"none: {reason_shown(explanation.reason)}"
    terms = explanation.terms
    if len(terms) == 1 and terms[0][1] == 1 and explanation.bias == 0:
        return shown(terms[0][0])
    pieces = [(weight, f"{_weight(weight)}·{shown(text)}") for text, weight in terms[:_TERMS_SHOWN]]
    if len(terms) > _TERMS_SHOWN:
        rest = len(terms) - _TERMS_SHOWN
        pieces.append((1.0, f"{rest} more {'term' if rest == 1 else 'terms'}"))
    if explanation.bias:
        pieces.append((explanation.bias, _weight(explanation.bias)))
    first = (MINUS if pieces[0][0] < 0 else "") + pieces[0][1]
    return first + "".join(f" {MINUS if sign < 0 else '+'} {text}" for sign, text in pieces[1:])


def _weight(weight: float) -> str:
    size = abs(weight)
    return f"{size:.2f}" if size >= 0.1 or size == 0 else f"{size:.2g}"


def examples_table(grid: Grid, explanations: LayerExplanations) -> str:
    """The first explanations of a layer with the score of each unit."""
    column = (explanations.model, explanations.layer)
    scores = unit_values(grid.results[explanations.explainer, column])
    rows = [
        {
            "unit": str(each.unit),
            "explanation": linear_formula(each),
            "score": number(scores[each.unit], 3) if each.unit < len(scores) else "n/a",
        }
        for each in sorted(explanations.units, key=lambda each: each.unit)[:NUM_EXAMPLES]
    ]
    return table(rows, right=["unit", "score"])
