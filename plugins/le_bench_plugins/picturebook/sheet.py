"""The sheet on which the things of one class are drawn together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from le_bench_plugins.picturebook.concepts import CONCEPT_IDS, MATERIALS, TEXTURES
from le_bench_plugins.picturebook.hashing import Stream
from le_bench_plugins.picturebook.layers import Layers, Paint, encode, encode_ids
from le_bench_plugins.picturebook.palette import PAINT_TABLE
from le_bench_plugins.picturebook.patterns import PATTERNS
from le_bench_plugins.picturebook.shapes import Field
from le_bench_plugins.picturebook.surfaces import SURFACES, TILE_SIZE

Ids = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Finish:
    """How n things are painted, every field of shape (n,); ids are those of the id maps.

    color: the main colour. accent: the second colour, of the texture and of smaller parts.
    eyes: the colour of the eyes of those that have coloured ones. texture, material: 0 for none.
    """

    color: Ids
    accent: Ids
    eyes: Ids
    texture: Ids
    material: Ids

    def take(self, rows: npt.NDArray[np.int64]) -> Finish:
        """Return the finish of the things in the given rows."""
        return Finish(
            self.color[rows],
            self.accent[rows],
            self.eyes[rows],
            self.texture[rows],
            self.material[rows],
        )


class Sheet(Layers):
    """n square canvases, each with one thing of the same class, facing as it was designed.

    u, v: (n, size, size), the thing's own coordinates, in which it fills about [-1, 1] x [-1, 1],
    v growing downwards. x, y: the same in pixels. level_u, level_v: the same without the tilt.
    """

    def __init__(
        self, size: int, scale: Field, tilt: Field, finish: Finish, stream: Stream
    ) -> None:
        """Prepare canvases of size x size pixels.

        scale: (n,), pixels for one unit of u. tilt: (n,), radians clockwise.
        """
        num_things = len(scale)
        super().__init__(num_things, size, size)
        self.finish = finish
        self.stream = stream
        self.pixels_per_unit: Field = scale[:, None, None]
        steps = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
        shift_x = stream.uniform("shift x", -0.5, 0.5)[:, None, None]
        shift_y = stream.uniform("shift y", -0.5, 0.5)[:, None, None]
        columns, rows = steps[None, None, :] - shift_x, steps[None, :, None] - shift_y
        cosine, sine = np.cos(tilt)[:, None, None], np.sin(tilt)[:, None, None]
        self.x: Field = columns * cosine + rows * sine
        self.y: Field = rows * cosine - columns * sine
        self.u: Field = self.x / self.pixels_per_unit
        self.v: Field = self.y / self.pixels_per_unit
        self.level_u: Field = np.broadcast_to(columns / self.pixels_per_unit, self.u.shape)
        self.level_v: Field = np.broadcast_to(rows / self.pixels_per_unit, self.u.shape)
        self._coat: Paint | None = None

    def put(self, distance: Field, paint: Paint, part: str | None = None, rim: float = 0.3) -> None:
        """Lay paint inside a shape given in u and v, as a part of the thing."""
        self.lay(distance * self.pixels_per_unit, paint.showing(part=part), rim)

    def tint(self, distance: Field, rgb: tuple[float, float, float], opacity: float) -> None:
        """Lighten or darken what was drawn inside a shape, by at most half."""
        color = np.array(rgb, dtype=np.float32).reshape(3, 1, 1, 1)
        paint = Paint(color, np.zeros((1, 1, 1), dtype=np.uint64))
        self.lay(distance * self.pixels_per_unit, paint, opacity=min(opacity, 0.5))

    def let_light_through(self) -> None:
        """Let the ground shine through the things that are made of glass."""
        opacity = np.where(self.finish.material == CONCEPT_IDS["glass"], 0.7, 1.0)
        opacity = opacity.astype(np.float32)[:, None, None]
        self.rgb *= opacity
        self.alpha *= opacity

    def roll(self, name: str, low: float = 0.0, high: float = 1.0) -> Field:
        """Return a random number in [low, high) for each thing, shape (n, 1, 1)."""
        return self.stream.uniform(name, low, high)[:, None, None]

    def thin(self, radius: float) -> Field:
        """Return the half width of a line, shape (n, 1, 1), that stays visible on small things."""
        width: Field = np.maximum(radius, 0.75 / self.pixels_per_unit)
        return width

    def named(self, color: str, shade: float = 1.0) -> Paint:
        """Return a plain paint of a named colour; `shade` scales its brightness."""
        return self.dyed(np.full(len(self.alpha), CONCEPT_IDS[color], dtype=np.uint8), shade)

    def dyed(self, colors: Ids, shade: float = 1.0) -> Paint:
        """Return plain paints whose colour ids, shape (n,), differ from thing to thing."""
        rgb = PAINT_TABLE[colors].T[:, :, None, None] * np.float32(shade)
        return Paint(np.minimum(rgb, 1.0), encode_ids("color", colors)[:, None, None])

    def accent(self, shade: float = 1.0) -> Paint:
        """Return plain paints of the second colours."""
        return self.dyed(self.finish.accent, shade)

    def made_of(self, material: str, paint: Paint) -> Paint:
        """Return a paint that looks like a material."""
        rows = np.arange(len(self.alpha))
        rgb = np.broadcast_to(paint.rgb, (3, *self.alpha.shape)).copy()
        self._texture_like(material, rgb, rows)
        return Paint(rgb, paint.codes | encode(material=material))

    def coat(self) -> Paint:
        """Return the main paint, with each thing's own texture and material."""
        if self._coat is None:
            self._coat = self._mix_coat()
        return self._coat

    def body(self) -> Paint:
        """Return the main colour in each thing's own material, without texture."""
        plain = self.dyed(self.finish.color)
        rgb = np.broadcast_to(plain.rgb, (3, *self.alpha.shape)).copy()
        return self._cover(rgb, plain.codes)

    def _mix_coat(self) -> Paint:
        share = np.zeros_like(self.alpha)
        period = np.clip(self.pixels_per_unit * 0.48, 5.5, 11.0)
        direction = self.roll("direction")
        offset = self.roll("pattern offset") * period
        for name in TEXTURES:
            rows = np.flatnonzero(self.finish.texture == CONCEPT_IDS[name])
            if rows.size:
                share[rows] = PATTERNS[name](
                    self.x[rows] + offset[rows], self.y[rows], period[rows], direction[rows]
                )
        first, second = self.dyed(self.finish.color), self.accent()
        rgb = first.rgb + (second.rgb - first.rgb) * share
        codes = np.where(share > 0.5, second.codes, first.codes)
        return self._cover(rgb, codes | encode_ids("texture", self.finish.texture)[:, None, None])

    def _cover(self, rgb: Field, codes: npt.NDArray[np.uint64]) -> Paint:
        for name in MATERIALS:
            rows = np.flatnonzero(self.finish.material == CONCEPT_IDS[name])
            if rows.size:
                self._texture_like(name, rgb, rows)
        material = encode_ids("material", self.finish.material)[:, None, None]
        return Paint(rgb, codes | material)

    def _texture_like(self, material: str, rgb: Field, rows: npt.NDArray[np.int64]) -> None:
        """Change the paint of the things in the given rows, in place, to look like a material."""
        surface = SURFACES[material]
        stream = self.stream.take(rows)
        steps = np.arange(self.alpha.shape[1]) - self.alpha.shape[1] // 2
        down = stream.uniform("tile row", 37, 90).astype(np.int64)[:, None] + steps
        across = stream.uniform("tile column", 37, 90).astype(np.int64)[:, None] + steps
        index = down[:, :, None] % TILE_SIZE * TILE_SIZE + across[:, None, :] % TILE_SIZE
        tone = surface.tone.ravel().take(index)
        inlay = None if surface.inlay is None else surface.inlay.ravel().take(index)
        for channel in range(3):
            color = rgb[channel, rows] * tone
            if inlay is not None:
                color += (surface.inlay_rgb[channel] - color) * inlay
            rgb[channel, rows] = np.minimum(color, 1.0)
