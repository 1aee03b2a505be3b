"""Scores a simulation by how often it is on the right side of the middle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from le_bench import hookimpl
from le_bench.components import Scorer
from le_bench.types import Ablations, Activations, Score, Simulation, Split


@dataclass(frozen=True)
class MyScorer(Scorer):
    """Sign agreement: the share of test images on which both are above, or not above, their mean.

    In [0, 1]. Undefined, with the reason, for a unit without a simulation, with numbers that are
    not finite, or whose activations or simulation are the same on every test image.
    """

    name: ClassVar[str] = "my-scorer"
    version: ClassVar[int] = 1  # raise it whenever the numbers change
    bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    scale_free: ClassVar[bool] = True

    def score(
        self,
        simulations: Mapping[Split, Simulation],
        activations: Mapping[Split, Activations],
        ablations: Ablations | None,
    ) -> Score:
        """One number a unit, (U,) float64."""
        simulated = simulations["test"].values.double()  # (N, U)
        recorded = activations["test"].values.double()
        agree = (simulated > simulated.mean(0)) == (recorded > recorded.mean(0))
        values = agree.double().mean(0)
        undefined = dict(simulations["test"].undefined)
        for name, given in (("activations", recorded), ("simulation", simulated)):
            for unit in torch.nonzero(~given.isfinite().all(0)).flatten().tolist():
                undefined.setdefault(unit, f"{name} with NaN or infinity")
            for unit in torch.nonzero(given.amin(0) == given.amax(0)).flatten().tolist():
                undefined.setdefault(unit, f"{name} the same on all test images")
        values[list(undefined)] = torch.nan
        return Score(values, undefined)


@hookimpl
def le_bench_scorers() -> list[type[Scorer]]:
    """Offer the scorer."""
    return [MyScorer]
