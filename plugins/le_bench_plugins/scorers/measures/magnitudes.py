"""Scorers that look at magnitudes: cosine, mean activation difference, WPMI."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from le_bench import hookimpl
from le_bench.components import Scorer
from le_bench_plugins.scorers.measures.scoring import PAPER, Reasons, UnitScorer
from le_bench_plugins.scorers.measures.sets import ALPHA, active, check_alpha, claimed

SMALLEST = 1e-8  # presences below count as this in a logarithm, as in the source
SLACK = 1e-6  # rounding by which a presence may leave [0, 1]


@dataclass(frozen=True)
class CosineScorer(UnitScorer):
    """Cosine of simulated and real activations over the test images, in [-1, 1].

    Not centred, so unlike correlation it changes with offsets of either side: an explanation's
    bias counts. Columns are scaled before they are multiplied, so their magnitude does not matter.
    """

    name: ClassVar[str] = "cosine"
    version: ClassVar[int] = 1
    bounds: ClassVar[tuple[float, float] | None] = (-1.0, 1.0)
    scale_free: ClassVar[bool] = True
    reference: ClassVar[str] = PAPER

    def compare(self, simulated: Tensor, recorded: Tensor) -> tuple[Tensor, Reasons]:
        """See `UnitScorer.compare`."""
        return (_unit_columns(simulated) * _unit_columns(recorded)).sum(0).clamp(-1.0, 1.0), []


def _unit_columns(values: Tensor) -> Tensor:
    scaled = values.double() / values.double().abs().amax(0)
    lengths: Tensor = torch.linalg.vector_norm(scaled, dim=0)
    return scaled / lengths


@dataclass(frozen=True)
class MeanActivationDifferenceScorer(UnitScorer):
    """Mean activation on claimed images minus that on all others, in units of the activation.

    Unbounded and not comparable between units of different scale; CoSy divides it by a deviation,
    this does not. Claimed are the images where the simulation reaches `threshold` or, without
    one, the upper half of its range. Undefined where no or every image is claimed.
    """

    name: ClassVar[str] = "mean-activation-difference"
    version: ClassVar[int] = 1
    reference: ClassVar[str] = PAPER

    threshold: float | None = None

    def compare(self, simulated: Tensor, recorded: Tensor) -> tuple[Tensor, Reasons]:
        """See `UnitScorer.compare`."""
        claims, own = claimed(simulated, self.threshold), recorded.double()
        inside = torch.where(claims, own, 0.0).sum(0) / claims.sum(0)
        outside = torch.where(claims, 0.0, own).sum(0) / (~claims).sum(0)
        values = inside - outside
        return values, [(values.isnan(), "the explanation claims no test image or every one")]


@dataclass(frozen=True)
class WPMIScorer(UnitScorer):
    """Weighted pointwise mutual information of a concept and the unit's top images; unbounded.

    Mean over active images of log P(c | x), minus `weight` times log of the mean P(c | x) over all
    images. P below 1e-8 counts as that. It needs a presence: undefined where the simulation leaves
    [0, 1], as that of most linear explanations does.

    Source: Oikarinen et al. (ICML 2025), after CLIP-Dissect.
    """

    name: ClassVar[str] = "wpmi"
    version: ClassVar[int] = 1
    reference: ClassVar[str] = PAPER

    alpha: float = ALPHA
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_alpha(self.alpha)

    def compare(self, simulated: Tensor, recorded: Tensor) -> tuple[Tensor, Reasons]:
        """See `UnitScorer.compare`."""
        low, high = torch.aminmax(simulated, dim=0)
        outside = (low < -SLACK) | (high > 1 + SLACK)
        presence = simulated.double().clamp(0.0, 1.0)
        top = active(recorded, self.alpha)
        logs = torch.where(top, presence.clamp_min(SMALLEST).log(), 0.0).sum(0) / top.sum(0)
        values = logs - self.weight * presence.mean(0).clamp_min(SMALLEST).log()
        reason = "the simulation leaves [0, 1] and is no presence of a concept, which WPMI needs"
        return values, [(outside, reason)]


@hookimpl
def le_bench_scorers() -> Iterable[type[Scorer]]:
    """Offer the scorers of magnitudes."""
    return [CosineScorer, MeanActivationDifferenceScorer, WPMIScorer]
