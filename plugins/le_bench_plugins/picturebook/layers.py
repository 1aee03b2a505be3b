"""Layers of paint: anti-aliased compositing that keeps a code of what each pixel shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from le_bench_plugins.picturebook.concepts import CONCEPT_IDS
from le_bench_plugins.picturebook.shapes import Field

Codes = npt.NDArray[np.uint64]
Value = TypeVar("Value", bound=np.generic)

_SHIFTS: Mapping[str, int] = {
    "object": 0,
    "part": 8,
    "material": 16,
    "texture": 24,
    "color": 32,
    "owner": 40,
}
_RIM_WIDTH = 1.8


def encode(**names: str | None) -> np.uint64:
    """Return the code of the named concepts, one keyword a category; None stands for nothing."""
    code = 0
    for category, name in names.items():
        if name is not None:
            code |= CONCEPT_IDS[name] << _SHIFTS[category]
    return np.uint64(code)


def encode_ids(category: str, ids: npt.NDArray[np.integer]) -> Codes:
    """Return the codes of the ids of one category, or of owners."""
    return ids.astype(np.uint64) << np.uint64(_SHIFTS[category])


def decode(codes: Codes, category: str) -> npt.NDArray[np.uint8]:
    """Return the ids of one category, or the owners, that are stored in codes."""
    return ((codes >> np.uint64(_SHIFTS[category])) & np.uint64(255)).astype(np.uint8)


class Paint(NamedTuple):
    """What a layer puts on the pixels it covers.

    rgb: float32 in [0, 1], shape (3, n or 1, height or 1, width or 1).
    codes: what the pixel then shows, shape (n or 1, height or 1, width or 1).
    """

    rgb: Field
    codes: Codes

    def showing(self, **names: str | None) -> Paint:
        """Return this paint with more concepts named; a category must not be named twice."""
        return Paint(self.rgb, self.codes | encode(**names))


def mix(rgb: tuple[float, float, float], **names: str | None) -> Paint:
    """Return a plain paint of one colour for all pictures."""
    color = np.array(rgb, dtype=np.float32).reshape(3, 1, 1, 1)
    return Paint(color, np.full((1, 1, 1), encode(**names), dtype=np.uint64))


class Layers:
    """n pictures of one size on which paint is laid, each layer over those before it.

    rgb: (3, n, height, width) float32 in [0, 1], multiplied by alpha.
    alpha: (n, height, width) float32, how much of the ground is covered.
    codes: (n, height, width), what each pixel shows; 0 for nothing.
    """

    def __init__(self, num_pictures: int, height: int, width: int) -> None:
        self.rgb = np.zeros((3, num_pictures, height, width), dtype=np.float32)
        self.alpha = np.zeros((num_pictures, height, width), dtype=np.float32)
        self.codes = np.zeros((num_pictures, height, width), dtype=np.uint64)

    def lay(self, distance: Field, paint: Paint, rim: float = 0.0, opacity: float = 1.0) -> None:
        """Lay paint where the signed distance, in pixels, is negative.

        rim: how much the paint darkens towards its outline, in [0, 1].
        opacity: at 0.5 or below the layer tints what lies below but does not hide it, and the
            codes stay as they were.
        """
        near: npt.NDArray[np.bool_] = np.any(distance < 0.5, axis=0)
        rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
        if rows.size == 0:
            return
        window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        distance = distance[:, window[0], window[1]]
        cover = np.clip(0.5 - distance, 0.0, 1.0)
        if opacity > 0.5:
            codes = _crop(paint.codes, window)
            np.copyto(self.codes[:, window[0], window[1]], codes, where=cover > 0.5)
        if opacity < 1.0:
            cover *= opacity
        colors = _crop(paint.rgb, window)
        if rim:
            inner = np.clip(distance * (-rim / _RIM_WIDTH) + (1.0 - rim), 1.0 - rim, 1.0)
            colors = colors * inner
        for channel in range(3):
            target = self.rgb[channel, :, window[0], window[1]]
            target += (colors[channel] - target) * cover
        alpha = self.alpha[:, window[0], window[1]]
        alpha += (1.0 - alpha) * cover


def _crop(values: npt.NDArray[Value], window: tuple[slice, slice]) -> npt.NDArray[Value]:
    """Return the window of an array, along those of its two last axes that are not broadcast."""
    rows = slice(None) if values.shape[-2] == 1 else window[0]
    columns = slice(None) if values.shape[-1] == 1 else window[1]
    return values[..., rows, columns]
