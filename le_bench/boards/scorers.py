"""The board of scorers: which of them notice that labels are missing, or that there are too many.

One small record a scorer lies at `<leaderboards>/scorers/<name>.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, NonNegativeInt
from pydantic.dataclasses import dataclass

from le_bench.boards.files import file_name
from le_bench.boards.folders import RecordKind, read_records, write_record
from le_bench.boards.markdown import MISSING, number, page, reason_shown, shown, table
from le_bench.boards.records import SCHEMA, MadeWith, Name, Number, Schema

PAGE = "scorers"
ENOUGH = 0.9

_STRICT = ConfigDict(extra="forbid")
_LEGEND = (
    "Two things that a scorer of explanations must notice (Oikarinen et al., "
    '"Evaluating Neuron Explanations: A Unified Framework with Sanity Checks", ICML 2025): a '
    "concept of which half the labels are **missing** explains a unit worse, and so does one with "
    "as many **extra** labels at random. A scorer notices it for a unit if the score of the unit's "
    "own concept falls by more than 0.001 of the scorer's range. *Exact* units are on where their "
    "concept is present and off elsewhere; *noisy* units are a noisy view of it, scored with "
    "presence as a calibrated simulator sees it. Each entry is the share of units for which the "
    "scorer notices it, over all frequencies of concepts and, in brackets, at the frequency where "
    f"it is least. A scorer **passes** if all four shares are at least {ENOUGH:.0%} at every "
    "frequency. In the source correlation, cosine, AUPRC, F1 and IoU pass."
)


@dataclass(frozen=True, config=_STRICT)
class Shares:
    """At one frequency of concepts: the share of `num_units` for which a scorer notices.

    `score` is the mean score before anything is taken away or added; `undefined` counts units
    without a score before or after, which count as not noticed.
    """

    world: Name
    frequency: Annotated[float, Field(gt=0, lt=1)]
    num_units: NonNegativeInt
    score: Number | None
    missing: Number
    extra: Number
    undefined: NonNegativeInt = 0


@dataclass(frozen=True, config=_STRICT)
class ScorerCheck:
    """What the sanity checks found of one scorer; `not_checked` says why there are no shares.

    `recipe` says in words what the planted units were made of.
    """

    scorer: MadeWith
    recipe: str
    shares: tuple[Shares, ...] = ()
    not_checked: str = ""
    schema: Schema = SCHEMA

    @property
    def passes(self) -> bool:
        """Whether both checks are passed at every frequency of every world."""
        found = [min(each.missing, each.extra) for each in self.shares]
        return bool(found) and min(found) >= ENOUGH


CHECKS = RecordKind(
    "checks of scorers",
    ScorerCheck,
    lambda folder, check: folder / f"{file_name(check.scorer.name)}.json",
)


def write_check(folder: Path, check: ScorerCheck) -> bool:
    """Write what was found of one scorer; say whether the file changed."""
    return write_record(folder, check, CHECKS)


def read_checks(folder: Path) -> list[ScorerCheck]:
    """What was found of all scorers, by name; none if there is no such folder.

    Raises ResultError with every fault of every file.
    """
    found = read_records(folder, folder.glob("*.json"), CHECKS)
    return sorted(found, key=lambda check: check.scorer.name)


def scorers_page(checks: Sequence[ScorerCheck], mark: str) -> str:
    """The board of scorers: those that pass first, then by name."""
    worlds = list(dict.fromkeys(share.world for check in checks for share in check.shares))
    ordered = sorted(checks, key=lambda check: (not check.passes, check.scorer.name))
    recipes = "  \n".join(sorted({check.recipe for check in checks if check.shares}))
    return page(
        mark,
        "# Scorers",
        _LEGEND,
        table([_summary(check, worlds) for check in ordered], right=_columns(worlds)),
        recipes,
        "## By frequency of the concept",
        "Shares of units at each frequency, missing / extra labels, and in brackets the mean score "
        "before.",
        *(_by_frequency(ordered, world) for world in worlds),
        "To make this board again, run `le-bench scorers`.",
    )


def _columns(worlds: Sequence[str]) -> list[str]:
    return [f"{kind}, {world}" for world in worlds for kind in ("missing", "extra")]


def _summary(check: ScorerCheck, worlds: Sequence[str]) -> dict[str, str]:
    line = {"scorer": shown(check.scorer.name), "version": str(check.scorer.version)}
    for world in worlds:
        own = [share for share in check.shares if share.world == world]
        line[f"missing, {world}"] = _share([share.missing for share in own])
        line[f"extra, {world}"] = _share([share.extra for share in own])
    if check.not_checked:
        return line | {"passes": f"not checked: {reason_shown(check.not_checked)}"}
    lost = sum(share.undefined for share in check.shares)
    note = f" ({lost:,} units undefined)" if lost else ""
    return line | {"passes": ("**yes**" if check.passes else "no") + note}


def _share(shares: Sequence[float]) -> str:
    if not shares:
        return MISSING
    return f"{sum(shares) / len(shares):.0%} ({min(shares):.0%})"


def _by_frequency(checks: Sequence[ScorerCheck], world: str) -> str:
    rows = []
    for check in (check for check in checks if check.shares):
        row = {f"{world} units": shown(check.scorer.name)}
        for share in check.shares:
            if share.world == world:
                found = f"{share.missing:.0%} / {share.extra:.0%}"
                row[f"{share.frequency:g}"] = f"{found} ({number(share.score, 3)})"
        rows.append(row)
    return table(rows, right=[name for name in (rows[0] if rows else ()) if " units" not in name])
