"""The linear explainers: LE(Label), LE(SigLIP), LE(CLIP), two without greedy search, an oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

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

    `lam` and `alpha` are the penalty and its L1 share. `solver` is "glm-saga" (converged, with
    a certificate) or "glm-saga-stochastic" (batches and stopping rule of the authors).
    """

    lam: float = 0.05 / 0.99
    alpha: float = 0.99
    solver: str = "glm-saga"

    def __post_init__(self) -> None:
        Penalty(self.lam, self.alpha)
        make_solver(self.solver)

    def ranking(self) -> RankingOptions:
        """The options as one value."""
        return RankingOptions(Penalty(self.lam, self.alpha), self.solver)


@dataclass(frozen=True, kw_only=True)
class ChosenByGreedySearch(RankedByElasticNet):
    """Options of the greedy search: `width` candidates a round, at most `max_length` concepts,
    each of which but the first must raise the val correlation by `tolerance`.
    """

    width: int = 10
    max_length: int = 10
    tolerance: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.width >= 1, f"width is {self.width}; a round needs at least 1 candidate")
        require(
            self.max_length >= 1,
            f"max_length is {self.max_length}; an explanation needs at least 1 concept",
        )
        require(
            0 <= self.tolerance <= 2,
            f"tolerance is {self.tolerance:g}; a gain in correlation lies between 0 and 2",
        )

    def rules(self) -> GreedyRules:
        """The options as one value."""
        return GreedyRules(self.width, self.max_length, self.tolerance)


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
    reference: ClassVar[str] = PAPER

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        """See `explain_by_greedy_search`. Raises PluginError if there are no labels."""
        presence = label_presence(evidence, self.name)
        return explain_by_greedy_search(presence, evidence, self.ranking(), self.rules())


@dataclass(frozen=True, kw_only=True)
class LESigLIP(ChosenByGreedySearch, Explainer):
    """LE(SigLIP): concepts as a SigLIP encoder sees them."""

    name: ClassVar[str] = "le-siglip"
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
    reference: ClassVar[str] = PAPER

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        """See `explain_by_top_concepts`. Raises PluginError if there are no labels."""
        presence = label_presence(evidence, self.name)
        return explain_by_top_concepts(presence, evidence, self.ranking(), self.k)


@dataclass(frozen=True, kw_only=True)
class LESigLIPTop(ChosenFromTop, Explainer):
    """LE(SigLIP) without greedy search: the top of the ranking, refitted (paper, Table 8)."""

    name: ClassVar[str] = "le-siglip-top"
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
