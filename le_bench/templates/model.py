"""A small convolutional network with its weights from a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from le_bench import hookimpl
from le_bench.components import ModelSource
from le_bench.types import TargetModel


class Network(nn.Module):
    """Two convolutions, `first` and `second`, mean pooling and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 12, 3, 2), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(12, 24, 3, 2), nn.ReLU())
        self.head = nn.Linear(24, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, 10)."""
        maps = self.second(self.first(images))
        logits: Tensor = self.head(maps.mean((2, 3)))
        return logits


@dataclass(frozen=True)
class MyModel(ModelSource):
    """The network with the weights of a `.safetensors` file.

    `weights` is a `Path`, so the file's content is part of the cache key.
    """

    name: ClassVar[str] = "my-model"
    version: ClassVar[int] = 1  # raise it whenever the numbers change

    weights: Path

    def load(self, device: torch.device) -> TargetModel:
        """The network on `device`, in eval mode."""
        network = Network()
        network.load_state_dict(load_file(self.weights))
        return TargetModel("my-model", network.to(device).eval(), preprocess, device)

    def skeleton(self) -> TargetModel:
        """The same modules without weights, for `le-bench layers`."""
        cpu = torch.device("cpu")
        return TargetModel("my-model", Network().eval(), preprocess, cpu)


def preprocess(images: Sequence[np.ndarray]) -> Tensor:
    """Uint8 pictures of one size as a float batch (B, 3, H, W) in [-1, 1]."""
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return batch.float() / 127.5 - 1


@hookimpl
def le_bench_models() -> list[type[ModelSource]]:
    """Offer the model."""
    return [MyModel]
