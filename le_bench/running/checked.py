"""What comes back from explainers, simulators and scorers, checked before it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import torch

from le_bench.errors import BenchError
from le_bench.types import Explanation, Score, Term


def check_explanations(explanations: Sequence[Any], num_units: int, name: str) -> None:
    """Refuse what is not one explanation with finite numbers for each unit. Raises BenchError."""
    if not all(isinstance(explanation, Explanation) for explanation in explanations):
        raise BenchError(f"explainer '{name}' returned something other than Explanation objects")
    for explanation in explanations:
        _check_explanation(explanation, f"explainer '{name}', unit {explanation.unit}")
    units = [explanation.unit for explanation in explanations]
    if units != list(range(num_units)):
        raise BenchError(
            f"explainer '{name}' returned {len(units)} explanations for {num_units} units; give "
            "one for each unit, in order, and a reason where a unit cannot be explained"
        )


def _check_explanation(explanation: Explanation, where: str) -> None:
    for term in explanation.terms:
        if not isinstance(term, Term) or not is_text(term.concept):
            raise BenchError(f"{where}: {term!r} is not a Term of a text and a weight")
    if not is_text(explanation.reason):
        raise BenchError(f"{where}: the reason {explanation.reason!r} is not a text")
    nameless = [name for name in explanation.figures if not is_text(name) or not name]
    if nameless:
        raise BenchError(f"{where}: {nameless[0]!r} is no name of a figure; give a text")
    weights = [term.weight for term in explanation.terms]
    numbers = [explanation.bias, *weights, *explanation.figures.values()]
    if not all(map(_is_number, numbers)):
        raise BenchError(
            f"{where}: weights, bias and figures must be finite Python numbers, not {numbers}; "
            "where there is none, give a reason and no terms"
        )


def check_score(score: Score, num_units: int, name: str) -> None:
    """Refuse what is not a number, or NaN with a reason, for each unit. Raises BenchError."""
    if score.values.shape != (num_units,):
        raise BenchError(
            f"scorer '{name}' returned shape {tuple(score.values.shape)} for {num_units} units"
        )
    infinite = torch.nonzero(score.values.isinf()).flatten().tolist()
    if infinite:
        raise BenchError(
            f"scorer '{name}' gave infinite scores for units {infinite[:5]}; it must give NaN "
            "with a reason where a score is undefined"
        )
    check_reasons(score.undefined, f"scorer '{name}'")


def check_reasons(undefined: Mapping[int, str], who: str) -> None:
    """Refuse reasons of undefined units that tell nothing. Raises BenchError."""
    for unit, reason in undefined.items():
        if not is_text(reason) or not reason:
            raise BenchError(
                f"{who}: unit {unit} is undefined for the reason {reason!r}; say why in words"
            )


def is_text(value: object) -> bool:
    """Whether this is a text that a file can hold: one without half a surrogate pair."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_number(value: object) -> bool:
    """Whether this is a Python number that a float can hold, and finite."""
    try:
        return isinstance(value, int | float) and isfinite(value)
    except OverflowError:
        return False
