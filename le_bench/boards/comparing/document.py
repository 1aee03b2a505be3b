"""A comparison as JSON-able content; undefined numbers are null."""

from __future__ import annotations

from dataclasses import asdict
from math import isnan
from typing import Any

from le_bench.boards.comparing.comparison import Comparison
from le_bench.boards.comparing.report import Explanations
from le_bench.boards.comparing.summary import summary_of
from le_bench.boards.statistics import INTERVAL


def document_of(comparison: Comparison, explanations: Explanations) -> dict[str, Any]:
    """All pairs, rows, cells and units of a comparison; numbers have six decimals."""
    content: dict[str, Any] = plain(asdict(comparison))
    content["summary"] = summary_of(comparison)
    content["leaders"] = [
        {**asdict(group), "first": first, "second": second}
        for group, first, second in comparison.leaders
    ]
    for each, found in zip(content["disagreements"], comparison.disagreements, strict=True):
        each["explanations"] = [
            _terms(explanations, (*found.column, name), found.unit) for name in found.explainers
        ]
    content["interval"] = INTERVAL
    content["correction"] = f"Holm over {comparison.num_tests} differences"
    return content


def _terms(explanations: Explanations, place: tuple[str, str, str], unit: int) -> Any:
    layer = explanations.get(place)
    found = next((each for each in layer.units if each.unit == unit), None) if layer else None
    if found is None:
        return None
    return {"terms": plain(found.terms), "bias": found.bias, "reason": found.reason}


def plain(content: Any) -> Any:
    """Content without NaN and tuples."""
    if isinstance(content, float):
        return None if isnan(content) else round(content, 6)
    if isinstance(content, dict):
        return {key: plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [plain(value) for value in content]
    return content
