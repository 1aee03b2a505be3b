"""From presence and evidence to linear explanations: the steps in order, shared where possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from le_bench.types import Evidence, Explanation, Term
from le_bench_plugins.explainers.linear.elastic_net import Penalty, standardise
from le_bench_plugins.explainers.linear.greedy import GreedyRules, greedy_search
from le_bench_plugins.explainers.linear.least_squares import ScaledMoments, doubted, fit_all
from le_bench_plugins.explainers.linear.moments import Moments, moments, pooled, without_twins
from le_bench_plugins.explainers.linear.presence import SplitPresence
from le_bench_plugins.explainers.linear.presence_filter import (
    LEAST_PRESENCE,
    NUM_CLEAREST,
    occurring_concepts,
)
from le_bench_plugins.explainers.linear.sharing import Content
from le_bench_plugins.explainers.linear.solvers import make_solver
from le_bench_plugins.explainers.units import unusable_units

NO_CORRELATION = "no concept correlates with this unit on the validation split"


@dataclass(frozen=True, slots=True)
class RankingOptions:
    """How concepts are ranked: the penalty and the name of the solver."""

    penalty: Penalty
    solver: str


@dataclass(frozen=True, slots=True, eq=False)
class RankedConcepts:
    """The concepts that take part, their moments, and their order (R, U) for `units` (U,).

    `gap` (U,) is the certificate of the ranking. `order` and `gap` are None if nobody asks for a
    ranking.
    """

    concepts: tuple[str, ...]
    units: Tensor
    train: Moments
    val: Moments
    order: Tensor | None = None
    gap: Tensor | None = None

    def scaled(self) -> ScaledMoments:
        """The moments in units of each concept's train deviation: new copies of their matrices."""
        return ScaledMoments.of(self.train, self.val)

    @property
    def deviation(self) -> Tensor:
        """Of each concept on train, (C,)."""
        return self.train.gram.diagonal().double().sqrt()


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Concepts (U, S) for each unit, -1 for none, and their weights (U, S) on the scale of train.

    `figures` (U,) by name are what is known of them; NaN where there are no concepts.
    """

    concepts: Tensor
    weights: Tensor
    figures: Mapping[str, Tensor] = field(default_factory=dict)


def explain_by_greedy_search(
    presence: SplitPresence, evidence: Evidence, options: RankingOptions | None, rules: GreedyRules
) -> list[Explanation]:
    """An explanation for each unit: ranking, then greedy search. See `greedy_search`.

    `options` are not needed by a search among all concepts.
    """

    def choose(ranked: RankedConcepts) -> Choice:
        found = greedy_search(ranked.scaled(), ranked.order, rules)
        return Choice(found.concepts, found.weights, {"val correlation": found.correlation})

    ranked_by = None if rules.width == "all" else options
    return _explain(presence, evidence, ranked_by, rules.num_ranked, choose)


def explain_by_top_concepts(
    presence: SplitPresence, evidence: Evidence, options: RankingOptions, k: int
) -> list[Explanation]:
    """An explanation for each unit: the `k` best of the ranking, fitted by least squares."""

    def choose(ranked: RankedConcepts) -> Choice:
        if ranked.order is None:
            raise TypeError("the top of a ranking needs a ranking")
        sets = ranked.order[:k].T
        return Choice(sets, fit_all(ranked.scaled(), sets))

    num_ranked = max(k, GreedyRules().num_ranked)  # what the greedy search asks for, to share it
    return _explain(presence, evidence, options, num_ranked, choose)


def explain_by_pooled_search(
    presence: SplitPresence, evidence: Evidence, rules: GreedyRules, doubt: float
) -> list[Explanation]:
    """An explanation for each unit: greedy search on all images at once; see `doubted`."""

    def choose(ranked: RankedConcepts) -> Choice:
        scaled = doubted(pooled(ranked.train, ranked.val), doubt)
        found = greedy_search(scaled, None, replace(rules, width="all"))
        places = found.concepts.clamp_min(0)
        scale = ranked.deviation[places] / scaled.deviation[places]
        figures = {"doubted correlation on train and val": found.correlation}
        return Choice(found.concepts, found.weights * scale, figures)

    return _explain(presence, evidence, None, 0, choose)


def _explain(
    presence: SplitPresence,
    evidence: Evidence,
    options: RankingOptions | None,
    num_ranked: int,
    choose: Callable[[RankedConcepts], Choice],
) -> list[Explanation]:
    """Explanations of all units. Their figures are those of the choice and "duality gap"."""
    reasons = dict(unusable_units(evidence.train_activations, evidence.val_activations))
    units = [unit for unit in range(evidence.num_units) if unit not in reasons]
    explained: dict[int, Explanation] = {}
    ranked = _ranked_concepts(presence, evidence, units, options, num_ranked) if units else None
    if ranked is not None and not ranked.concepts:
        reasons |= dict.fromkeys(
            units,
            f"none of {len(presence.concepts)} concepts is in the train and val images: the mean "
            f"of its {NUM_CLEAREST} largest presences must be at least {LEAST_PRESENCE:g}",
        )
    elif ranked is not None:
        choice = choose(ranked)
        sets = choice.concepts
        deviation = ranked.deviation[sets.clamp_min(0)]
        weights = torch.where(sets < 0, 0.0, choice.weights / deviation)
        means = ranked.train.concept_mean[sets.clamp_min(0)]
        bias = ranked.train.activation_mean - (weights * means).sum(1)
        figures = _figures(choice, ranked)
        for unit, chosen, factors, constant, found in zip(
            units, sets.tolist(), weights.tolist(), bias.tolist(), figures, strict=True
        ):
            terms = _terms(ranked.concepts, chosen, factors)
            reason = "" if terms else NO_CORRELATION
            explained[unit] = Explanation(unit, terms, constant if terms else 0.0, reason, found)
    return [
        explained.get(unit) or Explanation(unit, (), reason=reasons[unit])
        for unit in range(evidence.num_units)
    ]


def _figures(choice: Choice, ranked: RankedConcepts) -> list[dict[str, float]]:
    """For each unit of a ranking the figures that are defined."""
    figures = dict(choice.figures)
    if ranked.gap is not None:
        figures["duality gap"] = ranked.gap.clamp_min(0)  # rounding can make it negative
    found: list[dict[str, float]] = [{} for _ in range(len(ranked.units))]
    for name, values in figures.items():
        for unit, value in zip(found, values.tolist(), strict=True):
            if isfinite(value):
                unit[name] = value
    return found


def _terms(
    concepts: Sequence[str], chosen: Sequence[int], weights: Sequence[float]
) -> tuple[Term, ...]:
    """The chosen concepts, largest weight first, as the authors write them."""
    terms = [Term(concepts[c], w) for c, w in zip(chosen, weights, strict=True) if c >= 0]
    return tuple(sorted(terms, key=lambda term: -term.weight))


def _ranked_concepts(
    presence: SplitPresence,
    evidence: Evidence,
    units: Sequence[int],
    options: RankingOptions | None,
    num_ranked: int,
) -> RankedConcepts:
    """Filter, moments and ranking, taken from the layer's memory if another explainer made them."""
    columns = torch.tensor(units, dtype=torch.long, device=evidence.train_activations.device)
    # in the order of the dataset, so that the order in which images come cannot matter
    train_rows, val_rows = evidence.train.rows.argsort(), evidence.val.rows.argsort()
    presence = presence.rows(train_rows, val_rows)
    train_activations = _part(evidence.train_activations, train_rows, columns)
    val_activations = _part(evidence.val_activations, val_rows, columns)
    content = Content(presence.train.shape, presence.val.shape)
    occurring = occurring_concepts(presence.joined(), content.add)
    content.add(train_activations)
    content.add(val_activations)
    given = content.digest()

    def measure() -> dict[str, Tensor]:
        seen = presence.take(occurring)
        where: Any = {"device": evidence.device, "working_bytes": evidence.working_bytes}
        train = moments(seen.train, train_activations, **where)
        val = moments(seen.val, val_activations, **where)

        def exact(some: Tensor) -> tuple[Moments, Moments]:
            part = seen.take(some)
            nothing = (train_activations[:, :0], val_activations[:, :0])
            return (
                moments(part.train, nothing[0], dtype=torch.float64, **where),
                moments(part.val, nothing[1], dtype=torch.float64, **where),
            )

        kept = without_twins(train, val, exact)
        train, val = train.take(kept), val.take(kept)
        concepts = occurring[kept.to(occurring.device)]
        return {"concepts": concepts, **train.tensors("train"), **val.tensors("val")}

    measured = {
        name: values.to(evidence.device)
        for name, values in evidence.memory.remember(
            "concept moments", {"of": given}, measure
        ).items()
    }
    train = Moments.from_tensors(measured, "train")
    val = Moments.from_tensors(measured, "val")
    kept = presence.take(measured["concepts"])
    if options is None:
        return RankedConcepts(kept.concepts, columns, train, val)

    def rank() -> dict[str, Tensor]:
        def images() -> tuple[Tensor, Tensor]:
            return kept.train.whole(), train_activations

        problem = standardise(train, val, options.penalty, images, evidence.seed)
        ranking = make_solver(options.solver).solve(problem, num_ranked)
        return {"order": ranking.order, "gap": ranking.gap}

    parts: Mapping[str, Any] = {
        "of": given,
        "lam": options.penalty.lam,
        "alpha": options.penalty.alpha,
        "solver": options.solver,
        "num_ranked": num_ranked,
        # only this solver draws at random; the others share a ranking whatever the seed
        "seed": evidence.seed if options.solver == "glm-saga-stochastic" else None,
    }
    ranking = evidence.memory.remember("concept ranking", parts, rank)
    order, gap = (ranking[name].to(evidence.device) for name in ("order", "gap"))
    return RankedConcepts(kept.concepts, columns, train, val, order, gap)


def _part(activations: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Some rows and columns of activations (N, U), without a copy if it is all of them."""
    if not torch.equal(rows, torch.arange(len(activations))):
        activations = activations[rows.to(activations.device)]
    every = len(columns) == activations.shape[1]
    return activations if every else activations[:, columns]
