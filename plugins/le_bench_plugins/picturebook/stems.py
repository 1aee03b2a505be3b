"""The convolutional stem shared by the Picturebook's vision transformers."""

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
