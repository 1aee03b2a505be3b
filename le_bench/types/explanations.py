"""Explanations, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from le_bench.types.choices import Split
from le_bench.types.requirement import require


@dataclass(frozen=True, slots=True)
class Term:
    """One concept of an explanation and its weight."""

    concept: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a unit responds to: a weighted sum of concepts plus a bias.

    A textual description is a single term of weight 1. An explainer that cannot explain a unit
    gives no terms and says why in `reason`; its scores are then NaN with that reason. `figures`
    are finite numbers that the explainer found of its own explanation, by name ("val correlation",
    "IoU"): boards show them, nothing is computed from them.
    """

    unit: int
    terms: tuple[Term, ...]
    bias: float = 0.0
    reason: str = ""
    figures: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        require(
            bool(self.terms) != bool(self.reason),
            f"explanation of unit {self.unit} needs either terms or a reason for having none",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Simulation:
    """Simulated activations of all explained units on the images of one split.

    `values` (N_split, U) float32, a column of NaN where `undefined` gives the unit's reason.
    """

    split: Split
    values: Tensor
    undefined: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """One number a unit: `values` (U,) float64, NaN exactly where `undefined` gives the reason."""

    values: Tensor
    undefined: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = {int(unit) for unit in torch.nonzero(self.values.isnan()).flatten()}
        require(
            missing == set(self.undefined),
            f"units {sorted(missing ^ set(self.undefined))[:5]}: each NaN score needs a reason "
            "and each reason a NaN score",
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step ended. `seconds` is what its value cost when it was computed."""

    state: Literal["done", "cached", "failed", "skipped"]
    seconds: float = 0.0
    reason: str = ""
    fatal: bool = False  # nothing else of the run can succeed either
