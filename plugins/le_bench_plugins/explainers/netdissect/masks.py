"""Masks of which only some categories count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from le_bench.errors import BenchError, unknown_name
from le_bench.types import Masks, PixelLabels


@dataclass(frozen=True, slots=True, eq=False)
class FewerCategories:
    """Masks in which the labels of other categories are as if they had not been given.

    `number` holds the new label for each old one, 0 for those left out.
    """

    masks: Masks
    categories: Mapping[str, tuple[str, ...]]
    number: npt.NDArray[np.int32]

    @property
    def size(self) -> tuple[int, int]:
        """See `types.Masks`."""
        return self.masks.size

    def read(self, rows: Sequence[int]) -> PixelLabels:
        """See `types.Masks`."""
        labels = self.masks.read(rows)
        return PixelLabels(self.number[labels.layers], self.number[labels.whole])


def masks_without(masks: Masks, left_out: Sequence[str]) -> Masks:
    """Masks without these categories. Raises BenchError for one that does not exist, or for all."""
    known = list(masks.categories)
    for category in left_out:
        if category not in known:
            raise BenchError(f"`without` has an {unknown_name('category', category, known)}")
    if not left_out:
        return masks
    kept = {name: c for name, c in masks.categories.items() if name not in left_out}
    if not any(kept.values()):
        raise BenchError("`without` leaves no concept; keep at least one category")
    stays = np.concatenate(
        [np.full(len(c), name in kept, bool) for name, c in masks.categories.items()]
    )
    number = np.zeros(len(stays) + 1, np.int32)
    number[1:][stays] = np.arange(1, stays.sum() + 1)
    return FewerCategories(masks, kept, number)
