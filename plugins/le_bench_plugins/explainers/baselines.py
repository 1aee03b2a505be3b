"""Two explainers that every other should beat: a random concept, and the single best one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch

from le_bench import hookimpl
from le_bench.components import Encoder, Explainer
from le_bench.types import ConceptSet, Evidence, Explanation, Term, require
from le_bench_plugins.explainers.choosing import first_best
from le_bench_plugins.explainers.linear.moments import moments
from le_bench_plugins.explainers.linear.presence import (
    SplitPresence,
    encoder_presence,
    label_presence,
)
from le_bench_plugins.explainers.linear.presence_filter import occurring_concepts
from le_bench_plugins.explainers.units import unusable_units

NOTHING_OCCURS = "none of the concepts is clearly present in the train and val images"


@dataclass(frozen=True, kw_only=True)
class FromOneSource:
    """Options: where the presence of concepts comes from.

    `source` is "labels" (classes and superclasses) or "encoder", which needs an `encoder`;
    `concepts` are those that the encoder looks for.
    """

    source: Literal["labels", "encoder"] = "labels"
    encoder: Encoder | None = None
    concepts: ConceptSet = field(default=ConceptSet("dataset"))

    def __post_init__(self) -> None:
        require(
            self.source in ("labels", "encoder"),
            f"source '{self.source}' does not exist; take 'labels' or 'encoder'",
        )
        require(
            (self.encoder is not None) == (self.source == "encoder"),
            "source 'encoder' and the option encoder go together; give both or neither",
        )

    def presence(self, evidence: Evidence, explainer: str) -> SplitPresence:
        """The concepts that occur in train and val images, as for linear explanations."""
        if self.encoder is None:
            presence = label_presence(evidence, explainer)
        else:
            presence = encoder_presence(evidence, self.encoder, self.concepts, explainer)
        return presence.take(occurring_concepts(presence.joined()))


@dataclass(frozen=True, kw_only=True)
class RandomConcept(FromOneSource, Explainer):
    """One random concept a unit, with weight 1.

    Drawn from the concepts that occur, by the evidence's seed and the unit's number alone: neither
    the activations nor other units matter. A dead unit gets a concept like any other.
    """

    name: ClassVar[str] = "random"
    reference_row: ClassVar[bool] = True
    units_interact: ClassVar[bool] = True  # alone, each unit is number 0 and gets its concept

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        """A concept for each unit. Raises PluginError if there are no labels or concepts."""
        concepts = self.presence(evidence, self.name).concepts
        if not concepts:
            return [
                Explanation(unit, (), reason=NOTHING_OCCURS) for unit in range(evidence.num_units)
            ]
        return [
            Explanation(unit, (Term(concepts[_draw(evidence.seed, unit) % len(concepts)]),))
            for unit in range(evidence.num_units)
        ]


@dataclass(frozen=True, kw_only=True)
class BestConcept(FromOneSource, Explainer):
    """The single concept that correlates best with the unit, with weight 1.

    Pearson correlation over train and val images; of equal concepts the first. A unit with which no
    concept correlates positively gets a reason, as do dead units.
    """

    name: ClassVar[str] = "best-concept"
    version: ClassVar[int] = 2

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        """A concept for each unit. Raises PluginError if there are no labels or concepts."""
        presence = self.presence(evidence, self.name)
        reasons = dict(unusable_units(evidence.train_activations, evidence.val_activations))
        units = [unit for unit in range(evidence.num_units) if unit not in reasons]
        chosen: dict[int, Explanation] = {}
        if not presence.concepts:
            reasons |= dict.fromkeys(units, NOTHING_OCCURS)
        elif units:
            activations = torch.cat([evidence.train_activations, evidence.val_activations])
            found = moments(presence.joined(), activations[:, torch.tensor(units)])
            deviations = (found.gram.diagonal()[:, None] * found.power).sqrt()
            correlations, best = first_best((found.cross / deviations).T)
            for unit, correlation, concept in zip(
                units, correlations.tolist(), best.tolist(), strict=True
            ):
                if correlation > 0:
                    figures = {"correlation on train and val": correlation}
                    term = Term(presence.concepts[concept])
                    chosen[unit] = Explanation(unit, (term,), figures=figures)
                else:
                    reasons[unit] = "no concept correlates with this unit on train and val images"
        return [
            chosen.get(unit) or Explanation(unit, (), reason=reasons[unit])
            for unit in range(evidence.num_units)
        ]


def _draw(seed: int, unit: int) -> int:
    """A number below 2^64 that depends on seed and unit alone, on any machine and version."""
    return int.from_bytes(hashlib.blake2b(f"{seed}:{unit}".encode(), digest_size=8).digest())


@hookimpl
def le_bench_explainers() -> list[type[Explainer]]:
    """Offer the baselines."""
    return [RandomConcept, BestConcept]
