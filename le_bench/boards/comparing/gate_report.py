"""What a gate found, as a page and as JSON-able content."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from math import isnan
from typing import Any

from le_bench.boards.comparing.blocks import Block, Heading, Paragraph, Table
from le_bench.boards.comparing.document import plain
from le_bench.boards.comparing.gate import Change, FailOn, Gate
from le_bench.boards.markdown import MISSING, number, reason_shown, shown
from le_bench.boards.statistics import INTERVAL
from le_bench.boards.tables import column_title


def gate_blocks(found: Gate, fail_on: FailOn | None) -> list[Block]:
    """The page: a summary, the rule, and every cell that is not the same."""
    otherwise = sum(each.key_changed for each in found.changes)
    blocks: list[Block] = [
        Heading(1, f"Against {shown(found.baseline)}: {found.verdict(fail_on or 'regression')}"),
        Paragraph(
            f"{found.summary()}. {otherwise:,} have another key: they were made with other "
            "options, versions or data."
        ),
        Paragraph(
            "Difference: after minus before, over the units that both score, with the interval "
            f"of one cell ({INTERVAL}, paired, not corrected for the number of cells). Worse and "
            f"better: the interval leaves out 0 and the difference is over {found.tolerance:g}."
        ),
    ]
    lines = [_line(each) for each in found.changes if each.state != "same"]
    if lines:
        blocks.append(Table(lines, right=["before", "after", "difference", "units lost"]))
    return blocks


def _line(each: Change) -> dict[str, str]:
    cell, difference = each.cell, each.difference
    text = MISSING
    if difference is not None:
        text = number(difference.mean, 4, signed=True)
        if not isnan(difference.low):
            bounds = (number(b, 4, signed=True) for b in (difference.low, difference.high))
            text += f" [{', '.join(bounds)}]"
    reason = f": {reason_shown(each.reason)}" if each.reason else ""
    return {
        "state": f"{each.state}{reason}",
        "experiment": shown(cell.experiment),
        "layer": column_title((cell.model, cell.layer)),
        "explainer": shown(cell.explainer),
        "simulator": shown(cell.simulator),
        "scorer": shown(cell.scorer),
        "before": number(each.before, 4),
        "after": number(each.after, 4),
        "difference": text,
        "units lost": str(each.lost),
    }


def gate_document(found: Gate, fail_on: FailOn | None) -> dict[str, Any]:
    """The same as JSON-able content, every cell included."""
    failing = {each.cell for each in found.failing(fail_on or "regression")}
    return {
        "baseline": found.baseline,
        "candidate": found.candidate,
        "tolerance": found.tolerance,
        "interval": INTERVAL,
        "counts": dict(Counter(each.state for each in found.changes)),
        "cells": [{**plain(asdict(each)), "fails": each.cell in failing} for each in found.changes],
    }
