"""The networks whose maps MILAN looks at exemplars with, by name; none is ever downloaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Literal

from timm.models.resnet import BasicBlock, downsample_avg
from torch import Tensor, nn
from torchvision import models

Channels = tuple[float, float, float]
BackboneName = Literal["resnet18", "resnet50", "resnet101", "alexnet", "small"]
IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone:
    """How to build a network, the layers to read and how many channels they give together.

    Pictures in [0, 1] enter as (picture - mean) / std.
    """

    build: Callable[[], nn.Module]
    layers: Sequence[str]
    width: int
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD


class SmallNetwork(nn.Module):
    """Residual blocks at a half, a quarter and an eighth of the size: enough for small pictures."""

    def __init__(self, widths: tuple[int, int, int] = (24, 48, 96)) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_convolve(3, widths[0], 2), *_convolve(widths[0], widths[0], 1))
        for number, (inputs, outputs) in enumerate(pairwise(widths), start=1):
            shrink = downsample_avg(inputs, outputs, 1, stride=2)
            blocks = (BasicBlock(inputs, outputs, 2, shrink), BasicBlock(outputs, outputs))
            self.add_module(f"layer{number}", nn.Sequential(*blocks))

    def forward(self, pictures: Tensor) -> Tensor:
        """The last maps (B, 96, H / 8, W / 8) of pictures (B, 3, H, W)."""
        maps = pictures
        for part in self.children():
            maps = part(maps)
        return maps


def _convolve(inputs: int, outputs: int, stride: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)


_RESNET = ("conv1", "layer1", "layer2", "layer3", "layer4")
_ALEXNET = ("features.0", "features.3", "features.6", "features.8", "features.10")
_SMALL = ("stem", "layer1.0", "layer1.1", "layer2.0", "layer2.1")
BACKBONES: Mapping[BackboneName, Backbone] = MappingProxyType(
    {
        "resnet18": Backbone(lambda: models.resnet18(weights=None), _RESNET, 1024),
        "resnet50": Backbone(lambda: models.resnet50(weights=None), _RESNET, 3904),
        "resnet101": Backbone(lambda: models.resnet101(weights=None), _RESNET, 3904),
        "alexnet": Backbone(lambda: models.alexnet(weights=None), _ALEXNET, 1152),
        "small": Backbone(SmallNetwork, _SMALL, 312, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    }
)
