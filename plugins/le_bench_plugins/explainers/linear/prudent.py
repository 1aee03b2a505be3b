"""Linear explanations for other eyes: all images decide, and what is hard to see counts less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from le_bench import hookimpl
from le_bench.components import Encoder, Explainer
from le_bench.types import ConceptSet, Evidence, Explanation, require
from le_bench_plugins.explainers.linear.explaining import explain_by_pooled_search
from le_bench_plugins.explainers.linear.greedy import GreedyRules
from le_bench_plugins.explainers.linear.presence import label_or_encoder_presence


@dataclass(frozen=True, kw_only=True)
class LEPrudent(Explainer):
    """Forward selection on train and val images together, with doubt in what the encoder sees.

    Differs from `le-forward` in two ways. First, the search looks for the correlation on all images
    and not on the few of the val split, which are too few to tell hundreds of concepts apart; what
    a concept must gain to be chosen (`tolerance`) limits the length instead. Second, the images of
    a simulator are seen through another encoder: a share `doubt` of the variance that calibrated
    presence cannot show is added to each concept (`least_squares.doubted`), so that concepts of
    which the encoder is never sure get less weight, or none.

    Both defaults were chosen on the default experiment's val images, with explanations from part of
    its train images: `tolerance` for the mean length of `le-siglip` there.
    """

    name: ClassVar[str] = "le-prudent"
    version: ClassVar[int] = 3  # shares moments with `le-siglip`, whose version this is
    encoder: Encoder | None = None
    concepts: ConceptSet = field(default=ConceptSet("dataset"))
    max_length: int = 10
    tolerance: float = 0.027
    doubt: float = 0.3
    signed: bool = True

    def __post_init__(self) -> None:
        self.rules()
        require(
            0 <= self.doubt < float("inf"),
            f"doubt is {self.doubt:g}; a share of the unseen variance is at least 0",
        )

    def rules(self) -> GreedyRules:
        """The options of the search as one value."""
        return GreedyRules("all", self.max_length, self.tolerance, self.signed)

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        """See `explain_by_pooled_search`. Raises PluginError if there are no labels or concepts."""
        presence = label_or_encoder_presence(evidence, self.encoder, self.concepts, self.name)
        return explain_by_pooled_search(presence, evidence, self.rules(), self.doubt)


@hookimpl
def le_bench_explainers() -> list[type[Explainer]]:
    """Offer prudent explanations."""
    return [LEPrudent]
