"""What all these scorers share: which units have no score, and how the others are handed on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from le_bench.components import Scorer
from le_bench.types import Activations, Score, Simulation, Split
from le_bench_plugins.scorers.correlation import undefined_columns

BLOCK_CELLS = 2**22  # images x units compared at once: about 32 MB a float64 matrix
PAPER = (
    'Oikarinen et al., "Evaluating Neuron Explanations: A Unified Framework with Sanity Checks", '
    "ICML 2025"
)
Reasons = Sequence[tuple[Tensor, str]]


@dataclass(frozen=True)
class UnitScorer(Scorer):
    """Compares simulated with real activations on the test images, unit by unit, in blocks.

    Undefined, with the reason, where correlation scoring is (no simulation; activations or
    simulation constant or not finite; one test image), so that the same units count under all
    scorers, and where `compare` says so. Memory: some matrices of 32 MB.
    """

    def score(
        self,
        simulations: Mapping[Split, Simulation],
        activations: Mapping[Split, Activations],
        _: object,
    ) -> Score:
        """One number a unit, (U,) float64."""
        simulation, recorded = simulations["test"], activations["test"].values
        reasons = dict(simulation.undefined)
        _note(reasons, undefined_columns(simulation.values, recorded), range(recorded.shape[1]))
        values = torch.full((recorded.shape[1],), torch.nan, dtype=torch.float64)
        usable = [unit for unit in range(len(values)) if unit not in reasons]
        size = max(1, BLOCK_CELLS // max(1, len(recorded)))
        for start in range(0, len(usable), size):
            units = usable[start : start + size]
            found, further = self.compare(simulation.values[:, units], recorded[:, units])
            values[units] = found.double()
            _note(reasons, further, units)
        values[list(reasons)] = torch.nan
        return Score(values, dict(sorted(reasons.items())))

    @abstractmethod
    def compare(self, simulated: Tensor, recorded: Tensor) -> tuple[Tensor, Reasons]:
        """Scores (U,) of finite columns (N, U) that vary, and which of them are undefined."""


def _note(
    reasons: dict[int, str], found: Iterable[tuple[Tensor, str]], units: Sequence[int]
) -> None:
    """Add the reason of each unit that has none yet; masks are over `units`."""
    for undefined, reason in found:
        for place in undefined.nonzero().flatten().tolist():
            reasons.setdefault(units[place], reason)
