"""From probe images to the input of a target model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import isfinite
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from le_bench.errors import BenchError
from le_bench.types import require

Interpolation = Literal["nearest", "bilinear", "bicubic"]
Channels = tuple[float, float, float]
RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@dataclass(frozen=True)
class Preprocessing:
    """Resize, crop and normalise uint8 RGB images into one batch.

    Input is (pixel / scale - mean) / std by channel: `scale` 255 makes pixels 0..1 first, and
    `scale` 1 with mean and std 128 gives (x - 128) / 128. `resize` is the length of the shorter
    side or, with `squash`, of both; `crop` cuts a square from the middle. Both are left out if
    None. Sizes, rounding and antialiasing are those of torchvision's Resize and CenterCrop on
    pictures (PIL), which the models of that library were tested with.
    """

    mean: Channels = (0.0, 0.0, 0.0)
    std: Channels = (1.0, 1.0, 1.0)
    scale: float = 255.0
    resize: int | None = None
    crop: int | None = None
    squash: bool = False
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        require(self.scale > 0, f"scale is {self.scale}; it must be above 0")
        require(all(s > 0 for s in self.std), f"std is {self.std}; each must be above 0")
        require(all(map(isfinite, self.mean)), f"mean is {self.mean}; each must be finite")
        for option, size in (("resize", self.resize), ("crop", self.crop)):
            require(size is None or size > 0, f"{option} is {size}; it must be at least 1")
        require(self.resize is not None or not self.squash, "squash needs `resize`")

    @classmethod
    def of(cls, options: object) -> Preprocessing:
        """What a source's options of the same names ask for."""
        return cls(**{option.name: getattr(options, option.name) for option in fields(cls)})

    def __call__(self, images: Sequence[np.ndarray]) -> Tensor:
        """The batch (B, 3, H, W) float32. Raises BenchError if sizes differ or are too small."""
        pictures = [self._shape(pixels) for pixels in images]
        sizes = sorted({picture.shape[:2] for picture in pictures})
        if len(sizes) > 1:
            raise BenchError(
                f"images of {len(sizes)} sizes, such as {_size(sizes[0])} and {_size(sizes[-1])}, "
                "cannot form a batch; give the model `resize` and `crop`"
            )
        height, width = sizes[0]
        batch = np.empty((len(pictures), height, width * 3), np.float32)
        # Whole rows of pixels in place, by numpy and in this thread alone: faster than torch here.
        mean, std = (np.tile(np.asarray(v, np.float32), width) for v in (self.mean, self.std))
        for values, pixels in zip(batch, pictures, strict=True):
            np.divide(pixels.reshape(height, -1), np.float32(self.scale), out=values)
            np.subtract(values, mean, out=values)
            np.divide(values, std, out=values)
        return torch.from_numpy(batch.reshape(-1, height, width, 3)).permute(0, 3, 1, 2)

    def _shape(self, pixels: np.ndarray) -> np.ndarray:
        height, width = pixels.shape[:2]
        if self.resize is not None:
            size = _target_size(height, width, self.resize, self.squash)
            if size != (height, width):
                picture = Image.fromarray(pixels)
                resampling = RESAMPLING[self.interpolation]
                pixels = np.asarray(picture.resize(size[::-1], resampling))
        return pixels if self.crop is None else _centre(pixels, self.crop)


def _target_size(height: int, width: int, side: int, squash: bool) -> tuple[int, int]:
    """(height, width) after resizing; the longer side is rounded down as torchvision does."""
    if squash:
        return side, side
    if height <= width:
        return side, int(side * width / height)
    return int(side * height / width), side


def _centre(pixels: np.ndarray, side: int) -> np.ndarray:
    """The square in the middle; halves are rounded to even, as torchvision does."""
    height, width = pixels.shape[:2]
    if height < side or width < side:
        raise BenchError(
            f"an image of {_size((height, width))} is too small for a crop of {side}; give the "
            f"model `resize = {side}` or more"
        )
    top, left = round((height - side) / 2), round((width - side) / 2)
    return pixels[top : top + side, left : left + side]


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} pixels"
