"""CLIP-Dissect: the concept whose images, by an encoder, are most like the unit's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from le_bench import hookimpl
from le_bench.components import Encoder, Explainer
from le_bench.errors import unknown_name
from le_bench.types import ConceptSet, Evidence, Explanation, Term, require
from le_bench_plugins.explainers.choosing import first_best
from le_bench_plugins.explainers.linear.presence import concept_texts
from le_bench_plugins.explainers.similarities import (
    cosine_similarity,
    cubed_cosine_similarity,
    rank_reorder,
    soft_wpmi,
    wpmi,
)
from le_bench_plugins.explainers.units import unusable_units

Similarity = Literal["soft-wpmi", "wpmi", "rank-reorder", "cosine", "cosine-cubed"]
ALONE = "soft-wpmi compares a unit with the others of its layer, and no other unit is alive"
UNLIKE = "no concept has a defined similarity with this unit"


@dataclass(frozen=True, kw_only=True)
class CLIPDissect(Explainer):
    """CLIP-Dissect: one concept a unit, with weight 1.

    `similarity` is one of the method's five; `top_k` overrides how many of a unit's highest images
    the two mutual informations look at (their defaults are 100 and 28).

    The images are those of train and val together. Dead units, and units with a value that is not
    finite, get a reason and do not enter the mean over the layer's units that mutual information
    subtracts; because of this mean units interact. A similarity that is undefined never wins; of
    two equal ones the earlier concept does. Deviation: the authors use all images of the probe
    dataset; an explainer here never sees test images.
    """

    name: ClassVar[str] = "clip-dissect"
    version: ClassVar[int] = 2
    reference: ClassVar[str] = (
        "Oikarinen and Weng, CLIP-Dissect, ICLR 2023, "
        "https://github.com/Trustworthy-ML-Lab/CLIP-dissect"
    )
    units_interact: ClassVar[bool] = True

    encoder: Encoder
    concepts: ConceptSet = field(default=ConceptSet("dataset"))
    similarity: Similarity = "soft-wpmi"
    top_k: int | None = None

    def __post_init__(self) -> None:
        known = get_args(Similarity)
        require(self.similarity in known, unknown_name("similarity", self.similarity, known))
        if self.top_k is not None:
            require(
                self.similarity in ("soft-wpmi", "wpmi"),
                f"similarity '{self.similarity}' has no top_k; leave it out",
            )
            require(self.top_k >= 1, f"top_k is {self.top_k}; at least 1 image is needed")

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        """The most similar concept of each unit. Raises PluginError for an empty concept set."""
        texts = concept_texts(evidence, self.concepts, self.name)
        reasons = dict(unusable_units(evidence.train_activations, evidence.val_activations))
        live = [unit for unit in range(evidence.num_units) if unit not in reasons]
        chosen: dict[int, Explanation] = {}
        if len(live) == 1 and self.similarity == "soft-wpmi":
            reasons[live[0]] = ALONE
        elif live:
            values, concepts = first_best(self._similarities(evidence, texts, live))
            for unit, value, concept in zip(live, values.tolist(), concepts.tolist(), strict=True):
                if value == -torch.inf:
                    reasons[unit] = UNLIKE
                else:
                    term = Term(texts[concept])
                    chosen[unit] = Explanation(unit, (term,), figures={"similarity": value})
        return [
            chosen.get(unit) or Explanation(unit, (), reason=reasons[unit])
            for unit in range(evidence.num_units)
        ]

    def _similarities(
        self, evidence: Evidence, texts: Sequence[str], units: Sequence[int]
    ) -> Tensor:
        """Similarity (len(units), C) over train and val images in the order of the dataset.

        That order decides between images that activate a unit equally, so it must not depend on
        how the rows come.
        """
        in_order = torch.cat([evidence.train.rows, evidence.val.rows]).argsort()
        cosines = torch.cat(
            [view.cosines(self.encoder, texts) for view in (evidence.train, evidence.val)]
        )[in_order]
        activations = torch.cat([evidence.train_activations, evidence.val_activations])
        activations = activations[:, torch.tensor(units)][in_order]
        if self.similarity == "soft-wpmi":
            return soft_wpmi(cosines, activations, self.top_k or 100)
        if self.similarity == "wpmi":
            return wpmi(cosines, activations, self.top_k or 28)
        if self.similarity == "rank-reorder":
            return rank_reorder(cosines, activations, evidence.seed)
        if self.similarity == "cosine":
            return cosine_similarity(cosines, activations)
        return cubed_cosine_similarity(cosines, activations)


@hookimpl
def le_bench_explainers() -> list[type[Explainer]]:
    """Offer CLIP-Dissect."""
    return [CLIPDissect]
