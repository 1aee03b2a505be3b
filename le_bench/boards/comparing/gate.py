"""A candidate's results against a baseline's, cell by cell: what got worse, better, or lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from le_bench.boards.comparing.choosing import Names
from le_bench.boards.comparing.contrasts import Estimate, Part, estimate
from le_bench.boards.files import ResultError
from le_bench.boards.grid import unit_values
from le_bench.boards.records import Cell, Failure, Result
from le_bench.boards.results import read_failures, read_results
from le_bench.errors import unknown_name

TOLERANCE = 0.005

State = Literal[
    "not comparable", "vanished", "failed", "worse", "lost units", "better", "gained units", "new",
    "same",
]  # fmt: skip
STATES: tuple[State, ...] = get_args(State)
REGRESSIONS: frozenset[State] = frozenset(
    ("not comparable", "vanished", "failed", "worse", "lost units")
)
FailOn = Literal["regression", "any"]
FAIL_ON: tuple[FailOn, ...] = get_args(FailOn)


@dataclass(frozen=True, slots=True)
class Change:
    """One cell before and after; `difference` is after minus before over units that both score.

    `key_changed` says that the numbers were made otherwise, by other options, versions or data.
    """

    cell: Cell
    state: State
    before: float | None = None
    after: float | None = None
    difference: Estimate | None = None
    lost: int = 0
    gained: int = 0
    key_changed: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """All cells of a baseline and a candidate, worst first."""

    baseline: str
    candidate: str
    tolerance: float
    changes: tuple[Change, ...]

    def failing(self, fail_on: FailOn) -> tuple[Change, ...]:
        """The cells that fail: those that got worse in any way, or all that are not the same."""
        return tuple(
            each
            for each in self.changes
            if each.state in REGRESSIONS or (fail_on == "any" and each.state != "same")
        )

    def verdict(self, fail_on: FailOn) -> str:
        """What fails, in a few words."""
        count = len(self.failing(fail_on))
        if count:
            return "1 cell fails" if count == 1 else f"{count:,} cells fail"
        return "no regression" if fail_on == "regression" else "no change"

    def summary(self) -> str:
        """How many cells are in which state, in words."""
        counts = Counter(each.state for each in self.changes)
        listed = ", ".join(f"{counts[state]:,} {state}" for state in STATES if counts[state])
        return f"{len(self.changes):,} cells: {listed}"


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    results: Mapping[Cell, Result]
    failures: Mapping[Cell, Failure]


def gate(
    baseline: Path,
    candidates: Sequence[Path],
    experiment: str | None,
    names: Names,
    tolerance: float = TOLERANCE,
) -> Gate:
    """Each cell of the baseline folder against that of the candidate folders.

    A cell is worse if the 95% interval of its paired difference (bootstrap over the units that
    both score) leaves 0 out on the bad side and the difference is over `tolerance`, and better
    likewise; of a single shared unit there is no interval, so that the tolerance alone decides. A
    cell is regressed too if it vanished, if it failed or stopped making sense, if units that had
    a score have none now, or if the two cannot be compared. Nothing is corrected for the number of
    cells: of cells whose units changed at random, one in twenty is flagged if it also moved by
    more than the tolerance.

    Raises ResultError for folders without results, malformed files and unknown names.
    """
    old, new = _read([baseline], names), _read(candidates, names)
    cells = [*old.results, *old.failures, *new.results, *new.failures]
    if experiment is not None:
        known = sorted({cell.experiment for cell in cells})
        if experiment not in known:
            raise ResultError(unknown_name("experiment", experiment, known))
        cells = [cell for cell in cells if cell.experiment == experiment]
    if not cells:
        raise ResultError(f"{baseline} and the candidate have no such cell; nothing to compare")
    drafts = [_draft(old, new, cell) for cell in dict.fromkeys(sorted(cells))]
    paired = [each for each in drafts if each[1] is not None]
    gaps = [(Part((c.cell.model, c.cell.layer), gap),) for c, gap in paired if gap is not None]
    found = dict(zip((change.cell for change, _ in paired), estimate(gaps), strict=True))
    changes = [
        _judged(change, found[change.cell], new.results[change.cell], tolerance)
        if change.cell in found
        else change
        for change, _ in drafts
    ]
    changes.sort(key=lambda each: STATES.index(each.state))
    return Gate(str(baseline), ", ".join(map(str, candidates)), tolerance, tuple(changes))


def _read(folders: Sequence[Path], names: Names) -> _Run:
    results = [each for folder in folders for each in read_results(folder / "results")]
    failures = [each for folder in folders for each in read_failures(folder / "results")]
    twice = [cell for cell, n in Counter(each.cell for each in results).items() if n > 1]
    if twice:
        raise ResultError(f"{twice[0]}: this cell is there more than once")
    return _Run(
        {each.cell: each for each in results if names.hold(each.cell)},
        {each.cell: each for each in failures if names.hold(each.cell)},
    )


def _draft(old: _Run, new: _Run, cell: Cell) -> tuple[Change, Any]:
    """The change of a cell, and the gaps (U,) of its units where there is more to be found."""
    before, after = old.results.get(cell), new.results.get(cell)
    if before is None or after is None:
        return _lone(cell, before, after, new.failures.get(cell)), None
    changed = before.key != after.key
    means = before.score.mean, after.score.mean
    reason = _incomparable(before, after)
    if reason:
        change = Change(cell, "not comparable", *means, key_changed=changed, reason=reason)
        return change, None
    first, second = unit_values(before), unit_values(after)
    lost = int((~np.isnan(first) & np.isnan(second)).sum())
    gained = int((np.isnan(first) & ~np.isnan(second)).sum())
    state: State = "lost units" if lost else "gained units" if gained else "same"
    change = Change(cell, state, *means, None, lost, gained, changed)
    return change, None if before.values == after.values else second - first


def _lone(
    cell: Cell, before: Result | None, after: Result | None, failure: Failure | None
) -> Change:
    """A cell that has no result on one side or on both."""
    if before is not None and failure is not None:
        what = "not applicable" if failure.not_applicable else f"failed at {failure.step}"
        return Change(cell, "failed", before.score.mean, reason=f"{what}: {failure.reason}")
    if before is not None:
        return Change(cell, "vanished", before.score.mean, reason="the candidate has no such cell")
    if after is not None:
        return Change(cell, "new", None, after.score.mean, reason="the baseline has no result")
    return Change(cell, "same", reason="no result before or after")


def _incomparable(before: Result, after: Result) -> str:
    if len(before.values) != len(after.values):
        return f"{len(before.values):,} units before and {len(after.values):,} after"
    if before.higher_is_better != after.higher_is_better:
        return "the scorer ranks the other way round"
    return ""


def _judged(change: Change, difference: Estimate, after: Result, tolerance: float) -> Change:
    """The change with its difference, and worse or better if that is clear and large enough."""
    state = change.state
    outside = isnan(difference.low) or difference.low > 0 or difference.high < 0
    if outside and abs(difference.mean) > tolerance:
        better = (difference.mean > 0) == after.higher_is_better
        if not better:
            state = "worse"
        elif state not in REGRESSIONS:
            state = "better"
    return replace(change, state=state, difference=difference)
