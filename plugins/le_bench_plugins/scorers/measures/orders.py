"""Scorers that look at the order of images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from le_bench import hookimpl
from le_bench.components import Scorer
from le_bench.formulas.correlation import pearson
from le_bench.formulas.ranking import (
    area_under_roc,
    average_precision,
    average_ranks,
)
from le_bench_plugins.scorers.measures.scoring import PAPER, Reasons, UnitScorer
from le_bench_plugins.scorers.measures.sets import ALPHA, active, check_alpha, claimed

_EMPTY = "the explanation claims no test image or every one"


@dataclass(frozen=True)
class SpearmanScorer(UnitScorer):
    """Pearson correlation of the ranks of simulated and real activations, in [-1, 1].

    Ties have average ranks; the source's code breaks them by noise.
    """

    name: ClassVar[str] = "spearman"
    version: ClassVar[int] = 1
    bounds: ClassVar[tuple[float, float] | None] = (-1.0, 1.0)
    scale_free: ClassVar[bool] = True
    reference: ClassVar[str] = PAPER

    def compare(self, simulated: Tensor, recorded: Tensor) -> tuple[Tensor, Reasons]:
        """See `UnitScorer.compare`."""
        return pearson(average_ranks(simulated), average_ranks(recorded)), []


@dataclass(frozen=True)
class AUROCScorer(UnitScorer):
    """Area under the ROC curve of the simulation, with the top `alpha` of images as the truth.

    In [0, 1]: the chance that an active image is simulated higher than an inactive one, ties half.
    The source's code breaks ties by noise.
    """

    name: ClassVar[str] = "auroc"
    version: ClassVar[int] = 1
    bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    scale_free: ClassVar[bool] = True
    reference: ClassVar[str] = PAPER

    alpha: float = ALPHA

    def __post_init__(self) -> None:
        check_alpha(self.alpha)

    def compare(self, simulated: Tensor, recorded: Tensor) -> tuple[Tensor, Reasons]:
        """See `UnitScorer.compare`."""
        return area_under_roc(simulated, active(recorded, self.alpha)), []


@dataclass(frozen=True)
class InverseAUROCScorer(UnitScorer):
    """Area under the ROC curve of the activations, with the claimed images as the truth.

    In [0, 1]; what INVERT and CoSy report. Claimed are the images where the simulation reaches
    `threshold` or, without one, the upper half of its range. Undefined where no or every image is.
    """

    name: ClassVar[str] = "inverse-auroc"
    version: ClassVar[int] = 1
    bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    reference: ClassVar[str] = PAPER

    threshold: float | None = None

    def compare(self, simulated: Tensor, recorded: Tensor) -> tuple[Tensor, Reasons]:
        """See `UnitScorer.compare`."""
        values = area_under_roc(recorded, claimed(simulated, self.threshold))
        return values, [(values.isnan(), _EMPTY)]


@dataclass(frozen=True)
class AUPRCScorer(UnitScorer):
    """Average precision of the simulation, with the top `alpha` of images as the truth, in [0, 1].

    Images of equal simulation enter at one threshold, as in scikit-learn.
    """

    name: ClassVar[str] = "auprc"
    version: ClassVar[int] = 1
    bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    scale_free: ClassVar[bool] = True
    reference: ClassVar[str] = PAPER

    alpha: float = ALPHA

    def __post_init__(self) -> None:
        check_alpha(self.alpha)

    def compare(self, simulated: Tensor, recorded: Tensor) -> tuple[Tensor, Reasons]:
        """See `UnitScorer.compare`."""
        return average_precision(simulated, active(recorded, self.alpha)), []


@dataclass(frozen=True)
class InverseAUPRCScorer(UnitScorer):
    """Average precision of the activations, with the claimed images as the truth, in [0, 1].

    Undefined where no or every image is claimed (the latter, where it would be 1 for any unit).
    """

    name: ClassVar[str] = "inverse-auprc"
    version: ClassVar[int] = 1
    bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    reference: ClassVar[str] = PAPER

    threshold: float | None = None

    def compare(self, simulated: Tensor, recorded: Tensor) -> tuple[Tensor, Reasons]:
        """See `UnitScorer.compare`."""
        claims = claimed(simulated, self.threshold)
        empty = claims.all(0) | ~claims.any(0)
        return average_precision(recorded, claims), [(empty, _EMPTY)]


@hookimpl
def le_bench_scorers() -> Iterable[type[Scorer]]:
    """Offer the scorers of orders."""
    return [SpearmanScorer, AUROCScorer, InverseAUROCScorer, AUPRCScorer, InverseAUPRCScorer]
