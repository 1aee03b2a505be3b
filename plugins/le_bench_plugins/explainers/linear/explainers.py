"""The linear explainers: LE(Label), LE(SigLIP), LE(CLIP), two without greedy search, an oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from le_bench import hookimpl
from le_bench.components import Encoder, Explainer
from le_bench.types import ConceptSet, Evidence, Explanation, require
from le_bench_plugins.explainers.linear.elastic_net import Penalty
from le_bench_plugins.explainers.linear.explaining import (
    RankingOptions,
    explain_by_greedy_search,
    explain_by_top_concepts,
)
from le_bench_plugins.explainers.linear.greedy import GreedyRules
from le_bench_plugins.explainers.linear.presence import (
    annotated_presence,
    encoder_presence,
    label_presence,
)
from le_bench_plugins.explainers.linear.solvers import make_solver

PAPER = (
    "Oikarinen and Weng, Linear Explanations for Individual Neurons, ICML 2024, "
    "https://github.com/Trustworthy-ML-Lab/Linear-Explanations"
)


@dataclass(frozen=True, kw_only=True)
class RankedByElasticNet:
    """Options of the elastic net that ranks concepts.

    `lam` and `alpha` are the penalty and its L1 share. `solver` is "exact" (all units at once),
    "glm-saga" (the same optimum by that package, slowly) or "glm-saga-stochastic" (batches and
    stopping rule of the authors, who stop short of the optimum).
    """

    lam: float = 0.05 / 0.99
    alpha: float = 0.99
    solver: str = "exact"

    def __post_init__(self) -> None:
        Penalty(self.lam, self.alpha)
        make_solver(self.solver)

    def ranking(self) -> RankingOptions:
        """The options as one value."""
        return RankingOptions(Penalty(self.lam, self.alpha), self.solver)


@dataclass(frozen=True, kw_only=True)
class ChosenByGreedySearch(RankedByElasticNet):
    """Options of the greedy search: `width` candidates a round ("all": every concept, and no
    ranking), at most `max_length` concepts, each of which but the first must raise the val
    correlation by `tolerance`. Unless `signed`, all weights must be positive.
    """

    width: int | Literal["all"] = 10
    max_length: int = 10
    tolerance: float = 0.02
    signed: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rules()

    def rules(self) -> GreedyRules:
        """The options as one value."""
        return GreedyRules(self.width, self.max_length, self.tolerance, self.signed)


@dataclass(frozen=True, kw_only=True)
class ChosenFromTop(RankedByElasticNet):
    """Option of explainers without greedy search: the `k` best-ranked concepts (paper: 4, 5)."""

    k: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.k >= 1, f"k is {self.k}; an explanation needs at least 1 concept")


@dataclass(frozen=True, kw_only=True)
class LELabel(ChosenByGreedySearch, Explainer):
    """LE(Label): classes and superclasses as the labels imply them."""

    name: ClassVar[str] = "le-label"
    version: ClassVar[int] = 3
    reference: ClassVar[str] = PAPER

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        """See `explain_by_greedy_search`. Raises PluginError if there are no labels."""
        presence = label_presence(evidence, self.name)
        return explain_by_greedy_search(presence, evidence, self.ranking(), self.rules())


@dataclass(frozen=True, kw_only=True)
class LESigLIP(ChosenByGreedySearch, Explainer):
    """LE(SigLIP): concepts as a SigLIP encoder sees them."""

    name: ClassVar[str] = "le-siglip"
    version: ClassVar[int] = 3
    reference: ClassVar[str] = PAPER
    encoder: Encoder
    concepts: ConceptSet = field(default=ConceptSet("dataset"))

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        """See `explain_by_greedy_search`."""
        presence = encoder_presence(evidence, self.encoder, self.concepts, self.name)
        return explain_by_greedy_search(presence, evidence, self.ranking(), self.rules())


@dataclass(frozen=True, kw_only=True)
class LECLIP(ChosenByGreedySearch, Explainer):
    """LE(CLIP): concepts as a softmax CLIP encoder sees them."""

    name: ClassVar[str] = "le-clip"
    version: ClassVar[int] = 3
    reference: ClassVar[str] = PAPER
    encoder: Encoder
    concepts: ConceptSet = field(default=ConceptSet("dataset"))

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        """See `explain_by_greedy_search`."""
        presence = encoder_presence(evidence, self.encoder, self.concepts, self.name)
        return explain_by_greedy_search(presence, evidence, self.ranking(), self.rules())


@dataclass(frozen=True, kw_only=True)
class LELabelTop(ChosenFromTop, Explainer):
    """LE(Label) without greedy search: the top of the ranking, refitted (paper, Table 8)."""

    name: ClassVar[str] = "le-label-top"
    version: ClassVar[int] = 3
    reference: ClassVar[str] = PAPER

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        """See `explain_by_top_concepts`. Raises PluginError if there are no labels."""
        presence = label_presence(evidence, self.name)
        return explain_by_top_concepts(presence, evidence, self.ranking(), self.k)


@dataclass(frozen=True, kw_only=True)
class LESigLIPTop(ChosenFromTop, Explainer):
    """LE(SigLIP) without greedy search: the top of the ranking, refitted (paper, Table 8)."""

    name: ClassVar[str] = "le-siglip-top"
    version: ClassVar[int] = 3
    reference: ClassVar[str] = PAPER
    encoder: Encoder
    concepts: ConceptSet = field(default=ConceptSet("dataset"))

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        """See `explain_by_top_concepts`."""
        presence = encoder_presence(evidence, self.encoder, self.concepts, self.name)
        return explain_by_top_concepts(presence, evidence, self.ranking(), self.k)


@dataclass(frozen=True, kw_only=True)
class LEOracle(ChosenByGreedySearch, Explainer):
    """Linear explanations from every annotated concept: what a perfect encoder would allow."""

    name: ClassVar[str] = "le-oracle"
    version: ClassVar[int] = 3
    reference_row: ClassVar[bool] = True
    reference: ClassVar[str] = PAPER

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        """See `explain_by_greedy_search`. Raises PluginError if nothing is annotated."""
        presence = annotated_presence(evidence, self.name)
        return explain_by_greedy_search(presence, evidence, self.ranking(), self.rules())


@hookimpl
def le_bench_explainers() -> list[type[Explainer]]:
    """Offer the linear explainers."""
    return [LELabel, LESigLIP, LECLIP, LELabelTop, LESigLIPTop, LEOracle]
