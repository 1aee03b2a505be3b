"""A network with everything that recording may meet, and images for it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from le_bench.networks.preprocessing import Preprocessing
from le_bench.probing.images import ArrayImages
from le_bench.types import TargetModel

NUM_IMAGES = 11
SIDE = 6


class Attention(nn.Module):
    """Gives a tuple, as nn.MultiheadAttention does: values first, then weights."""

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return tokens * 2, tokens.mean(1)


class Network(nn.Module):
    """A map, an in-place layer behind it, tokens, a tuple, a reused and a bypassed module."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)
        self.relu = nn.ReLU(inplace=True)
        self.attention = Attention()
        self.shared = nn.Tanh()
        self.idle = nn.Linear(1, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Linear(5, 4), nn.ReLU(inplace=True), nn.Linear(4, 3))

    def forward(self, images: Tensor) -> Tensor:
        maps = self.relu(self.conv(images))
        tokens, _ = self.attention(maps.flatten(2).transpose(1, 2))
        mixed = self.shared(self.shared(tokens))
        return self.classifier(self.pool(maps).flatten(1) + mixed.mean(1))


def draw_images(seed: int = 0) -> ArrayImages:
    """Noise images."""
    random = np.random.default_rng(seed)
    return ArrayImages(random.integers(0, 256, (NUM_IMAGES, SIDE, SIDE, 3), dtype=np.uint8))


def make_model(module: nn.Module | None = None) -> TargetModel:
    """A target model on the CPU with seeded random weights."""
    torch.manual_seed(0)
    module = module or Network()
    return TargetModel("network", module.eval(), Preprocessing(), torch.device("cpu"))


def num_hooks(module: nn.Module) -> int:
    """Hooks left on a module and all below it."""
    return sum(len(part._forward_hooks) for part in module.modules())
