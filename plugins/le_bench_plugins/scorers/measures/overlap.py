"""Scorers that compare two sets: images that activate a unit and images that are claimed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from torch import Tensor

from le_bench import hookimpl
from le_bench.components import Scorer
from le_bench_plugins.scorers.measures.scoring import PAPER, Reasons, UnitScorer
from le_bench_plugins.scorers.measures.sets import ALPHA, active, check_alpha, claimed


class Counts(NamedTuple):
    """Images by unit, (U,) float64: active and claimed, active, claimed, all."""

    both: Tensor
    active: Tensor
    claimed: Tensor
    images: int


@dataclass(frozen=True)
class OverlapScorer(UnitScorer):
    """Base of scorers of two sets, in [0, 1].

    The unit is the truth and the explanation the prediction: recall is the share of active images
    that are claimed, precision the share of claimed images that are active. Active are the top
    `alpha` of the test images (see `sets.active`); claimed those where the simulation reaches
    `threshold` or, without one, the upper half of its range (see `sets.claimed`).
    """

    bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    reference: ClassVar[str] = PAPER

    alpha: float = ALPHA
    threshold: float | None = None

    def __post_init__(self) -> None:
        check_alpha(self.alpha)

    def compare(self, simulated: Tensor, recorded: Tensor) -> tuple[Tensor, Reasons]:
        """See `UnitScorer.compare`."""
        truth, claims = active(recorded, self.alpha), claimed(simulated, self.threshold)
        counts = Counts(
            (truth & claims).sum(0).double(),
            truth.sum(0).double(),
            claims.sum(0).double(),
            len(recorded),
        )
        values = self.measure(counts)
        return values, [
            (values.isnan() & (counts.claimed == 0), "the explanation claims no test image"),
            (values.isnan(), "the explanation claims every test image"),
        ]

    @abstractmethod
    def measure(self, counts: Counts) -> Tensor:
        """Scores (U,), NaN where a share is of no image."""


@dataclass(frozen=True)
class RecallScorer(OverlapScorer):
    """The share of active images that are claimed: both / active."""

    name: ClassVar[str] = "recall"
    version: ClassVar[int] = 1

    def measure(self, counts: Counts) -> Tensor:
        """See `OverlapScorer.measure`."""
        return counts.both / counts.active


@dataclass(frozen=True)
class PrecisionScorer(OverlapScorer):
    """The share of claimed images that are active: both / claimed.

    Undefined where nothing is claimed; the source's code gives 0 there.
    """

    name: ClassVar[str] = "precision"
    version: ClassVar[int] = 1

    def measure(self, counts: Counts) -> Tensor:
        """See `OverlapScorer.measure`."""
        return counts.both / counts.claimed


@dataclass(frozen=True)
class F1Scorer(OverlapScorer):
    """The harmonic mean of precision and recall: 2 both / (active + claimed)."""

    name: ClassVar[str] = "f1"
    version: ClassVar[int] = 1

    def measure(self, counts: Counts) -> Tensor:
        """See `OverlapScorer.measure`."""
        return 2 * counts.both / (counts.active + counts.claimed)


@dataclass(frozen=True)
class IoUScorer(OverlapScorer):
    """Intersection over union: both / (active + claimed - both)."""

    name: ClassVar[str] = "iou"
    version: ClassVar[int] = 1

    def measure(self, counts: Counts) -> Tensor:
        """See `OverlapScorer.measure`."""
        return counts.both / (counts.active + counts.claimed - counts.both)


@dataclass(frozen=True)
class AccuracyScorer(OverlapScorer):
    """The share of all images that are in both sets or in neither."""

    name: ClassVar[str] = "accuracy"
    version: ClassVar[int] = 1

    def measure(self, counts: Counts) -> Tensor:
        """See `OverlapScorer.measure`."""
        return 1 - (counts.active + counts.claimed - 2 * counts.both) / counts.images


@dataclass(frozen=True)
class BalancedAccuracyScorer(OverlapScorer):
    """Mean of the shares of active images that are claimed and of inactive ones that are not."""

    name: ClassVar[str] = "balanced-accuracy"
    version: ClassVar[int] = 1

    def measure(self, counts: Counts) -> Tensor:
        """See `OverlapScorer.measure`."""
        return _balanced(counts, counts.active)


@dataclass(frozen=True)
class InverseBalancedAccuracyScorer(OverlapScorer):
    """Balanced accuracy with the explanation as the truth.

    Mean of the shares of claimed images that are active and of others that are not. Undefined
    where no image or every image is claimed; the source's code gives half a share of 0 there.
    """

    name: ClassVar[str] = "inverse-balanced-accuracy"
    version: ClassVar[int] = 1

    def measure(self, counts: Counts) -> Tensor:
        """See `OverlapScorer.measure`."""
        return _balanced(counts, counts.claimed)


def _balanced(counts: Counts, truth: Tensor) -> Tensor:
    neither = counts.images - counts.active - counts.claimed + counts.both
    balanced: Tensor = (counts.both / truth + neither / (counts.images - truth)) / 2
    return balanced


@hookimpl
def le_bench_scorers() -> Iterable[type[Scorer]]:
    """Offer the scorers of two sets."""
    return [
        RecallScorer,
        PrecisionScorer,
        F1Scorer,
        IoUScorer,
        AccuracyScorer,
        BalancedAccuracyScorer,
        InverseBalancedAccuracyScorer,
    ]
