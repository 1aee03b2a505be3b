"""Simulates a unit by the presence of its strongest concept alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from le_bench import hookimpl
from le_bench.components import Encoder, Simulator
from le_bench.types import Explanation, ProbeView, Simulation


@dataclass(frozen=True)
class MySimulator(Simulator):
    """Weight times presence of the term with the largest weight, plus the bias.

    `encoder` says how much a concept is present in an image; it should not be the explainer's own.
    An explanation without terms is undefined, for the reason it gives.
    """

    name: ClassVar[str] = "my-simulator"
    version: ClassVar[int] = 1  # raise it whenever the numbers change

    encoder: Encoder

    def simulate(self, explanations: Sequence[Explanation], probe: ProbeView) -> Simulation:
        """Simulated activations on the images of `probe`, (N, U)."""
        values = torch.full((len(probe.rows), len(explanations)), torch.nan)
        undefined = {}
        strongest = {}
        for column, explanation in enumerate(explanations):
            if explanation.terms:
                strongest[column] = max(explanation.terms, key=lambda term: abs(term.weight))
            else:
                undefined[column] = explanation.reason
        if strongest:
            columns = list(strongest)
            presence = probe.presence(self.encoder, [strongest[c].concept for c in columns])
            weights = torch.tensor([strongest[c].weight for c in columns])
            biases = torch.tensor([explanations[c].bias for c in columns])
            values[:, columns] = presence * weights + biases
        return Simulation(probe.split, values, undefined)


@hookimpl
def le_bench_simulators() -> list[type[Simulator]]:
    """Offer the simulator."""
    return [MySimulator]
