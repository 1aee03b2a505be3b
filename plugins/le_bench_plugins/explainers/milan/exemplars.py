"""Exemplars: the images that activate each unit most, and where in them it is active."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from le_bench.networks.preprocessing import Preprocessing
from le_bench.types import Evidence, Images, Maps, require
from le_bench_plugins.explainers.milan.shown import Shown
from le_bench_plugins.explainers.positions.statistics import PositionStatistics

SHARE = 0.01  # of all positions lie above the level of a mask
MASKS_AT_ONCE = 256  # bounds memory: 49 MiB of maps at 224 x 224


@dataclass(frozen=True)
class View:
    """How a probe image becomes a picture: S = `size` pixels square.

    `shorter_side` is the length of the shorter side before the middle is cut out (the authors
    take 256 and 224, like the networks they explain); without it the image is squashed. The
    picture should show what the target model sees, since the mask comes from its maps.
    """

    size: int = 224
    shorter_side: int | None = 256

    def __post_init__(self) -> None:
        require(self.size >= 1, f"size is {self.size}; pictures need at least 1 pixel")
        require(
            self.shorter_side is None or self.shorter_side >= self.size,
            f"shorter_side is {self.shorter_side}; it cannot lie below size, {self.size}",
        )

    def read(self, images: Images, rows: Tensor) -> Tensor:
        """Pictures (B, 3, S, S) uint8 of these rows."""
        squash = self.shorter_side is None
        shape = Preprocessing(
            scale=1.0,
            resize=self.size if squash else self.shorter_side,
            squash=squash,
            crop=None if squash else self.size,
        )
        return shape(images.read(rows.tolist())).to(torch.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Exemplars:
    """The K most activating images of each unit, the most activating first.

    `rows` (U, K) are the dataset's row numbers, `activations` (U, K) the largest value of each
    map, `levels` (U,) what a value of a map must exceed to be shown by the mask.
    """

    rows: Tensor
    activations: Tensor
    levels: Tensor

    @classmethod
    def choose(cls, statistics: PositionStatistics, count: int) -> Exemplars:
        """The images with the largest maxima; of equal ones train before val, then the earlier row.

        With fewer images than `count`, all of them. NaN comes first; such units are unusable.
        """
        found = statistics.maxima.sort(dim=0, descending=True, stable=True)
        activations, places = found.values[:count].T, found.indices[:count].T
        return cls(statistics.rows[places], activations, statistics.thresholds[SHARE])

    def show(self, units: Tensor, maps: Maps, images: Images, view: View) -> Iterator[Shown]:
        """The exemplars of these units in the order of their images, each image read once.

        A mask is the map, resized bilinearly to the picture, where it is above the unit's level.
        At most one block of maps and `MASKS_AT_ONCE` masks are held at a time.
        """
        wanted = self.rows[units]
        for part, block in maps.blocks(torch.unique(wanted)):
            chosen, place = torch.nonzero(torch.isin(wanted, part), as_tuple=True)
            picture_of = torch.searchsorted(part, wanted[chosen, place])
            order = picture_of.argsort(stable=True)
            for some in torch.split(order, MASKS_AT_ONCE):
                shown, picture = torch.unique_consecutive(picture_of[some], return_inverse=True)
                unit = units[chosen[some]]
                own = block[picture_of[some].to(block.device), unit.to(block.device)]
                yield Shown(
                    unit,
                    place[some],
                    view.read(images, part[shown]),
                    picture,
                    masks_of(own, self.levels[unit].to(own.device), view.size),
                )


def masks_of(maps: Tensor, levels: Tensor, size: int) -> Tensor:
    """Where maps (P, h, w), resized bilinearly to (P, size, size), are above levels (P,)."""
    resized = F.interpolate(maps[:, None], size=(size, size), mode="bilinear", align_corners=False)[
        :, 0
    ]
    return resized > levels[:, None, None]


@dataclass(frozen=True, slots=True, eq=False)
class SeenImages:
    """The images of train and val, by the dataset's row numbers."""

    evidence: Evidence

    def __len__(self) -> int:
        return len(self.evidence.train.rows) + len(self.evidence.val.rows)

    def read(self, rows: Sequence[int]) -> list[np.ndarray]:
        """See `types.Images`."""
        given = torch.as_tensor(rows, dtype=torch.long)
        found: dict[int, np.ndarray] = {}
        for view in (self.evidence.train, self.evidence.val):
            own = given[torch.isin(given, view.rows)].tolist()
            if own and view.images is not None:
                found |= zip(own, view.images.read(own), strict=True)
        return [found[row] for row in given.tolist()]
