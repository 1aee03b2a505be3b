"""The simulator that knows the truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from le_bench import hookimpl
from le_bench.components import Simulator
from le_bench.formulas.simulation import concepts_of, simulate_linear
from le_bench.probing.presence import union_by_name
from le_bench.types import Explanation, Presence, ProbeView, Simulation


@dataclass(frozen=True)
class LabelsSimulator(Simulator):
    """Simulated activation s(x, E) = sum_i w_i y_i(x) + bias, with y the probe dataset's labels.

    y_i(x) is the annotated presence of concept c_i if the dataset annotates a concept of that
    name, else what the class label implies for that name. Where several columns bear the name,
    the concept is present if any of them says so. An explanation with a concept that has no
    ground truth makes its unit undefined. This shows how much of a score is lost by the
    simulator's eyes; no encoder enters.
    """

    name: ClassVar[str] = "labels"
    version: ClassVar[int] = 1

    def simulate(self, explanations: Sequence[Explanation], probe: ProbeView) -> Simulation:
        """Simulated activations, (N, U)."""
        concepts = concepts_of(explanations)
        values = torch.full((len(probe.rows), len(concepts)), float("nan"))
        missing = list(concepts)
        for truth in (probe.concept_presence, probe.label_presence):
            if truth is not None and missing:
                columns = [column for column, name in enumerate(concepts) if name in set(missing)]
                values[:, columns], missing = union_by_name(truth, missing)
        undefined = {
            unit: f"concept '{concept}' has no ground truth in the probe dataset"
            for unit, explanation in enumerate(explanations)
            for concept in [_first_of(explanation, frozenset(missing))]
            if concept is not None
        }
        return simulate_linear(explanations, Presence(concepts, values), probe.split, undefined)


def _first_of(explanation: Explanation, missing: frozenset[str]) -> str | None:
    """The first concept of an explanation that is missing, or None."""
    return next((term.concept for term in explanation.terms if term.concept in missing), None)


@hookimpl
def le_bench_simulators() -> Iterable[type[Simulator]]:
    """Offer the simulator by ground truth."""
    return [LabelsSimulator]
