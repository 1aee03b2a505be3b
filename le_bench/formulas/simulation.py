"""From presence of concepts to simulated activations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from le_bench.types import Explanation, Presence, Simulation, Split, require

BLOCK_ROWS = 4096


def concepts_of(explanations: Sequence[Explanation]) -> tuple[str, ...]:
    """Every concept of these explanations once, in the order of first use."""
    return tuple(
        dict.fromkeys(term.concept for explanation in explanations for term in explanation.terms)
    )


def simulate_linear(
    explanations: Sequence[Explanation],
    presence: Presence,
    split: Split,
    undefined: Mapping[int, str] | None = None,
) -> Simulation:
    """s(x, E) = sum_i w_i P(c_i | x) + bias for all explanations at once, (N, U) float32.

    Column u belongs to the u-th explanation. A concept that an explanation names twice counts
    twice; a textual description (one term of weight 1) is simulated as P(c | x). An explanation
    without terms gives a column of NaN with its own reason; `undefined` gives further columns and
    their reasons. `presence` (N, T) must hold every concept of the other explanations, each name
    once. NaN in the presence of a concept reaches only the units that use it. Sums are made in
    float64.

    Source: "Linear Explanations for Individual Neurons", section 4; the bias, which the paper's
    formula leaves out, is added as in the authors' code.

    >>> from le_bench.types import Term
    >>> presence = Presence(("snow", "dog"), torch.tensor([[1.0, 0.0], [0.5, 1.0]]))
    >>> explanation = Explanation(0, (Term("snow", 2.0), Term("dog", 1.0)), bias=0.5)
    >>> simulate_linear([explanation], presence, "test").values.tolist()
    [[2.5], [2.5]]
    """
    reasons = {
        unit: explanation.reason
        for unit, explanation in enumerate(explanations)
        if not explanation.terms
    } | dict(undefined or {})
    simulated = [unit for unit in range(len(explanations)) if unit not in reasons]
    values = torch.full((len(presence.values), len(explanations)), float("nan"))
    if simulated:
        chosen = [explanations[unit] for unit in simulated]
        weights = _weights(chosen, presence.concepts)
        biases = torch.tensor([explanation.bias for explanation in chosen], dtype=torch.float64)
        columns = torch.tensor(simulated)
        for start in range(0, len(values), BLOCK_ROWS):
            block = presence.values[start : start + BLOCK_ROWS].double().T
            activations = torch.sparse.mm(weights, block).T + biases
            values[start : start + BLOCK_ROWS, columns] = activations.float()
    return Simulation(split, values, dict(sorted(reasons.items())))


def _weights(explanations: Sequence[Explanation], concepts: Sequence[str]) -> Tensor:
    """Sparse (U, T) float64; sparse, so that a concept touches only the units that name it."""
    place = {concept: row for row, concept in enumerate(concepts)}
    require(len(place) == len(concepts), "a concept has more than one column of presence")
    terms = [
        (unit, place[term.concept], term.weight)
        for unit, explanation in enumerate(explanations)
        for term in explanation.terms
    ]
    units, columns, weights = zip(*terms, strict=True)
    return torch.sparse_coo_tensor(
        torch.tensor([units, columns]),
        torch.tensor(weights, dtype=torch.float64),
        (len(explanations), len(concepts)),
        check_invariants=True,
    )
