"""The paper's target models that no library carries: where their files are, and what they are."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, cast

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from le_bench import hookimpl
from le_bench.components import ModelSource
from le_bench.errors import MissingFileError, UnreadableFileError, unknown_name
from le_bench.fingerprint import path_digest
from le_bench.networks.hosted import (
    AddressedFile,
    fetch_weights,
    missing_weights,
    present_weights,
    weights_identity,
)
from le_bench.networks.layers import build_on_meta
from le_bench.networks.preprocessing import Preprocessing
from le_bench.networks.weights import load_weights
from le_bench.types import TargetModel, require

logger = logging.getLogger(__name__)
SHA256 = re.compile(r"[0-9a-fA-F]{8,64}")
UNCHECKED = (
    "its makers publish no hash, so only names and shapes will be checked unless you give one as "
    "`sha256`"
)


class CifarVGG16(nn.Module):
    """VGG-16 with batch norm for 32 x 32 pixels: its last map has one position of 512 units.

    Layers have the names of the published weights; `classifier.4` is the paper's layer.
    """

    def __init__(self, num_classes: int = 100) -> None:
        super().__init__()
        self.features = make_layers(cfgs["D"], batch_norm=True)
        self.classifier = nn.Sequential(
            nn.Linear(512, 512),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(512, 512),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(512, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, 3, 32, 32)."""
        return cast("Tensor", self.classifier(self.features(images).flatten(1)))


def places_resnet18() -> nn.Module:
    """torchvision's ResNet-18 with the 365 classes of Places."""
    return cast("nn.Module", torchvision.models.resnet18(num_classes=365))


@dataclass(frozen=True)
class Preset:
    """A network, the file of its published weights, and the input that they expect.

    `side` is that of images which fit if the preprocessing does not resize.
    """

    build: Callable[[], nn.Module]
    weights: AddressedFile
    preprocessing: Preprocessing
    side: int = 512


PRESETS: Mapping[str, Preset] = {
    # B. Zhou et al., "Places", TPAMI 2017. Its makers publish no hash.
    "resnet18-places365": Preset(
        places_resnet18,
        AddressedFile("http://places2.csail.mit.edu/models_places365/resnet18_places365.pth.tar"),
        Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), resize=256, crop=224),
    ),
    # https://github.com/chenyaofo/pytorch-cifar-models: 74.00% of CIFAR-100's test images
    "vgg16-bn-cifar100": Preset(
        CifarVGG16,
        AddressedFile(
            "https://github.com/chenyaofo/pytorch-cifar-models/releases/download/vgg/"
            "cifar100_vgg16_bn-7d8c4031.pt",
            sha256="7d8c4031",
        ),
        Preprocessing((0.5070, 0.4865, 0.4409), (0.2673, 0.2564, 0.2761)),
        side=32,
    ),
}


@dataclass(frozen=True)
class PresetModel(ModelSource):
    """A target model of the paper by name: `resnet18-places365` or `vgg16-bn-cifar100`.

    The published file of weights comes from torch's cache, or is downloaded once; it is checked by
    the beginning of its SHA-256 that its makers publish. Those of `resnet18-places365` publish
    none: `sha256`, eight hex digits or more, says which file you mean. `checkpoint` gives the file
    itself, of which the published hash decides too, or for other weights the `sha256` that you
    give. Every name and shape is checked in any case.
    Only tensors are read, without running code.

    Short form: `preset:resnet18-places365`.
    """

    name: ClassVar[str] = "preset"
    version: ClassVar[int] = 1
    short_form: ClassVar[tuple[str, ...]] = ("preset",)

    preset: str
    checkpoint: Path | None = None
    sha256: str = ""

    def __post_init__(self) -> None:
        require(self.preset in PRESETS, unknown_name("preset", self.preset, list(PRESETS)))
        require(
            not self.sha256 or SHA256.fullmatch(self.sha256) is not None,
            f"sha256 is '{self.sha256}', not the first 8 to 64 hex digits of a SHA-256",
        )

    def identity(self) -> str:
        """The digest of the published file, if it is in use."""
        return "" if self.checkpoint is not None else weights_identity(self._weights)

    def missing(self) -> str:
        """How to get the published file, if it is needed and not here."""
        if self.checkpoint is not None:
            return ""
        message = missing_weights(self._title, self._weights)
        return f"{message}; {UNCHECKED}" if message and not self._weights.sha256 else message

    def fetch(self) -> None:
        """Download the published file, if it is needed and not here."""
        if self.checkpoint is not None:
            return
        fetch_weights(self._title, self._weights)
        if not self._weights.sha256:
            logger.warning("%s: %s", self._title, UNCHECKED)

    def load(self, device: torch.device) -> TargetModel:
        """Build the network with its weights, in eval mode on `device`."""
        path = self.checkpoint or self._present()
        self._require_meant(path)
        with torch.random.fork_rng(devices=[]):  # building draws random weights first
            module = self._preset.build()
        load_weights(module, path)
        module.to(device).eval()
        return TargetModel(self.preset, module, self._preset.preprocessing, device)

    def skeleton(self) -> TargetModel:
        """The network on the device `meta`."""
        module = build_on_meta(self._preset.build)
        return TargetModel(self.preset, module, self._preset.preprocessing, torch.device("meta"))

    def image_side(self) -> int:
        """That of the images that the network was trained on, if it does not resize them."""
        return self._preset.side

    def _require_meant(self, path: Path) -> None:
        """Refuse a file that is neither the published one nor that of the user's `sha256`."""
        found = path_digest(path)
        if self.sha256 and not found.startswith(self.sha256.lower()):
            raise UnreadableFileError(
                f"{path}: its SHA-256 begins with {found[:8]}, not {self.sha256[:8]} as `sha256` "
                "says; give the file that you mean"
            )
        if not self.sha256 and not found.startswith(self._weights.sha256):
            raise UnreadableFileError(
                f"{path}: its SHA-256 begins with {found[:8]}, not {self._weights.sha256} as that "
                f'of {self._title}; if you mean this file, give sha256 = "{found[:8]}"'
            )

    def _present(self) -> Path:
        message = self.missing()
        if message:
            raise MissingFileError(message)
        return present_weights(self._title, self._weights)

    @property
    def _preset(self) -> Preset:
        return PRESETS[self.preset]

    @property
    def _weights(self) -> AddressedFile:
        """The published file; a hash that the user gives counts where its makers publish none."""
        own = self._preset.weights
        return own if own.sha256 else replace(own, sha256=self.sha256.lower())

    @property
    def _title(self) -> str:
        return f"preset {self.preset}"


@hookimpl
def le_bench_models() -> Iterable[type[ModelSource]]:
    """Offer the paper's models by name."""
    return [PresetModel]
