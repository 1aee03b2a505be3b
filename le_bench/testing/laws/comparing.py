"""Two answers side by side, and the first place where they differ, in words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from le_bench.types import Explanation, Score, Simulation

CLOSE = 1e-3  # of weights and scores that are sums in another order


def snapshot(named: Mapping[str, Tensor | None]) -> dict[str, str]:
    """A digest of the bits of each tensor, NaN included."""
    return {
        name: hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()
        for name, tensor in named.items()
        if tensor is not None
    }


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Which tensors are no longer what they were, in words; empty if none."""
    names = [name for name, bits in before.items() if after[name] != bits]
    if not names:
        return ""
    return f"it changed {' and '.join(names)} in place; work on a copy (`.clone()`)"


def explanations_differ(
    first: Sequence[Explanation], second: Sequence[Explanation], close: float = 0.0
) -> str:
    """The first unit whose explanations differ; weights may differ by `close`, relatively."""
    if len(first) != len(second):
        return f"{len(first)} explanations became {len(second)}"
    for a, b in zip(first, second, strict=True):
        if _said(a) != _said(b) or not _near(_numbers(a), _numbers(b), close):
            return f"unit {a.unit} was {written(a)} and became {written(b)}"
    return ""


def written(explanation: Explanation) -> str:
    """An explanation in one line, such as `1.2 'dog' + 0.5 'snow' - 0.1`."""
    if explanation.reason:
        return f"no explanation ({explanation.reason})"
    terms = [f"{term.weight:.6g} '{term.concept}'" for term in explanation.terms[:4]]
    more = [f"{len(explanation.terms) - 4} more terms"] if len(explanation.terms) > 4 else []
    return " + ".join([*terms, *more]) + (f" + {explanation.bias:.6g}" if explanation.bias else "")


def simulations_differ(first: Simulation, second: Simulation, close: float = 0.0) -> str:
    """The first image and unit whose simulated activations differ."""
    if dict(first.undefined) != dict(second.undefined):
        return f"undefined units {dict(first.undefined)} became {dict(second.undefined)}"
    return tensors_differ(first.values, second.values, ("image", "unit"), close)


def scores_differ(first: Score, second: Score, close: float = 0.0) -> str:
    """The first unit whose scores differ."""
    if dict(first.undefined) != dict(second.undefined):
        return f"undefined units {dict(first.undefined)} became {dict(second.undefined)}"
    return tensors_differ(first.values, second.values, ("unit",), close)


def tensors_differ(first: Tensor, second: Tensor, axes: Sequence[str], close: float = 0.0) -> str:
    """The place where two tensors differ most, in words; NaN equals NaN."""
    if first.shape != second.shape:
        return f"shape {tuple(first.shape)} became {tuple(second.shape)}"
    a, b = first.double(), second.double()
    if torch.allclose(a, b, rtol=close, atol=close, equal_nan=True):
        return ""
    gaps = (a - b).abs().nan_to_num(torch.inf).masked_fill(a.isnan() & b.isnan(), 0.0)
    place = torch.unravel_index(gaps.argmax(), gaps.shape)
    where = ", ".join(f"{axis} {int(i)}" for axis, i in zip(axes, place, strict=False))
    return f"{where} was {float(a[place]):.6g} and became {float(b[place]):.6g}"


def _said(explanation: Explanation) -> tuple[object, ...]:
    return (explanation.reason, *(term.concept for term in explanation.terms))


def _numbers(explanation: Explanation) -> list[float]:
    return [explanation.bias, *(term.weight for term in explanation.terms)]


def _near(first: Sequence[float], second: Sequence[float], close: float) -> bool:
    scale = max((abs(number) for number in (*first, *second)), default=0.0)
    return all(abs(a - b) <= close * scale for a, b in zip(first, second, strict=True))


def renumbered(explanations: Sequence[Explanation]) -> Iterator[Explanation]:
    """The same explanations, counted from 0."""
    for unit, e in enumerate(explanations):
        yield Explanation(unit, e.terms, e.bias, e.reason, e.figures)
