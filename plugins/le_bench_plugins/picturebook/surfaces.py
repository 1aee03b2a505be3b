"""The look of the nine materials: tiles that lighten and darken the paint below them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from le_bench_plugins.picturebook.hashing import scramble, to_unit_interval

TILE_SIZE = 128

Tile = npt.NDArray[np.float32]


class Surface(NamedTuple):
    """A material's look, one value a pixel of a tile that repeats every `TILE_SIZE` pixels.

    tone: (128, 128), the factor of the paint's brightness.
    inlay: (128, 128) in [0, 1], the share of a second colour such as mortar or glare; or None.
    inlay_rgb: that second colour, in [0, 1].
    """

    tone: Tile
    inlay: Tile | None = None
    inlay_rgb: tuple[float, float, float] = (0.0, 0.0, 0.0)


_ROWS, _COLUMNS = np.meshgrid(np.arange(TILE_SIZE), np.arange(TILE_SIZE), indexing="ij")


def noise(name: int, height: int = TILE_SIZE, width: int = TILE_SIZE) -> Tile:
    """Return independent numbers in [0, 1), shape (height, width), that depend on `name` only."""
    keys = np.arange(height * width, dtype=np.uint64) + np.uint64(name << 32)
    return to_unit_interval(scramble(scramble(keys))).reshape(height, width)


def _smooth_noise(name: int, step: int) -> Tile:
    """Return a repeating tile in [0, 1) that varies smoothly over `step` pixels."""
    count = TILE_SIZE // step
    lattice = noise(name, count, count)
    position = np.arange(TILE_SIZE, dtype=np.float32) / step
    left = position.astype(np.int64)
    share = (position - left).astype(np.float32)
    share = share * share * (3.0 - 2.0 * share)
    rows = lattice[left] * (1 - share)[:, None] + lattice[(left + 1) % count] * share[:, None]
    smooth = rows[:, left] * (1 - share) + rows[:, (left + 1) % count] * share
    return smooth.astype(np.float32)


def _cells(name: int, height: int, width: int) -> tuple[Tile, npt.NDArray[np.bool_]]:
    """Return a number for each block of a wall, in [0, 1), and where the joints are."""
    course = _ROWS // height
    shifted = (_COLUMNS + (course % 2) * (width // 2)) % TILE_SIZE
    block = noise(name)[course, shifted // width]
    return block, (_ROWS % height == 0) | (shifted % width == 0)


def _brick() -> Surface:
    block, joint = _cells(1, 4, 8)
    return Surface(0.86 + 0.28 * block, 0.8 * joint.astype(np.float32), (0.87, 0.82, 0.75))


def _stone() -> Surface:
    block, joint = _cells(2, 8, 8)
    top = (_ROWS % 8 == 1) | (((_COLUMNS + (_ROWS // 8 % 2) * 4) % 8) == 1)
    tone = 0.80 + 0.36 * block + 0.16 * top + 0.14 * (noise(3) - 0.5)
    return Surface(tone.astype(np.float32), 0.62 * joint.astype(np.float32), (0.22, 0.22, 0.25))


def _wood() -> Surface:
    plank = (_ROWS // 4) % 32
    grain = noise(4, 128, 16)[_ROWS, (_COLUMNS + 5 * plank) % TILE_SIZE // 8]
    tone = 0.90 + 0.34 * noise(5)[plank, 0] - 0.12 + 0.20 * (grain - 0.5)
    seam = np.where(_ROWS % 4 == 0, 0.62, 1.0)
    return Surface((tone * seam).astype(np.float32))


def _fabric() -> Surface:
    weave = np.where((_ROWS + _COLUMNS) % 2 == 0, 1.10, 0.84)
    fold = 1.0 + 0.10 * np.sin(_COLUMNS * (2 * np.pi / 16) + _ROWS * (2 * np.pi / 64))
    return Surface((weave * fold).astype(np.float32))


def _foliage() -> Surface:
    leaves = _smooth_noise(6, 4) + 0.45 * noise(7)
    return Surface(np.select([leaves < 0.52, leaves < 0.88], [0.64, 0.92], 1.24).astype(np.float32))


def _fur() -> Surface:
    slanted = (_COLUMNS + _ROWS) % TILE_SIZE
    hairs = noise(8, 43, 128)[(_ROWS + 2 * (slanted % 3)) % TILE_SIZE // 3, slanted]
    tone = np.select([hairs < 0.26, hairs > 0.78], [0.76, 1.20], 1.0)
    return Surface(tone.astype(np.float32))


def _feathers() -> Surface:
    row = _ROWS // 4
    across = (_COLUMNS + 3.0 * (row % 2)) % 6 - 2.5
    down = _ROWS % 4 + 0.5
    edge = np.abs(np.sqrt(across * across + down * down) - 3.2)
    tone = np.where(edge < 0.62, 0.60, 1.12 - 0.05 * down)
    return Surface(tone.astype(np.float32))


def _metal() -> Surface:
    slant = (_COLUMNS + _ROWS) % 32
    sheen = 1.0 - np.abs(slant - 10.0) / 4.0
    rivet = (_ROWS % 8 == 4) & (_COLUMNS % 8 == 4)
    tone = np.where(rivet, 0.55, 0.98)
    return Surface(tone.astype(np.float32), _share(sheen, 0.70), (1.0, 1.0, 1.0))


def _glass() -> Surface:
    slant = (_COLUMNS + _ROWS) % 32
    glare = np.maximum(1.0 - np.abs(slant - 8.0) / 2.2, 0.9 * (np.abs(slant - 14.0) < 0.6))
    plain = np.ones((TILE_SIZE, TILE_SIZE), dtype=np.float32)
    return Surface(plain, np.maximum(_share(glare), np.float32(0.18)), (1.0, 1.0, 1.0))


def _share(values: npt.NDArray[np.floating[Any]], most: float = 0.9) -> Tile:
    share: Tile = np.clip(values, 0.0, most).astype(np.float32)
    return share


SURFACES: Mapping[str, Surface] = {
    "wood": _wood(),
    "metal": _metal(),
    "brick": _brick(),
    "stone": _stone(),
    "glass": _glass(),
    "fabric": _fabric(),
    "foliage": _foliage(),
    "fur": _fur(),
    "feathers": _feathers(),
}
GRAIN: Tile = noise(9)
"""(128, 128) in [0, 1): one independent number for each pixel."""
CLOUDS: Tile = _smooth_noise(10, 16)
"""(128, 128) in [0, 1): broad smooth noise."""
BLADES: Tile = noise(11, 32, 128)[((_ROWS + 7 * (_COLUMNS % 5)) % TILE_SIZE) // 4, _COLUMNS]
"""(128, 128) in [0, 1): short upright strokes, like blades of grass."""
