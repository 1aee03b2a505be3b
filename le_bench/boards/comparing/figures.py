"""How figures of a comparison are written: differences, p-values, and what is compared."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan

from le_bench.boards.comparing.comparison import Group
from le_bench.boards.comparing.contrasts import Estimate
from le_bench.boards.markdown import number, shown

SIGNIFICANT = 0.05
DECIMALS = 3


def interval(estimate: Estimate) -> str:
    """A signed difference with its interval, if it has one."""
    mean = number(estimate.mean, DECIMALS, signed=True)
    if isnan(estimate.low):
        return mean
    bounds = (number(bound, DECIMALS, signed=True) for bound in (estimate.low, estimate.high))
    return f"{mean} [{', '.join(bounds)}]"


def p_value(corrected: float) -> str:
    """A corrected p-value."""
    if isnan(corrected):
        return "n/a"
    return "<0.001" if corrected < 0.001 else f"{corrected:.3f}"


def group_title(group: Group, show: Callable[[str], str] = shown) -> str:
    """What all cells of a group have in common."""
    parts = [("scorer", group.scorer), ("simulator", group.simulator)]
    return ", ".join(f"{kind} {show(name)}" for kind, name in parts if name is not None)
