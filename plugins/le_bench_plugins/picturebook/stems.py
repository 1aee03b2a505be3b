"""Convolutional building blocks shared by the Picturebook's targets and vision towers."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class ConvolutionalStem(nn.Module):
    """Strided convolutions in the place of a vision transformer's linear patch embedding.

    Three halvings turn 64x64 pixels into 8x8 tokens. Linear patches need far more pictures to
    learn as well (Xiao et al. 2021, "Early convolutions help transformers see better").
    """

    def __init__(self, widths: tuple[int, int], embed_dim: int) -> None:
        """Make the layers with random weights."""
        super().__init__()
        for step, (inputs, outputs) in enumerate(pairwise((3, *widths)), start=1):
            self.add_module(
                f"conv{step}", nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
            )
            self.add_module(f"norm{step}", nn.BatchNorm2d(outputs))
            self.add_module(f"act{step}", nn.ReLU(inplace=True))
        self.project = nn.Conv2d(widths[-1], embed_dim, 3, stride=2, padding=1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return tokens (B, 64, embed_dim), row by row, of pictures (B, 3, 64, 64)."""
        maps = pictures
        for layer in self.children():
            maps = layer(maps)
        return maps.flatten(2).transpose(1, 2)


def convolve(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Return a 3x3 convolution with batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, as in ResNet-D when the size or width changes.

    The shortcut then averages before its 1x1 convolution, so that it drops no position (He et al.
    2019, "Bag of tricks for image classification", figure 2c).
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        """Make the layers with random weights."""
        super().__init__()
        self.conv1 = convolve(inputs, outputs, stride)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride),
                nn.Conv2d(inputs, outputs, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )
        self.act = nn.ReLU(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (B, outputs, H / stride, W / stride) of maps (B, inputs, H, W)."""
        result: Tensor = self.act(self.norm2(self.conv2(self.conv1(maps))) + self.shortcut(maps))
        return result
