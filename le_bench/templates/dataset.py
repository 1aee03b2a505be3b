"""Drawn squares, discs and stripes in four colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from le_bench import hookimpl
from le_bench.components import DatasetSource
from le_bench.probing.images import ArrayImages
from le_bench.probing.presence import label_presence
from le_bench.probing.splits import seeded_splits
from le_bench.types import Presence, ProbeDataset, require

SIZE = 64
SHAPES = ("square", "disc", "stripes")
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (40, 40, 230), "grey": (128,) * 3}


@dataclass(frozen=True)
class MyDataset(DatasetSource):
    """Pictures of one shape on black; the class is the shape, the colours are annotated, too.

    Split 70/10/20. The same `num_images` and `seed` draw the same pictures.
    """

    name: ClassVar[str] = "my-dataset"
    version: ClassVar[int] = 1  # raise it whenever the pictures change

    num_images: int = 400
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.num_images >= 10, f"num_images is {self.num_images}; give at least 10")

    def load(self) -> ProbeDataset:
        """Draw the pictures."""
        random = np.random.default_rng(self.seed)
        shapes = random.integers(0, len(SHAPES), self.num_images)
        colours = random.integers(0, len(COLOURS), self.num_images)
        pixels = np.zeros((self.num_images, SIZE, SIZE, 3), np.uint8)
        for row, (shape, colour) in enumerate(zip(shapes, colours, strict=True)):
            centre, radius = random.integers(20, SIZE - 20, 2), random.integers(8, 20)
            pixels[row][covered(SHAPES[shape], centre, int(radius))] = list(COLOURS.values())[
                colour
            ]
        labels = torch.from_numpy(shapes)
        of_shapes = label_presence(labels, SHAPES)
        of_colours = torch.nn.functional.one_hot(torch.from_numpy(colours), len(COLOURS)).float()
        names = (*SHAPES, *COLOURS)
        return ProbeDataset(
            name=self.name,
            images=ArrayImages(pixels),
            splits=seeded_splits(self.num_images, self.seed),
            labels=labels,
            classes=SHAPES,
            label_presence=of_shapes,
            concept_presence=Presence(names, torch.cat([of_shapes.values, of_colours], 1)),
            vocabulary=names,
        )

    def expected_images(self) -> int:
        """How many there will be."""
        return self.num_images


def covered(shape: str, centre: np.ndarray, radius: int) -> np.ndarray:
    """Which pixels a shape covers, (SIZE, SIZE) bool."""
    y, x = np.abs(np.mgrid[:SIZE, :SIZE] - centre[:, None, None])
    if shape == "disc":
        return np.asarray(x**2 + y**2 <= radius**2)
    square = np.maximum(x, y) <= radius
    return np.asarray(square & (x % 4 < 2) if shape == "stripes" else square)


@hookimpl
def le_bench_datasets() -> list[type[DatasetSource]]:
    """Offer the dataset."""
    return [MyDataset]
