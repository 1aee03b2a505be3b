"""Image models of timm, with its weights or with those of others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import timm
import timm.data
import torch
from PIL import Image
from torch import Tensor, nn

from le_bench import hookimpl
from le_bench.components import ModelSource
from le_bench.errors import UnreadableFileError, unknown_name
from le_bench.networks.hosted import (
    AddressedFile,
    HostedFile,
    HubFile,
    fetch_weights,
    missing_weights,
    present_weights,
    weights_identity,
)
from le_bench.networks.layers import build_on_meta
from le_bench.networks.preprocessing import Channels, Preprocessing
from le_bench.networks.weights import LOAD_FAILURES, read_weights
from le_bench.types import TargetModel, require

HASH_IN_NAME = re.compile(r"-(?P<sha256>[0-9a-f]{8,64})\.[a-z]+$")


@dataclass(frozen=True)
class PictureTransform:
    """Turns images into a batch by a transform of single pictures, such as timm makes."""

    transform: Any

    def __call__(self, images: Sequence[np.ndarray]) -> Tensor:
        """The batch (B, 3, H, W) float32."""
        return torch.stack([self.transform(Image.fromarray(pixels)) for pixels in images])


@dataclass(frozen=True)
class TimmModel(ModelSource):
    """A model by timm's name and tag, such as `vit_base_patch16_224.augreg_in21k_ft_in1k`.

    The tag says which weights: they come from the cache of Hugging Face, for a few old tags from
    that of torch, or are downloaded once, and the preprocessing that timm has noted for them goes
    with them. A name without a tag is refused, since which tag is timm's first choice moves between
    releases. `checkpoint` gives the weights as a file instead; the tag then says whose
    preprocessing it goes with, or `mean` and `std` do. `mean`, `std`, `crop_pct` and
    `interpolation` replace those of the tag.

    Short form: `timm:vit_base_patch16_224.augreg_in21k_ft_in1k`.
    """

    name: ClassVar[str] = "timm"
    version: ClassVar[int] = 1
    reference: ClassVar[str] = "https://github.com/huggingface/pytorch-image-models"
    short_form: ClassVar[tuple[str, ...]] = ("model",)

    model: str
    checkpoint: Path | None = None
    num_classes: int | None = None
    mean: Channels | None = None
    std: Channels | None = None
    crop_pct: float | None = None
    interpolation: Literal["bilinear", "bicubic"] | None = None

    def __post_init__(self) -> None:
        architecture, _, tag = self.model.partition(".")
        known = timm.list_models()
        require(architecture in known, unknown_name("timm model", architecture, known))
        names = timm.list_pretrained(f"{architecture}.*")
        tags = [name.partition(".")[2] for name in names]
        require(not tag or tag in tags, unknown_name(f"tag of {architecture}", tag, tags))
        given = self.mean is not None and self.std is not None
        listed = ", ".join(names) or "none"
        require(
            bool(tag) or self.checkpoint is not None,
            f"{architecture} alone does not say which weights; with a tag there are: {listed}",
        )
        require(
            bool(tag) or given,
            "which preprocessing the checkpoint's weights need is not known; give `model` a tag "
            f"(whose preprocessing to take; there are: {listed}) or `mean` and `std`",
        )
        require(
            self.num_classes is None or (self.num_classes > 0 and self.checkpoint is not None),
            "`num_classes` needs a `checkpoint` with as many, at least 1",
        )
        Preprocessing(self.mean or (0.0, 0.0, 0.0), self.std or (1.0, 1.0, 1.0))
        require(
            self.crop_pct is None or 0 < self.crop_pct <= 1,
            f"crop_pct is {self.crop_pct}; it must be above 0 and at most 1",
        )
        noted = timm.get_pretrained_cfg(self.model)
        require(
            self.checkpoint is not None or bool(noted.hf_hub_id or noted.url),
            f"timm does not say where the weights of {self.model} are; give the file as "
            "`checkpoint`",
        )

    def identity(self) -> str:
        """The downloaded file of weights, if in use, and the preprocessing that timm notes."""
        file = self._hosted()
        return f"{'' if file is None else weights_identity(file)} {self._preprocessing()!r}"

    def missing(self) -> str:
        """How to get the tag's file of weights, if it is needed and not here."""
        file = self._hosted()
        return "" if file is None else missing_weights(self._title, file)

    def fetch(self) -> None:
        """Download the tag's file of weights, if it is needed and not here."""
        file = self._hosted()
        if file is not None:
            fetch_weights(self._title, file)

    def load(self, device: torch.device) -> TargetModel:
        """Build the model with its weights, in eval mode on `device`."""
        path = self._file()
        read_weights(path)  # says in plain words if this is no file of weights
        overlay: dict[str, Any] = {"file": str(path), "custom_load": False}
        if self.num_classes is not None:
            overlay["num_classes"] = self.num_classes
        try:
            with torch.random.fork_rng(devices=[]):  # building draws random weights first
                module = self._build(pretrained=True, pretrained_cfg_overlay=overlay)
        except LOAD_FAILURES as error:
            reason = " ".join(str(error).split())
            raise UnreadableFileError(
                f"{path}: these are not the weights of {self._title} ({reason}); check "
                "`model` and `num_classes` or give another file"
            ) from error
        return TargetModel(self._title, module.to(device).eval(), self._transform(), device)

    def skeleton(self) -> TargetModel:
        """The model on the device `meta`."""
        module = build_on_meta(self._build)
        return TargetModel(self._title, module, self._transform(), torch.device("meta"))

    @property
    def _title(self) -> str:
        return f"timm {self.model}"

    def _hosted(self) -> HostedFile | None:
        """The file that belongs to the tag; None if another one is given."""
        if self.checkpoint is not None:
            return None
        noted = timm.get_pretrained_cfg(self.model)
        if noted.hf_hub_id:
            return HubFile(str(noted.hf_hub_id))
        published = HASH_IN_NAME.search(noted.url)
        return AddressedFile(noted.url, published["sha256"] if published else "")

    def _file(self) -> Path:
        hosted = self._hosted()
        return self.checkpoint or present_weights(self._title, hosted)  # type: ignore[arg-type]

    def _build(self, **options: Any) -> nn.Module:
        if self.num_classes is not None:
            options["num_classes"] = self.num_classes
        module: nn.Module = timm.create_model(self.model, **options)
        return module

    def _transform(self) -> PictureTransform:
        """What timm does to pictures in validation."""
        config = self._preprocessing()
        return PictureTransform(timm.data.create_transform(**config, is_training=False))

    def _preprocessing(self) -> dict[str, Any]:
        """The configuration of the weights, with the given options in its place."""
        given = {
            "mean": self.mean,
            "std": self.std,
            "crop_pct": self.crop_pct,
            "interpolation": self.interpolation,
        }
        noted = timm.get_pretrained_cfg(self.model).to_dict()
        return dict(timm.data.resolve_data_config(args=given, pretrained_cfg=noted))


@hookimpl
def le_bench_models() -> Iterable[type[ModelSource]]:
    """Offer timm's models."""
    return [TimmModel]
