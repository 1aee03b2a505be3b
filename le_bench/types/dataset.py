"""A probe dataset: images and what is known about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from le_bench.types.choices import SPLITS, Split
from le_bench.types.requirement import require


@dataclass(frozen=True, slots=True)
class ConceptSet:
    """A named list of concept texts.

    `concepts` is None for the probe dataset's own vocabulary; if `joined`, that vocabulary comes
    first and `concepts` after it.
    """

    name: str
    concepts: tuple[str, ...] | None = None
    joined: bool = False

    def resolve(self, vocabulary: tuple[str, ...]) -> tuple[str, ...]:
        """The texts of this set for a dataset with this vocabulary, each once."""
        if self.concepts is None:
            return vocabulary
        if self.joined:
            return tuple(dict.fromkeys((*vocabulary, *self.concepts)))
        return self.concepts

    @property
    def content(self) -> Any:
        """What decides the texts, beside the dataset, as JSON-able content."""
        if self.concepts is None:
            return None
        return ["and", list(self.concepts)] if self.joined else list(self.concepts)


@dataclass(frozen=True, slots=True, eq=False)
class Presence:
    """How much each concept is present in each image: `values` (N, C) float32 in [0, 1]."""

    concepts: tuple[str, ...]
    values: Tensor

    def __post_init__(self) -> None:
        require(
            self.values.ndim == 2 and self.values.shape[1] == len(self.concepts),
            f"presence has shape {tuple(self.values.shape)} for {len(self.concepts)} concepts",
        )

    def take(self, rows: Tensor) -> Presence:
        """The same concepts for some of the images."""
        return Presence(self.concepts, self.values[rows])


class Images(Protocol):
    """Probe images by row; may be read from several threads at once."""

    def __len__(self) -> int: ...

    def read(self, rows: Sequence[int]) -> list[np.ndarray]:
        """The images of these rows, each (height, width, 3) uint8 RGB."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PixelLabels:
    """What is labelled in B images, by numbers: 0 for nothing, v for concept v - 1.

    `layers` (B, L, height, width) holds label maps; labels that overlap lie in different layers.
    `whole` (B, W) holds labels of whole images. Both are integers of any type; images with fewer
    layers or labels than others have zeros.
    """

    layers: np.ndarray
    whole: np.ndarray

    def __post_init__(self) -> None:
        require(
            self.layers.ndim == 4 and self.whole.ndim == 2 and len(self.layers) == len(self.whole),
            f"label maps of shape {self.layers.shape} and labels of whole images of shape "
            f"{self.whole.shape} are not (images, layers, height, width) and (images, labels)",
        )


class Masks(Protocol):
    """Pixel labels: what segmentation-based explainers compare maps with."""

    @property
    def categories(self) -> Mapping[str, tuple[str, ...]]:
        """The concepts of each category; all of them in this order are counted from 1 as labels.

        Each concept belongs to one category, whatever map it is labelled in.
        """
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every label map, which may differ from those of the image."""
        ...

    def read(self, rows: Sequence[int]) -> PixelLabels:
        """What is labelled in the images of these rows."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ProbeDataset:
    """Images with what is known about them, and their split into train, val and test.

    `labels` (N,) int64 indexes `classes`. `label_presence` holds classes and superclasses as the
    labels imply them (what LE(Label) sees); `concept_presence` every annotated concept.
    `vocabulary` is the dataset's own concept set. `masks` and `captions` are there if drawn.
    `unreadable` names images that were left out, with consent, since they are damaged.
    """

    name: str
    images: Images
    splits: Mapping[Split, Tensor]
    labels: Tensor | None = None
    classes: tuple[str, ...] = ()
    label_presence: Presence | None = None
    concept_presence: Presence | None = None
    vocabulary: tuple[str, ...] = ()
    masks: Masks | None = None
    captions: tuple[str, ...] | None = None
    unreadable: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.images)
        rows = torch.cat([self.splits[split] for split in SPLITS])
        require(
            len(set(rows.tolist())) == len(rows) and (len(rows) == 0 or int(rows.max()) < n),
            f"the splits of {self.name} overlap or point past its {n} images",
        )
        for split in SPLITS:
            require(len(self.splits[split]) > 0, f"split {split} of {self.name} has no image")
        least = int(rows.min())
        require(least >= 0, f"the splits of {self.name} hold row {least}; rows count from 0")
        if self.labels is not None:
            self._check_labels(self.labels, n)
        for presence in (self.label_presence, self.concept_presence):
            require(
                presence is None or len(presence.values) == n,
                f"presence of {self.name} does not have a row for each of its {n} images",
            )

    def _check_labels(self, labels: Tensor, num_images: int) -> None:
        shape = tuple(labels.shape)
        require(
            shape == (num_images,),
            f"labels of {self.name} have shape {shape} and not one for each of its {num_images} "
            "images",
        )
        least, most = int(labels.min()), int(labels.max())
        require(
            not self.classes or (least >= 0 and most < len(self.classes)),
            f"labels of {self.name} lie from {least} to {most}, and there are {len(self.classes)} "
            "classes",
        )
