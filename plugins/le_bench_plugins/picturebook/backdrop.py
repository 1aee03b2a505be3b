"""The backdrop of pictures: gradients, tiles and the stuff that several scenes share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from le_bench_plugins.picturebook.hashing import Stream
from le_bench_plugins.picturebook.layers import Layers, Paint, encode, mix
from le_bench_plugins.picturebook.shapes import (
    Field,
    circle,
    intersection,
    polygon,
    union,
)
from le_bench_plugins.picturebook.surfaces import TILE_SIZE, Tile

Rgb = tuple[float, float, float]


class Backdrop(Layers):
    """n pictures of one scene; x and y are pixel coordinates of shape (1, size, size)."""

    def __init__(self, size: int, stream: Stream) -> None:
        super().__init__(len(stream.keys), size, size)
        self.stream = stream
        steps = np.arange(size, dtype=np.float32)
        self.x: Field = np.broadcast_to(steps, (1, size, size))
        self.y: Field = np.broadcast_to(steps[:, None], (1, size, size))

    def roll(self, name: str, low: float = 0.0, high: float = 1.0) -> Field:
        """Return a random number in [low, high) for each picture, shape (n, 1, 1)."""
        return self.stream.uniform(name, low, high)[:, None, None]

    def whether(self, name: str, probability: float) -> npt.NDArray[np.bool_]:
        """Return a random truth value for each picture, shape (n, 1, 1)."""
        some: npt.NDArray[np.bool_] = self.stream.chance(name, probability)[:, None, None]
        return some

    def fill(self, paint: Paint) -> None:
        """Cover the pictures with paint."""
        self.rgb[:] = paint.rgb
        self.alpha[:] = 1.0
        self.codes[:] = paint.codes

    def fade(self, top: Rgb, bottom: Rgb, end: float = 1.0, **names: str | None) -> Paint:
        """Return a paint that changes from the upper edge to the row at the share `end`.

        The brightness of each picture's paint differs by up to 6 percent.
        """
        share = np.minimum(self.y[:, :, :1] / (self.y.shape[1] * end), 1.0)
        rgb = np.stack(
            [start + (finish - start) * share for start, finish in zip(top, bottom, strict=True)]
        )
        tone = self.roll("tone of " + "".join(map(str, names.values())), 0.94, 1.06)
        codes = np.full((1, 1, 1), encode(**names), dtype=np.uint64)
        return Paint(np.minimum(rgb * tone, 1.0), codes)

    def tile(self, tile: Tile, purpose: str) -> Field:
        """Return a tile at a random place for each picture, shape (n, size, size)."""
        steps = np.arange(self.y.shape[1])
        rows = (self.stream.uniform(purpose + " row", 0, TILE_SIZE)).astype(np.int64)
        columns = (self.stream.uniform(purpose + " column", 0, TILE_SIZE)).astype(np.int64)
        index = ((rows[:, None] + steps) % TILE_SIZE)[:, :, None] * TILE_SIZE
        return tile.ravel().take(index + ((columns[:, None] + steps) % TILE_SIZE)[:, None, :])

    def draw_sun(self, probability: float = 0.65) -> None:
        """Draw the sun in some of the pictures, high up."""
        center = (self.roll("sun x", 7.0, 57.0), self.roll("sun y", 7.0, 14.0))
        radius = self.roll("sun radius", 5.2, 7.0)
        distance = circle(self.x, self.y, center, radius)
        distance = np.where(self.whether("sun", probability), distance, 99.0)
        self.lay(distance - 2.5, mix((1.0, 0.97, 0.75)), opacity=0.4)
        self.lay(distance, mix((1.0, 0.83, 0.22), object="sun"))

    def draw_moon(self) -> None:
        """Draw a crescent moon high up."""
        center_x, center_y = self.roll("moon x", 9.0, 55.0), self.roll("moon y", 9.0, 14.0)
        radius = self.roll("moon radius", 6.0, 7.5)
        disc = circle(self.x, self.y, (center_x, center_y), radius)
        bite = circle(self.x, self.y, (center_x + radius * 0.55, center_y - 1.5), radius * 0.85)
        self.lay(intersection(disc, -bite), mix((0.99, 0.96, 0.78), object="moon"))

    def draw_clouds(self, probability: float = 0.6) -> None:
        """Draw one or two white clouds in some of the pictures."""
        paint = mix((0.99, 0.99, 1.0), object="cloud")
        for name, chance in (("first cloud", probability), ("second cloud", probability * 0.6)):
            left = self.roll(name + " x", 4.0, 60.0)
            base = self.roll(name + " y", 9.0, 18.0)
            size = self.roll(name + " size", 0.85, 1.3)
            puffs = union(
                circle(self.x, self.y, (left - 6.0 * size, base), 3.2 * size),
                circle(self.x, self.y, (left - 1.0 * size, base - 2.2 * size), 4.6 * size),
                circle(self.x, self.y, (left + 5.5 * size, base - 0.3), 3.6 * size),
            )
            shape = np.maximum(puffs, self.y - base - 1.6)
            self.lay(np.where(self.whether(name, chance), shape, 99.0), paint)

    def draw_mountain(
        self, probability: float, foot: float, rock: Rgb, cap: Rgb | None = None
    ) -> None:
        """Draw one or two peaks in some of the pictures, down to the row `foot`."""
        some = self.whether("mountain", probability)
        for name, chance in (("second peak", 0.6), ("first peak", 1.0)):
            shift = self.roll(name + " x", 8.0, 56.0)
            height = self.roll(name + " height", 15.0, 23.0)
            across, down = self.x - shift, self.y - (foot - height)
            slope = polygon(across, down, (0.0, 0.0), (34.0, 32.0), (-30.0, 32.0))
            shape = np.where(some & self.whether(name, chance), slope, 99.0)
            shade = 1.0 if name == "first peak" else 1.12
            self.lay(
                shape, mix((rock[0] * shade, rock[1] * shade, rock[2] * shade), object="mountain")
            )
            lit = intersection(shape, across + np.abs((down % 8.0) - 4.0) * 0.5)
            self.lay(lit, mix((1.0, 1.0, 1.0)), opacity=0.15)
            if cap is not None:
                teeth = np.abs((across % 5.0) - 2.5)
                self.lay(np.maximum(shape, down - 6.0 - teeth), mix(cap, object="mountain"))
