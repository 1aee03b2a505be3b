"""A comparison in words and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from le_bench.boards.comparing.blocks import Block, Heading, Paragraph, Table
from le_bench.boards.comparing.comparison import (
    Agreement,
    Comparison,
    Disagreement,
    Group,
    SideBySide,
    Stability,
)
from le_bench.boards.comparing.figures import DECIMALS, SIGNIFICANT, group_title, interval, p_value
from le_bench.boards.comparing.summary import summary_of
from le_bench.boards.markdown import MINUS, MISSING, number, shown
from le_bench.boards.records import LayerExplanations
from le_bench.boards.statistics import INTERVAL
from le_bench.boards.tables import column_title, linear_formula

Explanations = Mapping[tuple[str, str, str], LayerExplanations]

_WHAT = {
    "simulator": "Each line is one explainer's explanations as scored under both simulators.",
    "explainer": "Each line is two explainers on the same layers and units.",
    "scorer": "Each line is one explainer's explanations under both scorers. Two scorers have two "
    "scales, so there is no difference of their means, and they disagree on a unit by its rank.",
    "model": "Each line is one explainer on two target models. These share no unit, so layers "
    "count alike, intervals are those of independent units, and nothing is paired by unit.",
}
_PARTIAL = (
    "**PARTIAL RESULTS.** Some cells were made with `--limit-units`: for trying things out only."
)


def blocks_of(comparison: Comparison, explanations: Explanations) -> list[Block]:
    """The whole page."""
    blocks: list[Block] = [
        Heading(1, f"{shown(comparison.experiment)} by {comparison.by}"),
        *([Paragraph(_PARTIAL)] if comparison.partial else []),
        Heading(2, "In short"),
        Paragraph("\n".join(f"- {sentence}" for sentence in summary_of(comparison, shown))),
        Heading(2, "How to read the tables"),
        Paragraph(f"{_WHAT[comparison.by]} {_method(comparison)}"),
    ]
    for group in dict.fromkeys(each.group for each in comparison.rows):
        blocks.append(Heading(2, group_title(group)))
        if comparison.by == "explainer":
            blocks += _explainers(comparison, group, explanations)
        else:
            for first, second in dict.fromkeys(
                (each.first, each.second) for each in comparison.rows if each.group == group
            ):
                blocks += _pair(comparison, (group, first, second), explanations)
    return blocks


def _method(comparison: Comparison) -> str:
    text = (
        "Means are over the units that both sides score, and over layers alike; Pearson's "
        "and Spearman's correlations are over the units of a layer, averaged over layers. "
        "Undefined units are counted: on the first side only + on the second only + on both."
    )
    if comparison.by == "model":
        text = "Undefined units are left out and counted: of the first + of the second model."
    if comparison.num_tests:
        text += (
            f" Intervals are for one difference ({INTERVAL}, layers resampled apart). p is that of "
            "Student's t, corrected by Holm's method for all "
            f"{comparison.num_tests:,} differences of this comparison, shown or not; `*` marks "
            f"p < {SIGNIFICANT:g}: the chance that any mark is wrong is at most 5%."
        )
    if comparison.by == "explainer" and len(comparison.leaders) < len(
        {(each.group, each.first, each.second) for each in comparison.rows}
    ):
        text += (
            " Shown are the pairs with the best explainer and those that the experiment asks for; "
            "`--json` has all, and `--explainer` narrows the choice."
        )
    return text


def _pair(
    comparison: Comparison, pair: tuple[Group, str, str], explanations: Explanations
) -> Iterator[Block]:
    _, first, second = pair
    heads = [f"{comparison.by} {shown(side)}" for side in (first, second)]

    def own(each: SideBySide | Agreement | Disagreement) -> bool:
        return (each.group, each.first, each.second) == pair

    yield Heading(3, f"{shown(first)} and {shown(second)}")
    rows = [each for each in comparison.rows if own(each)]
    lines = [
        {
            "explainer": shown(each.row or MISSING),
            heads[0]: number(each.first_mean, DECIMALS),
            heads[1]: number(each.second_mean, DECIMALS),
            **_figures(comparison, each),
        }
        for each in rows
    ]
    yield _table(lines, left=["explainer"])
    yield from _by_layer(comparison, [each for each in comparison.cells if own(each)])
    for agreement in (each for each in comparison.agreements if own(each)):
        yield Paragraph(_agreement(agreement))
    yield from _disagreements([d for d in comparison.disagreements if own(d)], heads, explanations)


def _explainers(
    comparison: Comparison, group: Group, explanations: Explanations
) -> Iterator[Block]:
    def own(each: SideBySide | Disagreement) -> bool:
        return each.group == group and (group, each.first, each.second) in comparison.leaders

    lines = [
        {
            f"first {MINUS} second": _names(each),
            "first": number(each.first_mean, DECIMALS),
            "second": number(each.second_mean, DECIMALS),
            **_figures(comparison, each),
        }
        for each in comparison.rows
        if own(each)
    ]
    yield _table(lines, left=[f"first {MINUS} second"])
    yield from _by_layer(comparison, [each for each in comparison.cells if own(each)])
    for stability in (each for each in comparison.stabilities if each.group == group):
        yield from _stability(stability)
    yield from _disagreements(
        [d for d in comparison.disagreements if own(d)], ["first", "second"], explanations
    )


def _names(each: SideBySide | Disagreement) -> str:
    return f"{shown(each.first)} {MINUS} {shown(each.second)}"


def _figures(comparison: Comparison, each: SideBySide) -> dict[str, str]:
    """The columns that all tables over layers share."""
    columns: dict[str, str] = {}
    if comparison.by != "scorer":
        columns |= {
            "difference": interval(each.difference),
            "p": _marked(each.corrected),
        }
    if comparison.by != "model":
        columns |= {"Pearson": number(each.pearson, 2), "Spearman": number(each.spearman, 2)}
    kinds = each.undefined[: 2 if comparison.by == "model" else 3]
    columns |= {"layers": str(each.num_layers), "undefined": " + ".join(map(str, kinds))}
    if any(any(row.missing) for row in comparison.rows):
        columns["cells missing"] = f"{each.missing[0]} / {each.missing[1]}"
    return columns


def _marked(corrected: float) -> str:
    return f"{p_value(corrected)} *" if corrected < SIGNIFICANT else p_value(corrected)


def _by_layer(comparison: Comparison, cells: Sequence[SideBySide]) -> Iterator[Block]:
    """Difference, mark and Pearson of each layer; between scorers Spearman alone."""
    if not cells:
        return
    lines: dict[str, dict[str, str]] = {}
    columns = dict.fromkeys(each.column for each in cells if each.column is not None)
    titles = {column: column_title(column) for column in columns}
    head = f"first {MINUS} second" if comparison.by == "explainer" else "explainer"
    for each in cells:
        name = _names(each) if each.row is None else shown(each.row)
        line = lines.setdefault(name, {head: name} | dict.fromkeys(titles.values(), MISSING))
        if each.column is not None:
            line[titles[each.column]] = _cell(comparison, each)
    what = "Spearman's correlation over units"
    if comparison.by != "scorer":
        what = "difference, and Pearson's correlation over units"
    yield Paragraph(f"By layer: {what}.")
    yield _table(list(lines.values()), left=[head])


def _cell(comparison: Comparison, each: SideBySide) -> str:
    if comparison.by == "scorer":
        return number(each.spearman, 2)
    mark = " *" if each.corrected < SIGNIFICANT else ""
    text = f"{number(each.difference.mean, DECIMALS, signed=True)}{mark}"
    return f"{text}, {number(each.pearson, 2)}"


def _agreement(each: Agreement) -> str:
    ranks, names = each.ranks, [shown(each.explainers[row]) for row in each.ranks.winners]
    tau = _bracketed(ranks.tau, ranks.low, ranks.high)
    wins = "; ".join(
        f"under {shown(side)} {name} is best, and another one in {share:.1%} of resamples of units"
        for side, name, share in zip((each.first, each.second), names, ranks.changes, strict=True)
    )
    return (
        f"Both order {len(each.explainers)} contenders with Kendall's τ = {tau}: {wins}. The two "
        f"have different winners in {ranks.apart:.1%} of resamples."
    )


def _bracketed(value: float, low: float, high: float) -> str:
    return f"{number(value, 2)} [{number(low, 2)}, {number(high, 2)}]"


def _stability(each: Stability) -> Iterator[Block]:
    ranks = each.ranks
    yield Paragraph(
        f"The order of {len(each.explainers)} contenders over all units and that in a resample of "
        f"units have Kendall's τ = {_bracketed(*ranks.tau)} (median and 95%)."
    )
    lines = [
        {
            "contender": shown(name),
            "rank": str(ranks.ranks[row]),
            "95% of ranks": f"{ranks.low[row]:.0f} to {ranks.high[row]:.0f}",
            "best in": f"{ranks.wins[row]:.1%}",
        }
        for row, name in enumerate(each.explainers)
    ]
    yield _table(lines, left=["contender"])


def _disagreements(
    found: Sequence[Disagreement], heads: Sequence[str], explanations: Explanations
) -> Iterator[Block]:
    if not found:
        return
    lines = []
    for each in found:
        same = each.explainers[0] == each.explainers[1]
        texts = [
            _explanation(explanations, (*each.column, name), each.unit)
            for name in dict.fromkeys(each.explainers)
        ]
        line = {
            "layer": column_title(each.column),
            "unit": str(each.unit),
            "explainer": shown(each.explainers[0]) if same else _names(each),
            heads[0]: number(each.scores[0], DECIMALS),
            heads[1]: number(each.scores[1], DECIMALS),
            "difference": number(each.size, DECIMALS, signed=True),
        }
        line |= (
            {"explanation": texts[0]}
            if same
            else {
                "first explanation": texts[0],
                "second explanation": texts[1],
            }
        )
        lines.append(line)
    yield Paragraph("Units on which they disagree most:")
    yield Table(lines, right=["unit", *heads, "difference"])


def _explanation(explanations: Explanations, place: tuple[str, str, str], unit: int) -> str:
    layer = explanations.get(place)
    found = next((each for each in layer.units if each.unit == unit), None) if layer else None
    return "not on record" if found is None else linear_formula(found)


def _table(lines: Sequence[Mapping[str, str]], left: Sequence[str]) -> Table:
    headers = list(lines[0]) if lines else []
    return Table(lines, right=[header for header in headers if header not in left])
