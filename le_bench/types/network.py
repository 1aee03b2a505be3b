"""A target model, its layers and what they give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from le_bench.types.choices import Channels, Pooling, Precision
from le_bench.types.requirement import require


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a target model: its module path and how positions are pooled.

    `avg` and `max` pool over the positions of a map (N, U, h, w) or of tokens (N, T, U) and leave
    (N, U) as it is; `first` takes the class token of (N, T, U); `none` demands (N, U). With
    `directions`, a file that `networks.directions` reads, the units are directions over those of
    the module, computed at each position before pooling; boards name them by `directions_id`, or by
    the file's name without one. `channels` says whether the units of a map come second,
    (N, U, h, w), or last, (N, h, w, U); None takes them to come second unless the shape looks
    otherwise, which is refused.
    """

    path: str
    pooling: Pooling = "avg"
    directions: Path | None = None
    channels: Channels | None = None
    directions_id: str = ""

    def __str__(self) -> str:
        name = self.path if self.pooling == "avg" else f"{self.path}:{self.pooling}"
        if self.directions is None:
            return name
        return f"{name} via {self.directions_id or self.directions.stem}"


@dataclass(frozen=True, slots=True, eq=False)
class TargetModel:
    """A network to be explained, on its device and in eval mode.

    `preprocess` turns a list of uint8 RGB images into the float input batch (B, 3, H, W), each
    image by itself, and may be called from several threads at once. With a `precision` other than
    fp32 the network is run under autocast.
    """

    name: str
    module: nn.Module
    preprocess: Callable[[Sequence[np.ndarray]], Tensor]
    device: torch.device
    precision: Precision = "fp32"


@dataclass(frozen=True, slots=True, eq=False)
class Activations:
    """Pooled activations of one layer: `values` (N, U) float32. NaN is kept for scorers to see."""

    layer: Layer
    values: Tensor

    def __post_init__(self) -> None:
        require(self.values.ndim == 2, f"activations of {self.layer} are not (images, units)")
        require(self.values.dtype == torch.float32, f"activations of {self.layer} are not float32")
