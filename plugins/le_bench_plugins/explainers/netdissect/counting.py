"""Counting active pixels by label, for all units and concepts at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from le_bench.types import PixelLabels
from le_bench_plugins.explainers.netdissect.tally import Tally, category_numbers

UnionRule = Literal["category-in-region", "category-in-image", "all"]
PIXELS_AT_ONCE = 2**22


@dataclass(eq=False)
class PixelCounter:
    """Counts the pixels of a `Tally`, block by block of images.

    `thresholds` (U,): a pixel is active if the unit's map, enlarged bilinearly to the `size` of
    the label maps, lies above it; a threshold of NaN makes no pixel active. `union` says on which
    images active pixels enter the union with a concept: on those where a label of its category
    lies within the active pixels or on the whole image; where one occurs in the image; or on all.

    A label that is in two layers of an image counts in each, as in the authors' code.

    Law: neither the order nor the blocks of images matter; units do not see each other. All counts
    are exact. Memory beside maps and labels: some 40 bytes for each of `PIXELS_AT_ONCE` pixels,
    and 8 bytes a unit and concept.

    How: of most images and units no pixel can be active, since enlarging exceeds no maximum. For
    the pairs that remain the 0/1 matrix of active pixels (pairs, pixels) is multiplied with the
    one-hot labels (pixels, concepts) of their image. Both are almost empty, so their product is
    taken over the entries that are not 0.
    """

    categories: Mapping[str, tuple[str, ...]]
    size: tuple[int, int]
    thresholds: Tensor
    union: UnionRule = "category-in-region"
    both: Tensor = field(init=False)
    truth: Tensor = field(init=False)
    active: Tensor = field(init=False)
    area: Tensor = field(init=False)

    def __post_init__(self) -> None:
        device, units = self.thresholds.device, len(self.thresholds)
        numbers = category_numbers(self.categories).to(device)
        self._member = torch.nn.functional.one_hot(numbers, len(self.categories)).float()
        concepts, categories = self._member.shape
        self.both = torch.zeros(units, concepts, dtype=torch.int64, device=device)
        self.truth = torch.zeros(concepts, dtype=torch.int64, device=device)
        self.active = torch.zeros(units, categories, dtype=torch.int64, device=device)
        self.area = torch.zeros(units, dtype=torch.int64, device=device)

    def add(self, maps: Tensor, labels: PixelLabels) -> None:
        """Count B images: their maps (B, U, h, w) and what is labelled in them."""
        device = self.thresholds.device
        per_image = self._labelled(labels).to(device)
        layers = torch.from_numpy(labels.layers).to(device).transpose(0, 1).flatten(1)
        whole = torch.from_numpy(labels.whole).to(device).long()
        self.truth += per_image.sum(0)
        occurs = (per_image.float() @ self._member) > 0
        images, units = torch.nonzero(maps.amax((2, 3)) > self.thresholds, as_tuple=True)
        at_once = max(1, PIXELS_AT_ONCE // (self.size[0] * self.size[1]))
        for image, unit in zip(
            torch.split(images, at_once), torch.split(units, at_once), strict=True
        ):
            enlarged = enlarge(maps[image, unit], self.size)
            mask = (enlarged > self.thresholds[unit, None, None]).flatten(1)
            counts, area = self._overlap(mask, image, layers, whole)
            self.both.index_add_(0, unit, counts)
            self.area.index_add_(0, unit, area)
            if self.union == "category-in-region":
                enters = (counts.float() @ self._member) > 0
            elif self.union == "category-in-image":
                enters = occurs[image]
            else:
                enters = torch.ones_like(occurs[image])
            self.active.index_add_(0, unit, area[:, None] * enters)

    def tally(self) -> Tally:
        """What was counted so far, on the CPU."""
        counts = (self.both, self.truth, self.active, self.area)
        return Tally(self.categories, *(values.cpu() for values in counts))

    def _labelled(self, labels: PixelLabels) -> Tensor:
        """How many pixels of each image bear each label, (B, C) int64 on the CPU."""
        num_labels = len(self._member) + 1
        counts = [
            np.bincount(layers.ravel(), minlength=num_labels)
            + np.bincount(whole, minlength=num_labels) * (self.size[0] * self.size[1])
            for layers, whole in zip(labels.layers, labels.whole, strict=True)
        ]
        return torch.from_numpy(np.stack(counts))[:, 1:]

    def _overlap(
        self, mask: Tensor, image: Tensor, layers: Tensor, whole: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Active pixels of each pair by label (n, C), and in all (n,), of masks (n, pixels).

        `layers` (L, B * pixels) and `whole` (B, W) are the labels of the images.
        """
        num_labels = len(self._member) + 1
        pair, pixel = torch.nonzero(mask, as_tuple=True)
        area = sum_by(pair, len(mask))
        first, source = pair * num_labels, image[pair] * mask.shape[1] + pixel
        counts = torch.zeros(len(mask) * num_labels, dtype=torch.int64, device=mask.device)
        for layer in layers:
            counts += sum_by(first + layer.index_select(0, source), len(counts))
        counts = counts.view(len(mask), num_labels)
        numbers = whole[image]
        counts.scatter_add_(1, numbers, area[:, None].expand_as(numbers))
        return counts[:, 1:], area


def count(
    blocks: Iterable[tuple[Tensor, PixelLabels]],
    categories: Mapping[str, tuple[str, ...]],
    size: tuple[int, int],
    thresholds: Tensor,
    union: UnionRule = "category-in-region",
) -> Tally:
    """The tally of blocks of maps (B, U, h, w), on any device, and labels; see `PixelCounter`."""
    counter: PixelCounter | None = None
    for maps, labels in blocks:
        if counter is None:
            counter = PixelCounter(categories, size, thresholds.to(maps.device), union)
        counter.add(maps, labels)
    if counter is None:
        raise TypeError("there are no images")
    return counter.tally()


def enlarge(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (n, h, w) brought to this height and width by bilinear interpolation.

    Pixels are squares with their value in the middle, and beyond the outermost middles values stay
    the same (PIL's bilinear resize, as in NetDissect-Lite; torch's `align_corners=False`). A map
    that is larger than `size` is averaged, again as PIL does.
    """
    down, across = (
        _interpolation(maps.shape[1 + axis], size[axis]).to(maps.device) for axis in (0, 1)
    )
    return down @ (maps @ across.T)


def _interpolation(given: int, wanted: int) -> Tensor:
    """The matrix (wanted, given) that interpolates along one axis."""
    # two equal columns: of a single one torch 2.14 misreads the strides when it averages
    basis = torch.eye(given)[None, :, :, None].repeat(1, 1, 1, 2)
    response = torch.nn.functional.interpolate(
        basis, size=(wanted, 2), mode="bilinear", align_corners=False, antialias=given > wanted
    )
    return response[0, :, :, 0].T.contiguous()


def sum_by(places: Tensor, length: int) -> Tensor:
    """How often each number below `length` occurs, int64."""
    return torch.bincount(places, minlength=length)
