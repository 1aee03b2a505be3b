"""What a comparison found, in a few sentences; all figures are those of its rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isnan

from le_bench.boards.comparing.comparison import Agreement, Comparison, Group, SideBySide
from le_bench.boards.comparing.contrasts import Estimate
from le_bench.boards.comparing.figures import DECIMALS, SIGNIFICANT, group_title, interval, p_value
from le_bench.boards.markdown import number

MOST = 3  # sentences; the tables have the rest
Show = Callable[[str], str]


def summary_of(comparison: Comparison, show: Show = str) -> list[str]:
    """Which side scores higher, by how much, on how many cells, and whether it is clear.

    A sentence or two for each pair of sides, or for each group where explainers are compared, and
    no more than a few; `show` gives names as the page writes them.
    """
    groups: dict[tuple[Group, str, str], list[SideBySide]] = {}
    for row in comparison.rows:
        sides = ("", "") if comparison.by == "explainer" else (row.first, row.second)
        groups.setdefault((row.group, *sides), []).append(row)
    found = []
    for (group, first, second), rows in list(groups.items())[:MOST]:
        title = group_title(group, show)
        if comparison.by == "explainer":
            text = _best(comparison, group, rows, show)
        else:
            text = _pair(comparison, rows, show)
            own = (group, first, second)
            text += "".join(
                f" {_winners(each, show)}"
                for each in comparison.agreements
                if (each.group, each.first, each.second) == own and len(each.explainers) > 1
            )
        found.append(f"{title[:1].upper()}{title[1:]}: {text}")
    if len(groups) > MOST:
        what = "groups" if comparison.by == "explainer" else "pairs"
        found.append(f"{len(groups) - MOST} more {what} are below.")
    return found


def _pair(comparison: Comparison, rows: Sequence[SideBySide], show: Show) -> str:
    """Two simulators, scorers or models, over the explainers that both have."""
    first, second = (show(name) for name in (rows[0].first, rows[0].second))
    if comparison.by == "scorer":
        return f"{first} and {second} {_correlation(rows)}."
    usable = [row for row in rows if not isnan(row.difference.mean)]
    if not usable:
        return f"no unit has a score on both sides, {first} and {second}."
    where = "on" if comparison.by == "model" else "under"
    cells = _count(sum(row.num_layers for row in usable), "cell")
    if len(usable) == 1:
        (row,) = usable
        return (
            f"{show(row.row or '')} has {number(row.first_mean, DECIMALS)} {where} {first} and "
            f"{number(row.second_mean, DECIMALS)} {where} {second} on {cells}; the difference is "
            f"{interval(row.difference)}, {_clear(row)}."
        )
    if sum(row.difference.mean < 0 for row in usable) > len(usable) / 2:
        usable = [replace(row, difference=_turned(row.difference)) for row in usable]
        first, second = second, first
    above = [row for row in usable if row.difference.mean > 0]
    below = [row for row in usable if row.difference.mean < 0]
    largest = max(usable, key=lambda row: abs(row.difference.mean))
    text = (
        f"{len(above)} of {len(usable)} explainers score higher {where} {first} than {where} "
        f"{second}, {_clearly(above)} clearly"
    )
    if below:
        text += f"; {len(below)} lower, {_clearly(below)} clearly"
    return (
        f"{text} ({cells}). The largest difference is {interval(largest.difference)}, for "
        f"{show(largest.row or '')}, {_clear(largest)}."
    )


def _correlation(rows: Sequence[SideBySide]) -> str:
    known = [row.spearman for row in rows if not isnan(row.spearman)]
    if not known:
        return "cannot be correlated over units"
    cells = _count(sum(row.num_layers for row in rows), "cell")
    span = f"{number(min(known), 2)} to {number(max(known), 2)}"
    return f"rank units with Spearman's correlations of {span} by explainer, on {cells}"


def _best(comparison: Comparison, group: Group, rows: Sequence[SideBySide], show: Show) -> str:
    """The best explainer of a group against the others."""
    ranked = next((each for each in comparison.stabilities if each.group == group), None)
    best = rows[0].first
    if ranked is not None:
        best = ranked.explainers[ranked.ranks.ranks.index(1)]
    own = [
        row for row in rows if best in (row.first, row.second) and not isnan(row.difference.mean)
    ]
    if not own:
        return f"{show(best)} has no unit with a score in common with another explainer."
    near = min(own, key=lambda row: abs(row.difference.mean))
    other, mean, difference = near.second, near.first_mean, near.difference
    if other == best:
        other, mean, difference = near.first, near.second_mean, _turned(near.difference)
    text = (
        f"{show(best)} is the best contender with {number(mean, DECIMALS)}. Its smallest "
        f"difference, to {show(other)}, is {interval(difference)} on "
        f"{_count(near.num_layers, 'cell')} of each, {_clear(near)}."
    )
    if len(own) > 1:
        text += f" It differs clearly from {_clearly(own)} of {len(own)} others."
    return text


def _turned(difference: Estimate) -> Estimate:
    """Second minus first."""
    low, high = -difference.high, -difference.low
    return replace(difference, mean=-difference.mean, low=low, high=high)


def _winners(each: Agreement, show: Show) -> str:
    one, other = (show(each.explainers[row]) for row in each.ranks.winners)
    if one == other:
        return f"Both have {one} as the best contender."
    return f"The best contender is {one} for {show(each.first)}, {other} for {show(each.second)}."


def _clear(row: SideBySide) -> str:
    if isnan(row.corrected):
        return "which cannot be tested"
    verdict = "clear" if row.corrected < SIGNIFICANT else "not clear"
    p = p_value(row.corrected).replace("<", "< ")
    return f"{verdict} after Holm's correction (p {p if p.startswith('<') else f'= {p}'})"


def _clearly(rows: Sequence[SideBySide]) -> int:
    return sum(row.corrected < SIGNIFICANT for row in rows)


def _count(number_of: int, what: str) -> str:
    return f"{number_of:,} {what}" + ("" if number_of == 1 else "s")
