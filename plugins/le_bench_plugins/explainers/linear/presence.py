"""Where an explainer takes the presence of concepts from: labels, annotation or an encoder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from le_bench.components import Encoder
from le_bench.errors import PluginError
from le_bench.types import ConceptSet, Evidence, Presence, ProbeView
from le_bench_plugins.explainers.linear.blocks import PresenceBlocks

MOST_BYTES = 2**30  # of presence in float32 that may stand in memory, 1 GiB


@dataclass(frozen=True, slots=True, eq=False)
class SplitPresence:
    """How much each concept is present, in [0, 1], in the train and in the val images.

    `train` is (N_train, C), `val` (N_val, C); neither need stand in memory.
    """

    concepts: tuple[str, ...]
    train: PresenceBlocks
    val: PresenceBlocks

    def joined(self) -> PresenceBlocks:
        """The train images followed by the val images, (N_train + N_val, C)."""
        return self.train.followed_by(self.val)

    def take(self, columns: Tensor) -> SplitPresence:
        """The same images for some of the concepts."""
        names = tuple(self.concepts[column] for column in columns.tolist())
        return SplitPresence(names, self.train.take(columns), self.val.take(columns))

    def rows(self, train: Tensor, val: Tensor) -> SplitPresence:
        """The same concepts for some of the images of each split."""
        return SplitPresence(self.concepts, self.train.rows(train), self.val.rows(val))


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
    evidence: Evidence,
    encoder: Encoder,
    concepts: ConceptSet,
    explainer: str,
    most_bytes: int = MOST_BYTES,
) -> SplitPresence:
    """P = sigmoid(a * (cosine + b)) of an encoder, as in LE(SigLIP) and LE(CLIP).

    Presence of more than `most_bytes` in float32 never stands in memory: it is made from the
    embeddings block by block, whenever it is read.
    """
    texts = concept_texts(evidence, concepts, explainer)
    views = (evidence.train, evidence.val)
    num_bytes = sum(4 * len(view.rows) * len(texts) for view in views)
    if num_bytes <= most_bytes:
        train, val = (PresenceBlocks.of(view.presence(encoder, texts)) for view in views)
    else:
        train, val = (_from_embeddings(view, encoder, texts) for view in views)
    return SplitPresence(texts, train, val)


def label_or_encoder_presence(
    evidence: Evidence, encoder: Encoder | None, concepts: ConceptSet, explainer: str
) -> SplitPresence:
    """What the labels imply if there is no encoder, else what it sees of the concepts."""
    if encoder is None:
        return label_presence(evidence, explainer)
    return encoder_presence(evidence, encoder, concepts, explainer)


def _from_embeddings(view: ProbeView, encoder: Encoder, texts: tuple[str, ...]) -> PresenceBlocks:
    def read(places: Tensor) -> Tensor:
        part = ProbeView(view.split, view.rows[places], view.encodings)
        return part.presence(encoder, texts)

    return PresenceBlocks(read, torch.arange(len(view.rows)), torch.arange(len(texts)))


def _known_presence(train: Presence | None, val: Presence | None, missing: str) -> SplitPresence:
    if train is None or val is None:
        raise PluginError(missing)
    return SplitPresence(
        train.concepts, PresenceBlocks.of(train.values), PresenceBlocks.of(val.values)
    )
