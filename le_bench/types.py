"""The data that flows between steps.

Letters used for shapes everywhere: N probe images, U units, C concepts, D embedding size.
All tensors are on the CPU unless a docstring says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from le_bench.components import Encoder

Split = Literal["train", "val", "test"]
Pooling = Literal["avg", "max", "first", "none"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


def require(condition: bool, message: str) -> None:
    """Refuse malformed values where they are made, so that nobody downstream checks again."""
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a target model: its module path and how positions are pooled.

    `avg` and `max` pool over the positions of a map (N, U, h, w) or of tokens (N, T, U) and leave
    (N, U) as it is; `first` takes the class token of (N, T, U); `none` demands (N, U).
    """

    path: str
    pooling: Pooling = "avg"

    def __str__(self) -> str:
        return self.path if self.pooling == "avg" else f"{self.path}:{self.pooling}"


@dataclass(frozen=True, slots=True)
class ConceptSet:
    """A named list of concept texts; `concepts` is None for the probe dataset's own vocabulary."""

    name: str
    concepts: tuple[str, ...] | None = None

    def resolve(self, vocabulary: tuple[str, ...]) -> tuple[str, ...]:
        """The texts of this set for a dataset with this vocabulary."""
        return vocabulary if self.concepts is None else self.concepts


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
    """Probe images by row."""

    def __len__(self) -> int: ...

    def read(self, rows: Sequence[int]) -> list[np.ndarray]:
        """The images of these rows, each (height, width, 3) uint8 RGB."""
        ...


class Masks(Protocol):
    """Pixel labels by category: what segmentation-based explainers compare maps with."""

    @property
    def categories(self) -> Mapping[str, tuple[str, ...]]:
        """The concepts of each category, in the order of their numbers."""
        ...

    def read(self, rows: Sequence[int]) -> Mapping[str, np.ndarray]:
        """Per category (B, height, width) uint8 or int32: 0 for nothing, v for its concept v-1."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ProbeDataset:
    """Images with what is known about them, and their split into train, val and test.

    `labels` (N,) int64 indexes `classes`. `label_presence` holds classes and superclasses as the
    labels imply them (what LE(Label) sees); `concept_presence` every annotated concept.
    `vocabulary` is the dataset's own concept set. `masks` and `captions` are there if drawn.
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

    def __post_init__(self) -> None:
        n = len(self.images)
        rows = torch.cat([self.splits[split] for split in SPLITS])
        require(
            len(set(rows.tolist())) == len(rows) and (len(rows) == 0 or int(rows.max()) < n),
            f"the splits of {self.name} overlap or point past its {n} images",
        )
        for split in SPLITS:
            require(len(self.splits[split]) > 0, f"split {split} of {self.name} has no image")
        for presence in (self.label_presence, self.concept_presence):
            require(
                presence is None or len(presence.values) == n,
                f"presence of {self.name} does not have a row for each of its {n} images",
            )


@dataclass(frozen=True, slots=True, eq=False)
class TargetModel:
    """A network to be explained, on its device and in eval mode.

    `preprocess` turns a list of uint8 RGB images into the float input batch (B, 3, H, W).
    """

    name: str
    module: nn.Module
    preprocess: Callable[[Sequence[np.ndarray]], Tensor]
    device: torch.device


@dataclass(frozen=True, slots=True, eq=False)
class Activations:
    """Pooled activations of one layer: `values` (N, U) float32. NaN is kept for scorers to see."""

    layer: Layer
    values: Tensor

    def __post_init__(self) -> None:
        require(self.values.ndim == 2, f"activations of {self.layer} are not (images, units)")
        require(self.values.dtype == torch.float32, f"activations of {self.layer} are not float32")


@dataclass(frozen=True, slots=True)
class Calibration:
    """Constants of P = sigmoid(a * (cosine + b)) for one encoder, and how they came about.

    `cross_entropy` is the mean binary cross-entropy reached on the fitted cells, NaN if given.
    """

    a: float
    b: float
    source: str
    cross_entropy: float = float("nan")


class Encodings(Protocol):
    """Embeddings that the core has computed or computes once, by encoder.

    Rows of both tensors have Euclidean length 1.
    """

    def images(self, encoder: Encoder) -> Tensor:
        """(N, D) float32 by the dataset's rows; NaN for images that the view does not hold."""
        ...

    def texts(self, encoder: Encoder, texts: Sequence[str]) -> Tensor:
        """(C, D) float32."""
        ...

    def calibration(self, encoder: Encoder) -> Calibration:
        """The constants that turn cosines into presence."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ProbeView:
    """What may be known about the images of one split. No activation exists in it.

    `rows` (N,) are the dataset's row numbers; all other tensors have one row for each of them.
    """

    split: Split
    rows: Tensor
    encodings: Encodings
    labels: Tensor | None = None
    label_presence: Presence | None = None
    concept_presence: Presence | None = None

    def cosines(self, encoder: Encoder, texts: Sequence[str]) -> Tensor:
        """Cosine of each image with each text, (N, C) in [-1, 1]."""
        return self.encodings.images(encoder)[self.rows] @ self.encodings.texts(encoder, texts).T

    def presence(self, encoder: Encoder, texts: Sequence[str]) -> Tensor:
        """P[n, c] = sigmoid(a * (cosine + b)) with the encoder's calibration, (N, C) in [0, 1].

        Source: "Linear Explanations for Individual Neurons", section 3.
        """
        constants = self.encodings.calibration(encoder)
        return torch.sigmoid(constants.a * (self.cosines(encoder, texts) + constants.b))


class Memory(Protocol):
    """Keeps intermediate tensors that several explainers of one layer share."""

    def remember(
        self,
        name: str,
        parts: Mapping[str, Any],
        compute: Callable[[], dict[str, Tensor]],
    ) -> dict[str, Tensor]:
        """The tensors computed for this name and these JSON-able parts, computing at most once."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All that an explainer may see: train and val images and their activations. No test rows.

    `train_activations` (N_train, U) and `val_activations` (N_val, U) are float32. `vocabulary` is
    the probe dataset's own concept set. `seed` is derived from the run's seed and the cell.
    """

    layer: Layer
    train: ProbeView
    val: ProbeView
    train_activations: Tensor
    val_activations: Tensor
    vocabulary: tuple[str, ...]
    memory: Memory
    seed: int = 0

    @property
    def num_units(self) -> int:
        """U, the number of units to explain."""
        return self.train_activations.shape[1]


@dataclass(frozen=True, slots=True)
class Term:
    """One concept of an explanation and its weight."""

    concept: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a unit responds to: a weighted sum of concepts plus a bias.

    A textual description is a single term of weight 1. An explainer that cannot explain a unit
    gives no terms and says why in `reason`; its scores are then NaN with that reason.
    """

    unit: int
    terms: tuple[Term, ...]
    bias: float = 0.0
    reason: str = ""

    def __post_init__(self) -> None:
        require(
            bool(self.terms) != bool(self.reason),
            f"explanation of unit {self.unit} needs either terms or a reason for having none",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Simulation:
    """Simulated activations of all explained units on the images of one split.

    `values` (N_split, U) float32, a column of NaN where `undefined` gives the unit's reason.
    """

    split: Split
    values: Tensor
    undefined: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """One number a unit: `values` (U,) float64, NaN exactly where `undefined` gives the reason."""

    values: Tensor
    undefined: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = {int(unit) for unit in torch.nonzero(self.values.isnan()).flatten()}
        require(
            missing == set(self.undefined),
            f"units {sorted(missing ^ set(self.undefined))[:5]}: each NaN score needs a reason "
            "and each reason a NaN score",
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step ended. `seconds` is what its value cost when it was computed."""

    state: Literal["done", "cached", "failed", "skipped"]
    seconds: float = 0.0
    reason: str = ""
    fatal: bool = False  # nothing else of the run can succeed either
