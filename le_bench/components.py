"""What a plugin must do: the six kinds of component.

A component is a frozen dataclass. Its fields are its options and the only source of its cache
key; its class variables say who it is. Raise `version` whenever the numbers it gives change.
A field of type `Path` names a file or folder: not the path but the content enters the key.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from le_bench.errors import MissingFileError
from le_bench.types import (
    AblationOptions,
    Ablations,
    Activations,
    Calibration,
    Evidence,
    Explanation,
    Images,
    ProbeDataset,
    ProbeView,
    Score,
    Simulation,
    Split,
    TargetModel,
)


@dataclass(frozen=True)
class Component(ABC):
    """Base of all components; not subclassed by plugins directly.

    `how_to_get` says for a `Path` field where its file or folder comes from, as the end of the
    message that it is not there.
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    version: ClassVar[int] = 1
    reference: ClassVar[str] = ""
    how_to_get: ClassVar[Mapping[str, str]] = {}
    short_form: ClassVar[tuple[str, ...]] = ()  # options of `use = "NAME:FIRST@SECOND"`, in order

    def identity(self) -> str:
        """Whatever decides this component's values besides its fields, as a short text.

        The content of files in `Path` fields is added by the core. Sources that read other files
        (weights inside a package or a library's cache, say) return a digest of them here.
        """
        return ""

    def missing(self) -> str:
        """What must be fetched before this can be used, how, and where to put it; empty if nothing.

        Asks no network. Plans show it. Files of `Path` fields are the core's affair; this is for
        what goes by name, such as published weights.
        """
        return ""

    def fetch(self) -> None:
        """Fetch what is missing, if a library knows how; called before a run is planned.

        Raises MissingFileError with what `missing` says if it cannot.
        """
        message = self.missing()
        if message:
            raise MissingFileError(message)


@dataclass(frozen=True)
class DatasetSource(Component):
    """Gives a probe dataset."""

    kind: ClassVar[str] = "dataset"

    @abstractmethod
    def load(self) -> ProbeDataset:
        """Read or draw the dataset. Raises a BenchError that names the file if it cannot."""

    def expected_images(self) -> int | None:
        """How many images it has, if that is known without reading it; plans reckon with it."""
        return None


@dataclass(frozen=True)
class ModelSource(Component):
    """Gives a target model."""

    kind: ClassVar[str] = "model"

    @abstractmethod
    def load(self, device: torch.device) -> TargetModel:
        """Build the network with its weights on `device`, in eval mode, with its preprocessing."""

    def skeleton(self) -> TargetModel:
        """The network to look at, not to run: modules and shapes are right, weights need not be.

        Wildcards in layer paths and `le-bench layers` use it. Sources that can build the network
        without its weights do so here, best on the device `meta`, where nothing is computed.
        """
        return self.load(torch.device("cpu"))

    def image_side(self) -> int:
        """Side in pixels of a square picture to look at the network with, without a dataset."""
        return 512


@dataclass(frozen=True)
class Encoder(Component):
    """Embeds images and texts in one space."""

    kind: ClassVar[str] = "encoder"

    @abstractmethod
    def encode_images(self, images: Images, device: torch.device) -> Tensor:
        """(N, D) float32 on the CPU; the core scales rows to length 1."""

    @abstractmethod
    def encode_texts(self, texts: Sequence[str], device: torch.device) -> Tensor:
        """(C, D) float32 on the CPU; the core scales rows to length 1."""

    def image_work(self) -> tuple[float, int] | None:
        """Operations for an image, and D, if known without weights; plans reckon with it."""
        return None

    def constants(self) -> Calibration | None:
        """Fixed a and b of P = sigmoid(a * (cosine + b)), or None to have them fitted."""
        return None


@dataclass(frozen=True)
class Explainer(Component):
    """Explains the units of a layer in words.

    Laws, checked by the conformance tests: the same evidence gives the same explanations;
    the evidence is not changed; explaining units together or apart gives the same explanations
    unless the class sets `units_interact`. A `reference_row` is a floor or ceiling that boards
    show but never call the best. A class that sets `needs_maps` is given `Evidence.maps`.
    """

    kind: ClassVar[str] = "explainer"
    units_interact: ClassVar[bool] = False
    reference_row: ClassVar[bool] = False
    needs_maps: ClassVar[bool] = False

    @abstractmethod
    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        """One explanation for each unit, in order.

        Raises NotApplicableError for a layer or dataset on which it cannot explain anything, such
        as a layer without maps.
        """


@dataclass(frozen=True)
class Simulator(Component):
    """Predicts from an explanation alone how much a unit responds to an image."""

    kind: ClassVar[str] = "simulator"

    @abstractmethod
    def simulate(self, explanations: Sequence[Explanation], probe: ProbeView) -> Simulation:
        """Simulated activations on the images of `probe`, (N, U)."""


@dataclass(frozen=True)
class Scorer(Component):
    """Compares simulated with real activations.

    Laws, checked by the conformance tests: units scored together or apart, and images in any
    order, give the same scores, the latter unless the class sets `images_ordered` (it draws images
    by their place, say); `scale_free` scorers promise that a simulation times a positive number has
    the same score. `bounds` are the least and greatest score there can be, None if there are none.
    """

    kind: ClassVar[str] = "scorer"
    images_ordered: ClassVar[bool] = False
    scale_free: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float] | None] = None
    higher_is_better: ClassVar[bool] = True

    @abstractmethod
    def score(
        self,
        simulations: Mapping[Split, Simulation],
        activations: Mapping[Split, Activations],
        ablations: Ablations | None,
    ) -> Score:
        """One number a unit. The mappings hold val and test rows.

        `ablations` is what `ablation_options` asks for, made once for all scorers and cells of a
        layer that ask for the same; None if it asks for nothing.
        """

    def ablation_options(self) -> AblationOptions | None:
        """How this scorer has units of the target model replaced; None if it never does."""
        return None


KINDS: Mapping[str, type[Component]] = {
    "model": ModelSource,
    "dataset": DatasetSource,
    "encoder": Encoder,
    "explainer": Explainer,
    "simulator": Simulator,
    "scorer": Scorer,
}
