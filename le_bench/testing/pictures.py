"""Pictures, masks and maps that go with a planted world, and rows that stay hidden.

The concepts of a world have places on a square grid. A picture shows in each cell the colour of
its concept if that is present, and grey if not; a mask labels these cells; a map has a unit's
share of each concept in its cell, so that the mean of a map is the unit's activation.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from le_bench.components import Encoder
from le_bench.probing.guarded import OwnImages, OwnMasks
from le_bench.testing.worlds import Recipe, World, plant
from le_bench.types import Calibration, Encodings, Evidence, PixelLabels, ProbeView, Split

CELL = 8  # pixels
Hidden = Literal["kept", "absent", "other"]


@dataclass(frozen=True, slots=True, eq=False)
class PlantedPictures:
    """A square picture of each image of a world, drawn when it is read."""

    world: World

    def __len__(self) -> int:
        """Number of images."""
        return len(self.world.presence)

    def read(self, rows: Sequence[int]) -> list[np.ndarray]:
        """The pictures of these rows."""
        colours = np.random.default_rng(0).integers(0, 256, (len(self.world.concepts), 3))
        present = self.world.presence[list(rows)].numpy()[:, :, None] > 0
        cells = np.where(present, colours, 128).astype(np.uint8)
        return list(_on_grid(self.world, cells))


@dataclass(frozen=True, slots=True, eq=False)
class PlantedMasks:
    """Concepts labelled in their cells; classes and the others are two categories."""

    world: World

    @property
    def categories(self) -> Mapping[str, tuple[str, ...]]:
        """The concepts of each category."""
        names = tuple(dict.fromkeys(self.world.concepts))
        classes = self.world.num_classes
        return {"class": names[:classes], "other": names[classes:]}

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every label map."""
        side = grid_side(self.world) * CELL
        return side, side

    def read(self, rows: Sequence[int]) -> PixelLabels:
        """What is labelled in the images of these rows; nothing as a whole."""
        presence = self.world.presence[list(rows)].numpy()
        numbers = presence * np.arange(1, presence.shape[1] + 1)
        labels = _on_grid(self.world, numbers.astype(np.int64)[:, :, None])[..., 0]
        return PixelLabels(labels[:, None], np.zeros((len(labels), 0), np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class PlantedMaps:
    """Maps (N, U, h, w) in memory, of which only those of `own` rows are given."""

    values: Tensor
    own: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        """U, height and width."""
        _, units, height, width = self.values.shape
        return units, height, width

    def blocks(self, rows: Tensor, size: int = 64) -> Iterator[tuple[Tensor, Tensor]]:
        """Rows (B,) and copies of their maps (B, U, h, w). Raises ValueError for hidden rows."""
        if not bool(torch.isin(rows, self.own).all()):
            raise ValueError("maps of other images than those of train and val stay hidden")
        for block in torch.split(rows, size):
            yield block, self.values[block].clone()


class HiddenEncodings:
    """Encodings in which rows other than `own` are kept, NaN, or those of other images.

    Texts that are no concept of the world get directions of their own, by their letters.
    """

    def __init__(self, whole: Encodings, own: Tensor, hidden: Hidden) -> None:
        self._whole, self._own, self._hidden = whole, own, hidden
        self._images: dict[Encoder, Tensor] = {}

    def images(self, encoder: Encoder) -> Tensor:
        """(N, C + 1), the same tensor on every call."""
        if encoder not in self._images:
            self._images[encoder] = self._veiled(self._whole.images(encoder))
        return self._images[encoder]

    def texts(self, encoder: Encoder, texts: Sequence[str]) -> Tensor:
        """(len(texts), C + 1), rows of length 1."""
        size = self._whole.images(encoder).shape[1]
        rows = [self._text(encoder, text, size) for text in texts]
        return torch.stack(rows) if rows else torch.empty(0, size)

    def calibration(self, encoder: Encoder) -> Calibration:
        """The planted constants."""
        return self._whole.calibration(encoder)

    def _veiled(self, images: Tensor) -> Tensor:
        veiled = images.clone()
        others = torch.ones(len(images), dtype=torch.bool)
        others[self._own] = False
        if self._hidden == "absent":
            veiled[others] = torch.nan
        elif self._hidden == "other":
            veiled[others] = -images[others].flip(1)
        return veiled

    def _text(self, encoder: Encoder, text: str, size: int) -> Tensor:
        try:
            return self._whole.texts(encoder, [text])[0]
        except KeyError:
            seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest())
            drawn = torch.randn(size, generator=torch.Generator().manual_seed(seed))
            return torch.nn.functional.normalize(drawn, dim=0)


@cache
def planted(recipe: Recipe) -> World:
    """The world of a recipe, planted once: views and evidence of it hold copies."""
    return plant(recipe)


def grid_side(world: World) -> int:
    """Cells along a side of the grid that has a place for each concept."""
    return max(2, math.ceil(math.sqrt(len(world.concepts))))


def draw_maps(world: World) -> Tensor:
    """Maps (N, U, side, side) whose means are the activations."""
    side = grid_side(world)
    shares = world.presence[:, None, :] * world.weights.T[None]  # (N, U, C)
    rest = world.activations - shares.sum(2)
    maps = rest[:, :, None].repeat(1, 1, side * side)
    maps[:, :, : shares.shape[2]] += side * side * shares
    return maps.view(*rest.shape, side, side)


def full_view(world: World, split: Split, hidden: Hidden = "kept") -> ProbeView:
    """The view of a split with pictures and masks; other rows are kept, absent or other ones."""
    view = world.view(split)
    own = view.rows
    if split != "test":  # explainers see train and val images, one view beside the other
        own = torch.cat([world.rows["train"], world.rows["val"]])
    return replace(
        view,
        rows=view.rows.clone(),
        encodings=HiddenEncodings(world.encodings, own, hidden),
        images=OwnImages(PlantedPictures(world), view.rows),
        masks=OwnMasks(PlantedMasks(world), view.rows),
    )


def full_evidence(
    world: World,
    *,
    units: Sequence[int] | None = None,
    hidden: Hidden = "kept",
    with_maps: bool = False,
) -> Evidence:
    """What an explainer sees of a world: with pictures and masks, and maps if asked for."""
    evidence = world.evidence(units)
    train, val = (full_view(world, split, hidden) for split in ("train", "val"))
    val = replace(val, encodings=train.encodings)
    maps = None
    if with_maps:
        columns = torch.tensor(list(range(evidence.num_units) if units is None else units))
        own = torch.cat([world.rows["train"], world.rows["val"]])
        maps = PlantedMaps(draw_maps(world)[:, columns], own)
    return replace(evidence, train=train, val=val, maps=maps)


def _on_grid(world: World, cells: np.ndarray) -> np.ndarray:
    """(N, C, k) to (N, height, width, k): each cell of the grid in the value of its concept."""
    side = grid_side(world)
    grid = np.zeros((len(cells), side * side, cells.shape[2]), cells.dtype)
    grid[:, : cells.shape[1]] = cells
    return grid.reshape(len(cells), side, side, -1).repeat(CELL, axis=1).repeat(CELL, axis=2)
