"""Where an explainer takes the presence of concepts from: labels, annotation or an encoder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from le_bench.components import Encoder
from le_bench.errors import PluginError
from le_bench.types import ConceptSet, Evidence, Presence


@dataclass(frozen=True, slots=True, eq=False)
class SplitPresence:
    """How much each concept is present in the train and in the val images.

    `train` (N_train, C) and `val` (N_val, C) are float32 in [0, 1].
    """

    concepts: tuple[str, ...]
    train: Tensor
    val: Tensor

    def joined(self) -> Tensor:
        """The train rows followed by the val rows, (N_train + N_val, C)."""
        return torch.cat([self.train, self.val])

    def take(self, columns: Tensor) -> SplitPresence:
        """The same images for some of the concepts."""
        names = tuple(self.concepts[column] for column in columns.tolist())
        return SplitPresence(names, self.train[:, columns], self.val[:, columns])


def label_presence(evidence: Evidence, explainer: str) -> SplitPresence:
    """The classes and superclasses that the labels imply, as in LE(Label).

    Raises PluginError, naming `explainer`, if the probe dataset has no labels.
    """
    return _known_presence(
        evidence.train.label_presence,
        evidence.val.label_presence,
        f"'{explainer}' needs class labels, and the probe dataset has none; "
        "take an explainer with an encoder (le-siglip) or a dataset with labels",
    )


def annotated_presence(evidence: Evidence, explainer: str) -> SplitPresence:
    """Every annotated concept. Raises PluginError, naming `explainer`, if there are none."""
    return _known_presence(
        evidence.train.concept_presence,
        evidence.val.concept_presence,
        f"'{explainer}' needs annotated concepts, and the probe dataset has none; "
        "take le-label or le-siglip, or a dataset whose images are annotated",
    )


def concept_texts(evidence: Evidence, concepts: ConceptSet, explainer: str) -> tuple[str, ...]:
    """The texts of a concept set, each once, in order.

    A repeated text would be a concept that no image tells from the first; it would take half of
    its weight, and a second share of CLIP-Dissect's softmax. Raises PluginError, naming
    `explainer`, if there are no texts.
    """
    texts = tuple(dict.fromkeys(concepts.resolve(evidence.vocabulary)))
    if not texts:
        raise PluginError(
            f"'{explainer}' has no concepts: concept set '{concepts.name}' is empty; "
            "give the explainer a concept set of its own"
        )
    return texts


def encoder_presence(
    evidence: Evidence, encoder: Encoder, concepts: ConceptSet, explainer: str
) -> SplitPresence:
    """P = sigmoid(a * (cosine + b)) of an encoder, as in LE(SigLIP) and LE(CLIP)."""
    texts = concept_texts(evidence, concepts, explainer)
    return SplitPresence(
        texts, evidence.train.presence(encoder, texts), evidence.val.presence(encoder, texts)
    )


def _known_presence(train: Presence | None, val: Presence | None, missing: str) -> SplitPresence:
    if train is None or val is None:
        raise PluginError(missing)
    return SplitPresence(train.concepts, train.values, val.values)
