"""Pixels counted over a data set, and the overlap of units with labels that follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

DETECTOR = 0.04
"""From which overlap on the authors' report calls a unit a detector; nothing is filtered by it."""


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Pixels of all images together, int64, for U units, C concepts and K categories.

    `categories` names the concepts of each category; all of them in this order are the C columns.
    `both` (U, C): active and labelled with the concept. `truth` (C,): labelled with it.
    `active` (U, K): active, on the images that count for the category. `area` (U,): active, on all.
    """

    categories: Mapping[str, tuple[str, ...]]
    both: Tensor
    truth: Tensor
    active: Tensor
    area: Tensor

    @property
    def concepts(self) -> tuple[str, ...]:
        """The C concepts."""
        return tuple(concept for members in self.categories.values() for concept in members)

    def overlaps(self) -> Tensor:
        """Intersection over union (U, C) float64 of whole data set sums; 0 where nothing is active.

        IoU[u, c] = both / (active on images of c's category + truth - both): a ratio of sums, not
        a mean over images. The authors add 1e-10 below, which only serves against 0 / 0.
        """
        union = self.active[:, category_numbers(self.categories)] + self.truth - self.both
        return self.both.double() / union.clamp_min(1).double()

    def best(self) -> tuple[Tensor, Tensor]:
        """The largest overlap in each category (U, K) and the column of its concept, the first one.

        The column is -1 where no concept of the category overlaps at all, as for a dead unit: the
        authors then name label 0, which has no name.
        """
        numbers = category_numbers(self.categories)
        found = self.overlaps()
        best = [found.masked_fill(numbers != k, 0.0).max(1) for k in range(len(self.categories))]
        overlaps = torch.stack([values for values, _ in best], 1)
        columns = torch.stack([places for _, places in best], 1)
        return overlaps, columns.masked_fill(overlaps == 0, -1)


def category_numbers(categories: Mapping[str, tuple[str, ...]]) -> Tensor:
    """The number of each concept's category, (C,) int64."""
    sizes = torch.tensor([len(members) for members in categories.values()])
    return torch.arange(len(sizes)).repeat_interleave(sizes)
