"""Image classifiers of torchvision, with its weights or with those of others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
import torchvision
from torch import nn
from torchvision.transforms._presets import ImageClassification

from le_bench import hookimpl
from le_bench.components import ModelSource
from le_bench.errors import unknown_name
from le_bench.networks.hosted import (
    AddressedFile,
    fetch_weights,
    missing_weights,
    present_weights,
    weights_identity,
)
from le_bench.networks.layers import build_on_meta
from le_bench.networks.preprocessing import Channels, Interpolation, Preprocessing
from le_bench.networks.weights import load_weights, read_torch_file
from le_bench.types import TargetModel, require

INCEPTIONS = ("googlenet", "inception_v3")  # whose library weights expect another input scale


@dataclass(frozen=True)
class TorchvisionModel(ModelSource):
    """A classifier by torchvision's name for it, such as `resnet50`.

    `weights` names weights of the library, such as `IMAGENET1K_V1`: they come from torchvision's
    cache, or are downloaded once, and their own preprocessing goes with them. `DEFAULT` is refused,
    since what it names moves between releases. `checkpoint` gives the weights as a file instead
    (`.safetensors` or a state dict, every name and shape matching). With both, `weights` says
    whose preprocessing and classes the file goes with; without `weights`, `mean` and `std` must be
    given, and `num_classes` unless it is 1,000. Input is (pixel / scale - mean) / std; options that
    are given replace those of the weights.

    Short form: `torchvision:resnet50@IMAGENET1K_V1`.
    """

    name: ClassVar[str] = "torchvision"
    version: ClassVar[int] = 1
    reference: ClassVar[str] = "https://github.com/pytorch/vision"
    short_form: ClassVar[tuple[str, ...]] = ("model", "weights")

    model: str
    weights: str = ""
    checkpoint: Path | None = None
    num_classes: int | None = None
    mean: Channels | None = None
    std: Channels | None = None
    scale: float = 255.0
    resize: int | None = None
    crop: int | None = None
    squash: bool = False
    interpolation: Interpolation | None = None

    def __post_init__(self) -> None:
        known = torchvision.models.list_models(module=torchvision.models)
        require(self.model in known, unknown_name("torchvision model", self.model, known))
        members = [name for name in self._enum().__members__ if name != "DEFAULT"]
        listed = " and ".join(members) or "none"
        require(
            self.weights != "DEFAULT",
            f"weights are DEFAULT, which moves between releases; there are: {listed}",
        )
        require(
            self.weights in ("", *members),
            unknown_name(f"weights of {self.model}", self.weights, members),
        )
        require(
            bool(self.weights) or self.checkpoint is not None,
            f"{self.model} would have random weights; give `weights` (there are: {listed}) or "
            "`checkpoint` (a file)",
        )
        require(
            bool(self.weights) or (self.mean is not None and self.std is not None),
            "which preprocessing the checkpoint's weights need is not known; give `weights` "
            f"(whose preprocessing to take; there are: {listed}) or `mean` and `std`",
        )
        require(
            self.num_classes is None or (self.num_classes > 0 and self.checkpoint is not None),
            "`num_classes` needs a `checkpoint` with as many, at least 1",
        )
        self._preprocessing()

    def identity(self) -> str:
        """The library's file of weights and the preprocessing that it notes, as far as in use."""
        if not self.weights:
            return ""
        file = "" if self.checkpoint is not None else weights_identity(self._hosted())
        return f"{file} {self._preprocessing()!r}"

    def missing(self) -> str:
        """How to get the library's file of weights, if it is needed and not here."""
        return "" if self.checkpoint is not None else missing_weights(self._title, self._hosted())

    def fetch(self) -> None:
        """Download the library's file of weights, if it is needed and not here."""
        if self.checkpoint is None:
            fetch_weights(self._title, self._hosted())

    def load(self, device: torch.device) -> TargetModel:
        """Build the network with its weights, in eval mode on `device`."""
        with torch.random.fork_rng(devices=[]):  # building draws random weights first
            if self.checkpoint is not None:
                module = self._build()
                load_weights(module, self.checkpoint)
            else:
                # The library then reads the file with a full unpickler: see that it is harmless.
                read_torch_file(present_weights(self._title, self._hosted()))
                module = torchvision.models.get_model(self.model, weights=self._member())
        return TargetModel(self._title, module.to(device).eval(), self._preprocessing(), device)

    def skeleton(self) -> TargetModel:
        """The network on the device `meta`."""
        module = build_on_meta(self._build)
        return TargetModel(self._title, module, self._preprocessing(), torch.device("meta"))

    @property
    def _title(self) -> str:
        return f"torchvision {self.model}" + (f"@{self.weights}" if self.weights else "")

    def _enum(self) -> Any:
        return torchvision.models.get_model_weights(self.model)

    def _member(self) -> Any:
        """The library's entry of the weights, None without `weights`."""
        return self._enum()[self.weights] if self.weights else None

    def _hosted(self) -> AddressedFile:
        """The library's file of the weights."""
        return AddressedFile.named_by_hash(str(self._member().url))

    def _build(self) -> nn.Module:
        """The network as the library builds it for these weights, with random ones."""
        member = self._member()
        options: dict[str, Any] = {}
        if self.num_classes is not None:
            options["num_classes"] = self.num_classes
        if self.model in INCEPTIONS:
            options |= {"init_weights": False, "transform_input": member is not None}
        if member is not None:
            options.setdefault("num_classes", len(member.meta["categories"]))
            if self.model.startswith("vit_"):
                options["image_size"] = member.meta["min_size"][0]
            if self.model.startswith("maxvit"):
                options["input_size"] = member.meta["min_size"]
        module: nn.Module = torchvision.models.get_model(self.model, weights=None, **options)
        return module

    def _preprocessing(self) -> Preprocessing:
        """That of the weights, with the given options in its place."""
        own = self._own_preprocessing()
        given = {
            "mean": self.mean,
            "std": self.std,
            "resize": self.resize,
            "crop": self.crop,
            "interpolation": self.interpolation,
        }
        own |= {option: value for option, value in given.items() if value is not None}
        return Preprocessing(**own, scale=self.scale, squash=self.squash)

    def _own_preprocessing(self) -> dict[str, Any]:
        """What the library says of these weights."""
        member = self._member()
        if member is None:
            return {}
        preset = member.transforms()
        if not isinstance(preset, ImageClassification):
            raise ValueError(
                f"{self._title} has a preprocessing of type {type(preset).__name__}, not that of "
                "an image classifier; use a `factory`"
            )
        return {
            "mean": tuple(preset.mean),
            "std": tuple(preset.std),
            "resize": preset.resize_size[0],
            "crop": preset.crop_size[0],
            "interpolation": preset.interpolation.value,
        }


@hookimpl
def le_bench_models() -> Iterable[type[ModelSource]]:
    """Offer torchvision's classifiers."""
    return [TorchvisionModel]
