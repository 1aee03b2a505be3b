"""The eleven named colours as paint, and which of them are told apart when side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from le_bench_plugins.picturebook.concepts import COLORS

PAINTS: Mapping[str, tuple[float, float, float]] = {
    "black": (0.13, 0.13, 0.15),
    "white": (0.97, 0.97, 0.95),
    "grey": (0.57, 0.58, 0.61),
    "red": (0.86, 0.13, 0.15),
    "orange": (0.98, 0.54, 0.09),
    "yellow": (0.99, 0.85, 0.20),
    "green": (0.20, 0.64, 0.24),
    "blue": (0.17, 0.39, 0.87),
    "purple": (0.51, 0.22, 0.69),
    "pink": (0.99, 0.57, 0.75),
    "brown": (0.50, 0.31, 0.16),
}
"""Red, green and blue of each named colour, in [0, 1]."""

PAINT_TABLE: npt.NDArray[np.float32] = np.array(
    [(0.0, 0.0, 0.0)] + [PAINTS[name] for name in COLORS], dtype=np.float32
)
"""(12, 3): the paint of each colour id; row 0 is unused."""

CONTRASTS: Mapping[str, tuple[str, ...]] = {
    "black": ("white", "yellow", "orange", "pink"),
    "white": ("red", "blue", "green", "purple", "black"),
    "grey": ("white", "yellow", "black"),
    "red": ("white", "yellow", "white", "pink"),
    "orange": ("white", "black", "purple", "blue"),
    "yellow": ("red", "blue", "purple", "green", "black"),
    "green": ("white", "yellow", "white", "pink"),
    "blue": ("white", "yellow", "orange", "pink"),
    "purple": ("white", "yellow", "orange", "pink"),
    "pink": ("purple", "blue", "red", "green"),
    "brown": ("white", "yellow", "orange", "pink"),
}
"""For each colour the second colours it is combined with: mostly light with dark."""
