"""What explainers and simulators may see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from le_bench.types.choices import Split
from le_bench.types.dataset import Images, Masks, Presence
from le_bench.types.network import Layer

if TYPE_CHECKING:
    from le_bench.components import Encoder

WORKING_BYTES = 2**28  # 256 MiB of a device that a component works in unless told otherwise


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
    `images` and `masks` are read by the dataset's row numbers and refuse those of other splits;
    `masks` is None if the dataset has none.
    """

    split: Split
    rows: Tensor
    encodings: Encodings
    labels: Tensor | None = None
    label_presence: Presence | None = None
    concept_presence: Presence | None = None
    images: Images | None = None
    masks: Masks | None = None

    def cosines(self, encoder: Encoder, texts: Sequence[str]) -> Tensor:
        """Cosine of each image with each text, (N, C) in [-1, 1]."""
        return self.encodings.images(encoder)[self.rows] @ self.encodings.texts(encoder, texts).T

    def presence(self, encoder: Encoder, texts: Sequence[str]) -> Tensor:
        """P[n, c] = sigmoid(a * (cosine + b)) with the encoder's calibration, (N, C) in [0, 1].

        Source: "Linear Explanations for Individual Neurons", section 3.
        """
        constants = self.encodings.calibration(encoder)
        return torch.sigmoid(constants.a * (self.cosines(encoder, texts) + constants.b))


class Maps(Protocol):
    """Activations of one layer before pooling: a map of positions for each unit and image.

    Tokens (N, T, U) lie on a square grid, without the class token if there is one.
    """

    @property
    def shape(self) -> tuple[int, int, int]:
        """U, height and width.

        Raises NotApplicableError if the layer gives one number a unit and image.
        """
        ...

    def blocks(self, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Of these images, in order: rows (B,) and maps (B, U, h, w) float32.

        `rows` are the dataset's row numbers of train and val images; others are refused. Maps are
        on the target model's device, and each call runs the network anew: no map is kept.
        Raises NotApplicableError as `shape` does.
        """
        ...


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
    the probe dataset's own concept set. `seed` is derived from the run's seed and the activations'
    key, so all explainers of a layer have the same one. `maps` is there for explainers that set
    `needs_maps`. Heavy computing is for `device`, with at most `working_bytes` there beside what is
    given and the result; all tensors come on the CPU.
    `whole_layer` is how many units the layer has if these are not all of them.
    """

    layer: Layer
    train: ProbeView
    val: ProbeView
    train_activations: Tensor
    val_activations: Tensor
    vocabulary: tuple[str, ...]
    memory: Memory
    seed: int = 0
    maps: Maps | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    working_bytes: int = WORKING_BYTES
    whole_layer: int | None = None

    @property
    def num_units(self) -> int:
        """U, the number of units to explain."""
        return self.train_activations.shape[1]

    @property
    def num_layer_units(self) -> int:
        """The number of units of the layer, of which a run may be limited to the first."""
        return self.num_units if self.whole_layer is None else self.whole_layer
