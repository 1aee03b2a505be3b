"""Some exemplars with their pictures and masks, as they pass from finding to looking."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Shown(NamedTuple):
    """P exemplars: for place `place` (P,) of unit `unit` (P,), a picture and a mask.

    `pictures` (B, 3, S, S) uint8; `picture_of` (P,) says which of them; `masks` (P, S, S) bool.
    """

    unit: Tensor
    place: Tensor
    pictures: Tensor
    picture_of: Tensor
    masks: Tensor
