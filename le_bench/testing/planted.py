"""In-memory stand-ins with planted answers for what the core gives to components."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from le_bench.components import Encoder
from le_bench.errors import PluginError
from le_bench.types import Calibration, Images, require

PLANTED_CALIBRATION = Calibration(a=60.0, b=-0.09, source="planted")


@dataclass(frozen=True)
class PlantedEncoder(Encoder):
    """An encoder that only worlds know; two with different `label` are two encoders."""

    name: ClassVar[str] = "planted"
    label: str = "explainer"

    def encode_images(self, images: Images, device: torch.device) -> Tensor:
        """Refuses: a world has no pictures. Ask `ProbeView.presence` or the `Encodings`."""
        raise PluginError("the encoder 'planted' has no network; ask the world's Encodings instead")

    def encode_texts(self, texts: Sequence[str], device: torch.device) -> Tensor:
        """Refuses: a world has no network. Ask `ProbeView.presence` or the `Encodings`."""
        raise PluginError("the encoder 'planted' has no network; ask the world's Encodings instead")

    def constants(self) -> Calibration:
        """The constants with which worlds plant presence."""
        return PLANTED_CALIBRATION


class PlantedEncodings:
    """Embeddings in memory under which P = sigmoid(a * (cosine + b)) is a chosen matrix.

    Each concept's text is an axis of its own; an image's coordinate on it is the cosine that the
    presence asks for, and one more axis brings the image to length 1. `presences` gives for each
    encoder its (N, C) presence of `concepts`, cut to [0.001, 0.999] because the sigmoid never
    reaches 0 or 1. Two concepts of the same text share an axis: the first column counts.

    Raises ValueError if the cosines of an image do not fit on the unit sphere (too many concepts
    at once for this `a`).
    """

    def __init__(
        self,
        concepts: Sequence[str],
        presences: Mapping[Encoder, Tensor],
        calibration: Calibration = PLANTED_CALIBRATION,
    ) -> None:
        self._axes = {text: axis for axis, text in reversed(list(enumerate(concepts)))}
        self._calibration = calibration
        self._images = {encoder: self._plant(values) for encoder, values in presences.items()}

    def _plant(self, presence: Tensor) -> Tensor:
        constants = self._calibration
        logits = torch.logit(presence.double().clamp(0.001, 0.999))
        cosines = logits / constants.a - constants.b
        left = 1 - cosines.square().sum(1, keepdim=True)
        require(
            bool((left >= 0).all()),
            f"presence of {presence.shape[1]} concepts cannot be planted with a = {constants.a:g} "
            f"and b = {constants.b:g}; take a larger a or fewer concepts",
        )
        return torch.cat([cosines, left.clamp_min(0).sqrt()], 1).float()

    def images(self, encoder: Encoder) -> Tensor:
        """(N, C + 1), rows of length 1."""
        return self._images[encoder]

    def texts(self, encoder: Encoder, texts: Sequence[str]) -> Tensor:
        """(len(texts), C + 1), rows of length 1. Raises KeyError for a text of no concept."""
        axes = torch.tensor([self._axes[text] for text in texts], dtype=torch.long)
        return torch.eye(self._images[encoder].shape[1])[axes]

    def calibration(self, encoder: Encoder) -> Calibration:
        """The planted constants, whatever the encoder."""
        return self._calibration


@dataclass(frozen=True, slots=True, eq=False)
class PlantedMemory:
    """A memory that forgets when it goes out of scope. `computed` lists what was computed."""

    computed: list[str] = field(default_factory=list)
    _kept: dict[str, dict[str, Tensor]] = field(default_factory=dict)

    def remember(
        self, name: str, parts: Mapping[str, Any], compute: Callable[[], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """See `types.Memory`. Raises TypeError if `parts` cannot be written as JSON."""
        key = json.dumps([name, dict(parts)], sort_keys=True)
        if key not in self._kept:
            self._kept[key] = compute()
            self.computed.append(name)
        return dict(self._kept[key])
