"""Components that are within the letter of what a plugin must do, and yet odd."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from le_bench import hookimpl
from le_bench.components import Scorer
from le_bench.types import Ablations, Activations, Score, Simulation, Split


@dataclass(frozen=True)
class OddScorer(Scorer):
    """Scores 0 for each unit; can be told to do something odd besides."""

    name: ClassVar[str] = "odd"

    oddity: str = ""

    def score(
        self,
        simulations: Mapping[Split, Simulation],
        activations: Mapping[Split, Activations],
        ablations: Ablations | None,
    ) -> Score:
        values = torch.zeros(activations["test"].values.shape[1], dtype=torch.float64)
        if self.oddity == "writes":
            for split in ("val", "test"):
                simulations[split].values.zero_()
                activations[split].values.zero_()
        return Score(values)


@hookimpl
def le_bench_scorers() -> Iterable[type[Scorer]]:
    return [OddScorer]
