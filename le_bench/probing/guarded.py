"""Images and masks of which only some may be seen: those of one split, or of two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from le_bench.types import Images, Masks, PixelLabels, require


@dataclass(frozen=True, slots=True, eq=False)
class OwnImages:
    """Images of which only those in `rows` (N,) can be read, by the dataset's row numbers."""

    images: Images
    rows: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def read(self, rows: Sequence[int]) -> list[np.ndarray]:
        """See `types.Images`. Raises ValueError for a row of another split."""
        _require_own(rows, self.rows)
        return self.images.read(rows)


@dataclass(frozen=True, slots=True, eq=False)
class OwnMasks:
    """Masks of which only those in `rows` (N,) can be read, by the dataset's row numbers."""

    masks: Masks
    rows: Tensor

    @property
    def categories(self) -> Mapping[str, tuple[str, ...]]:
        """See `types.Masks`."""
        return self.masks.categories

    @property
    def size(self) -> tuple[int, int]:
        """See `types.Masks`."""
        return self.masks.size

    def read(self, rows: Sequence[int]) -> PixelLabels:
        """See `types.Masks`. Raises ValueError for a row of another split."""
        _require_own(rows, self.rows)
        return self.masks.read(rows)


def _require_own(rows: Sequence[int], own: Tensor) -> None:
    given = torch.as_tensor(rows, dtype=torch.long)
    foreign = given[~torch.isin(given, own)].tolist()
    require(
        not foreign,
        f"row {foreign[0] if foreign else ''} is not among the {len(own)} images that may be seen "
        "here; those of other splits stay hidden",
    )
