"""Simulators that see an image through a SigLIP or a CLIP."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from le_bench import hookimpl
from le_bench.components import Encoder, Simulator
from le_bench.formulas.simulation import concepts_of, simulate_linear
from le_bench.types import Explanation, Presence, ProbeView, Simulation

PAPER = 'Oikarinen and Weng, "Linear Explanations for Individual Neurons", ICML 2024, section 4'


@dataclass(frozen=True)
class SigLIPSimulator(Simulator):
    """Simulated activation s(x, E) = sum_i w_i P(c_i | x) + bias, with P as a SigLIP sees it.

    P is sigmoid(a * (cosine + b)) with the encoder's calibration, and every concept's text goes
    to the encoder as it is. The encoder should not be the explainer's own. A unit whose
    explanation has no terms is undefined, for the reason the explanation gives.
    """

    name: ClassVar[str] = "siglip"
    version: ClassVar[int] = 1
    reference: ClassVar[str] = PAPER

    encoder: Encoder

    def simulate(self, explanations: Sequence[Explanation], probe: ProbeView) -> Simulation:
        """Simulated activations, (N, U)."""
        return _simulate(self.encoder, explanations, probe)


@dataclass(frozen=True)
class CLIPSimulator(Simulator):
    """The same simulation with P as a CLIP sees it (the paper's appendix B.1)."""

    name: ClassVar[str] = "clip"
    version: ClassVar[int] = 1
    reference: ClassVar[str] = f"{PAPER} and appendix B.1"

    encoder: Encoder

    def simulate(self, explanations: Sequence[Explanation], probe: ProbeView) -> Simulation:
        """Simulated activations, (N, U)."""
        return _simulate(self.encoder, explanations, probe)


def _simulate(
    encoder: Encoder, explanations: Sequence[Explanation], probe: ProbeView
) -> Simulation:
    concepts = concepts_of(explanations)
    values = probe.presence(encoder, concepts) if concepts else torch.empty(len(probe.rows), 0)
    return simulate_linear(explanations, Presence(concepts, values), probe.split)


@hookimpl
def le_bench_simulators() -> Iterable[type[Simulator]]:
    """Offer the simulators by SigLIP and by CLIP."""
    return [SigLIPSimulator, CLIPSimulator]
