"""Whether explanations made again are those that are on record."""

from __future__ import annotations

from le_bench.boards.records import LayerExplanations, UnitExplanation

TOLERANCE = 1e-3  # two machines may differ this much in a number and still have reproduced it


def nearly_equal(old: LayerExplanations, new: LayerExplanations) -> bool:
    """Whether two sets of explanations differ in nothing but the last digits of numbers."""
    if len(old.units) != len(new.units):
        return False
    for a, b in zip(old.units, new.units, strict=True):
        old_numbers, new_numbers = _numbers(a), _numbers(b)
        if (a.unit, a.reason, list(old_numbers)) != (b.unit, b.reason, list(new_numbers)):
            return False
        for name, x in old_numbers.items():
            if abs(x - new_numbers[name]) > TOLERANCE * max(1.0, abs(x)):
                return False
    return True


def _numbers(explanation: UnitExplanation) -> dict[tuple[str, str | int, str], float]:
    """Every number of an explanation, by what it is, in order."""
    return {
        ("bias", 0, ""): explanation.bias,
        **{("term", n, c): weight for n, (c, weight) in enumerate(explanation.terms)},
        **{("figure", 0, name): value for name, value in sorted(explanation.figures.items())},
    }
