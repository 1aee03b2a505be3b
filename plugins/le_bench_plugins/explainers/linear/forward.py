"""Forward selection: the greedy search with every concept a candidate in every round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from le_bench import hookimpl
from le_bench.components import Encoder, Explainer
from le_bench.types import ConceptSet, Evidence, Explanation
from le_bench_plugins.explainers.linear.explaining import explain_by_greedy_search
from le_bench_plugins.explainers.linear.greedy import GreedyRules
from le_bench_plugins.explainers.linear.presence import label_or_encoder_presence


@dataclass(frozen=True, kw_only=True)
class LEForward(Explainer):
    """Linear explanations without a ranking: each round tries every concept.

    Without an `encoder` presence is what the labels imply, else what the encoder sees of
    `concepts`. `max_length`, `tolerance` and `signed` are those of `le-siglip`. A concept that
    gains too little in one round may be chosen in a later one.
    """

    name: ClassVar[str] = "le-forward"
    version: ClassVar[int] = 3  # shares moments with `le-siglip`, whose version this is
    encoder: Encoder | None = None
    concepts: ConceptSet = field(default=ConceptSet("dataset"))
    max_length: int = 10
    tolerance: float = 0.02
    signed: bool = True

    def __post_init__(self) -> None:
        self.rules()

    def rules(self) -> GreedyRules:
        """The options as one value."""
        return GreedyRules("all", self.max_length, self.tolerance, self.signed)

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        """See `explain_by_greedy_search`. Raises PluginError if there are no labels or concepts."""
        presence = label_or_encoder_presence(evidence, self.encoder, self.concepts, self.name)
        return explain_by_greedy_search(presence, evidence, None, self.rules())


@hookimpl
def le_bench_explainers() -> list[type[Explainer]]:
    """Offer forward selection."""
    return [LEForward]
