"""Correlation scoring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from le_bench import hookimpl
from le_bench.components import Scorer
from le_bench.formulas.correlation import constant_columns, finite_columns, pearson
from le_bench.types import Ablations, Activations, Score, Simulation, Split


@dataclass(frozen=True)
class CorrelationScorer(Scorer):
    """Pearson correlation of simulated with real activations over all test images, for each unit.

    In [-1, 1]: 1 if the simulation is the activation up to scale and offset, 0 for no linear
    relation. Undefined, with the reason, for a unit without a simulation, one whose activations
    or simulation are constant on the test images (up to rounding: see
    `le_bench.formulas.correlation.constant_columns`) or hold NaN, and if there is only one
    test image.

    Source: "Linear Explanations for Individual Neurons", section 4. The authors average whatever
    corrcoef gives, so one constant unit makes their mean NaN; here it is left to the board.
    """

    name: ClassVar[str] = "correlation"
    version: ClassVar[int] = 1
    bounds: ClassVar[tuple[float, float] | None] = (-1.0, 1.0)
    scale_free: ClassVar[bool] = True
    reference: ClassVar[str] = (
        'Oikarinen and Weng, "Linear Explanations for Individual Neurons", ICML 2024, section 4'
    )

    def score(
        self,
        simulations: Mapping[Split, Simulation],
        activations: Mapping[Split, Activations],
        ablations: Ablations | None,
    ) -> Score:
        """Correlation of each unit on the test split, (U,)."""
        simulation, recorded = simulations["test"], activations["test"].values
        values = pearson(simulation.values, recorded)
        reasons = dict(simulation.undefined)
        for undefined, reason in undefined_columns(simulation.values, recorded):
            for unit in torch.nonzero(undefined).flatten().tolist():
                reasons.setdefault(unit, reason)
        values[list(reasons)] = float("nan")
        return Score(values, dict(sorted(reasons.items())))


def undefined_columns(simulated: Tensor, recorded: Tensor) -> list[tuple[Tensor, str]]:
    """Which units have no correlation and why; the first reason that holds is a unit's reason."""
    all_units = torch.full((recorded.shape[1],), len(recorded) < 2)
    constant = constant_columns(recorded)
    return [
        (all_units, "a correlation needs at least two test images"),
        (~finite_columns(recorded), "the activations contain NaN or infinity"),
        (constant & (recorded == 0).all(0), "the unit is dead on the test images"),
        (constant, "the activations are constant on the test images"),
        (~finite_columns(simulated), "the simulation contains NaN or infinity"),
        (constant_columns(simulated), "the simulation is constant on the test images"),
    ]


@hookimpl
def le_bench_scorers() -> Iterable[type[Scorer]]:
    """Offer correlation scoring."""
    return [CorrelationScorer]
