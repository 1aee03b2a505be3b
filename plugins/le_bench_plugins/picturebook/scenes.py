"""Drawings of the ten scenes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from le_bench_plugins.picturebook.backdrop import Backdrop, Rgb
from le_bench_plugins.picturebook.hashing import Stream
from le_bench_plugins.picturebook.layers import Layers, Paint, mix
from le_bench_plugins.picturebook.shapes import Field, ring, union
from le_bench_plugins.picturebook.surfaces import BLADES, CLOUDS, GRAIN, SURFACES

_WALLPAPERS = np.array(
    [
        (0.93, 0.87, 0.74),
        (0.80, 0.86, 0.80),
        (0.80, 0.85, 0.92),
        (0.92, 0.82, 0.82),
        (0.87, 0.83, 0.90),
        (0.90, 0.90, 0.88),
    ],
    dtype=np.float32,
)


def draw_scene(scene: str, size: int, stream: Stream) -> Layers:
    """Return backdrops of size x size pixels of one scene, one for each key of the stream."""
    backdrop = Backdrop(size, stream)
    _PAINTERS[scene](backdrop)
    return backdrop


def _toned(paint: Paint, tone: Field) -> Paint:
    return paint._replace(rgb=np.minimum(paint.rgb * tone, 1.0))


def _rolling(backdrop: Backdrop, name: str, low: float, high: float, swing: float) -> Field:
    """Return the distance to the ground below a gently waving horizon, shape (n, size, size)."""
    level = backdrop.roll(name + " level", low, high)
    phase = backdrop.roll(name + " phase", 0.0, 6.283)
    stretch = backdrop.roll(name + " stretch", 0.07, 0.13)
    crest = level + swing * np.sin(backdrop.x[:, :1] * stretch + phase)
    return crest - backdrop.y


def _draw_grass(backdrop: Backdrop, top: Rgb, bottom: Rgb, low: float, high: float) -> None:
    paint = backdrop.fade(top, bottom, object="grass")
    blades = 0.80 + 0.34 * backdrop.tile(BLADES, "blades")
    backdrop.lay(_rolling(backdrop, "grass", low, high, 2.0), _toned(paint, blades))


def _draw_water(backdrop: Backdrop, distance: Field, top: Rgb, bottom: Rgb) -> None:
    """Draw a sea with short glints, within the given distance."""
    paint = backdrop.fade(top, bottom, object="water")
    glints = np.where(backdrop.tile(BLADES.T, "glints") > 0.86, 1.28, 1.0).astype(np.float32)
    backdrop.lay(distance, _toned(paint, glints))


def _draw_sand(backdrop: Backdrop, distance: Field) -> None:
    paint = backdrop.fade((0.95, 0.85, 0.60), (0.88, 0.74, 0.46), object="sand")
    backdrop.lay(distance, _toned(paint, 0.88 + 0.2 * backdrop.tile(GRAIN, "sand grains")))


def _paint_meadow(backdrop: Backdrop) -> None:
    backdrop.fill(backdrop.fade((0.42, 0.69, 0.96), (0.86, 0.95, 1.0), 0.6, object="sky"))
    backdrop.draw_sun()
    backdrop.draw_mountain(0.5, 40.0, (0.45, 0.55, 0.66))
    backdrop.draw_clouds()
    _draw_grass(backdrop, (0.52, 0.80, 0.34), (0.27, 0.58, 0.18), 31.0, 38.0)


def _paint_forest(backdrop: Backdrop) -> None:
    backdrop.fill(backdrop.fade((0.72, 0.86, 0.70), (0.84, 0.92, 0.78), 0.7, object="sky"))
    bark = SURFACES["wood"].tone.T
    grain = backdrop.tile(np.ascontiguousarray(bark), "bark")
    for name, rgb, count, low, high in (
        ("far", (0.52, 0.55, 0.42), 4, 1.0, 1.6),
        ("near", (0.40, 0.27, 0.16), 4, 1.9, 3.2),
    ):
        spacing = 64.0 / count
        place = [
            backdrop.roll(f"{name} trunk {number}", spacing * number, spacing * (number + 1))
            for number in range(count)
        ]
        width = backdrop.roll(name + " trunk width", low, high)
        trunks = union(*(np.abs(backdrop.x - middle) - width for middle in place))
        paint = mix(rgb, object="tree", part="trunk", material="wood")
        backdrop.lay(np.broadcast_to(trunks, grain.shape), _toned(paint, grain))
    _draw_grass(backdrop, (0.33, 0.55, 0.25), (0.16, 0.38, 0.14), 42.0, 47.0)
    scallop = np.abs((backdrop.x + backdrop.roll("canopy shift", 0.0, 16.0)) % 16.0 - 8.0)
    edge = backdrop.roll("canopy level", 13.0, 18.0) - scallop * scallop * 0.09
    rough = 3.0 * backdrop.tile(CLOUDS, "canopy edge")
    leaves = mix((0.22, 0.46, 0.20), object="tree", part="crown", material="foliage")
    tone = backdrop.tile(SURFACES["foliage"].tone, "leaves")
    backdrop.lay(backdrop.y - edge - rough, _toned(leaves, tone))


def _paint_beach(backdrop: Backdrop) -> None:
    backdrop.fill(backdrop.fade((0.50, 0.77, 0.97), (0.90, 0.97, 1.0), 0.45, object="sky"))
    backdrop.draw_sun()
    backdrop.draw_clouds()
    backdrop.draw_mountain(0.25, 32.0, (0.45, 0.56, 0.62))
    horizon = backdrop.roll("horizon", 24.0, 29.0) - backdrop.y
    full = np.broadcast_to(horizon, backdrop.alpha.shape)
    _draw_water(backdrop, full, (0.12, 0.50, 0.80), (0.30, 0.80, 0.86))
    tilt = backdrop.roll("shore tilt", -0.14, 0.14) * (backdrop.x - 32.0)
    shore = _rolling(backdrop, "shore", 38.0, 43.0, 1.5) + tilt
    backdrop.lay(shore - 2.5, mix((0.97, 0.99, 1.0), object="water"))
    _draw_sand(backdrop, shore)


def _paint_ocean(backdrop: Backdrop) -> None:
    backdrop.fill(backdrop.fade((0.55, 0.75, 0.94), (0.93, 0.96, 0.97), 0.45, object="sky"))
    backdrop.draw_sun()
    backdrop.draw_clouds()
    horizon = backdrop.roll("horizon", 24.0, 32.0)
    far = np.broadcast_to(horizon - backdrop.y, backdrop.alpha.shape)
    _draw_water(backdrop, far, (0.24, 0.56, 0.84), (0.03, 0.20, 0.50))
    for number in range(3):
        middle_x = backdrop.roll(f"wave {number} x", 4.0, 60.0)
        middle_y = horizon + 6.0 + 10.0 * number + backdrop.roll(f"wave {number} y", 0.0, 5.0)
        across = np.abs(backdrop.x - middle_x)
        arch = np.abs(backdrop.y - middle_y - across * across * 0.04) - 0.8
        backdrop.lay(np.maximum(arch, across - 5.5), mix((0.88, 0.95, 1.0), object="water"))


def _paint_underwater(backdrop: Backdrop) -> None:
    backdrop.fill(backdrop.fade((0.36, 0.80, 0.88), (0.02, 0.27, 0.52), object="water"))
    for number in range(3):
        start = backdrop.roll(f"ray {number}", 4.0 + 22 * number, 20.0 + 22 * number)
        middle = start - backdrop.y * 0.45
        ray = np.abs(backdrop.x - middle) - 2.0 - backdrop.y * 0.06
        backdrop.lay(ray, mix((0.85, 1.0, 0.98)), opacity=0.16)
    _draw_sand(backdrop, _rolling(backdrop, "sea floor", 53.0, 58.0, 1.8))
    for number in range(5):
        middle = backdrop.roll(f"bubble {number} x", 3.0, 61.0)
        height = backdrop.roll(f"bubble {number} y", 4.0, 50.0)
        across, down = backdrop.x - middle, backdrop.y - height
        backdrop.lay(ring(across, down, (0.0, 0.0), 1.9, 0.5), mix((0.9, 1.0, 1.0)), opacity=0.5)


def _paint_desert(backdrop: Backdrop) -> None:
    backdrop.fill(backdrop.fade((0.98, 0.72, 0.42), (1.0, 0.93, 0.74), 0.55, object="sky"))
    backdrop.draw_sun(0.75)
    backdrop.draw_mountain(0.45, 40.0, (0.70, 0.42, 0.30))
    for name, low, high, top, bottom in (
        ("far dune", 32.0, 37.0, (0.90, 0.70, 0.40), (0.86, 0.62, 0.34)),
        ("near dune", 42.0, 48.0, (0.97, 0.78, 0.46), (0.84, 0.58, 0.28)),
    ):
        paint = backdrop.fade(top, bottom, object="sand")
        shape = _rolling(backdrop, name, low, high, 3.5)
        backdrop.lay(shape, _toned(paint, 0.93 + 0.12 * backdrop.tile(GRAIN, "sand grains")))


def _paint_snowfield(backdrop: Backdrop) -> None:
    backdrop.fill(backdrop.fade((0.60, 0.70, 0.82), (0.88, 0.92, 0.96), 0.6, object="sky"))
    backdrop.draw_sun(0.4)
    backdrop.draw_mountain(0.55, 40.0, (0.50, 0.56, 0.66), (0.97, 0.98, 1.0))
    backdrop.draw_clouds(0.4)
    paint = backdrop.fade((0.97, 0.98, 1.0), (0.90, 0.94, 1.0), object="snow")
    drifts = 0.88 + 0.14 * backdrop.tile(CLOUDS, "drifts")
    backdrop.lay(_rolling(backdrop, "snow", 33.0, 39.0, 2.5), _toned(paint, drifts))
    flakes = 0.988 - backdrop.tile(GRAIN, "flakes")
    backdrop.lay(flakes * 60.0, mix((1.0, 1.0, 1.0)), opacity=0.5)
    backdrop.lay(flakes * 60.0, mix((1.0, 1.0, 1.0)), opacity=0.5)


def _paint_night(backdrop: Backdrop) -> None:
    backdrop.fill(backdrop.fade((0.05, 0.06, 0.22), (0.24, 0.22, 0.52), 0.65, object="sky"))
    stars = 0.985 - backdrop.tile(GRAIN, "stars")
    backdrop.lay(stars * 60.0, mix((1.0, 1.0, 0.9)), opacity=0.5)
    backdrop.draw_moon()
    backdrop.draw_mountain(0.4, 42.0, (0.10, 0.10, 0.24))
    _draw_grass(backdrop, (0.14, 0.33, 0.26), (0.07, 0.19, 0.16), 37.0, 43.0)


def _paint_street(backdrop: Backdrop) -> None:
    backdrop.fill(backdrop.fade((0.66, 0.78, 0.90), (0.93, 0.93, 0.92), 0.55, object="sky"))
    backdrop.draw_sun(0.5)
    backdrop.draw_clouds(0.5)
    for name, width, low, high, rgb in (
        ("far", 9.0, 16.0, 30.0, (0.74, 0.77, 0.83)),
        ("near", 12.0, 24.0, 36.0, (0.62, 0.64, 0.72)),
    ):
        shift = backdrop.roll(name + " block shift", 0.0, width)
        column = np.floor((backdrop.x[:, :1] + shift) / width).astype(np.int64)
        heights = np.concatenate(
            [backdrop.roll(f"{name} block {number}", low, high) for number in range(9)], axis=2
        )
        roofs = np.take_along_axis(heights, np.minimum(column, 8), axis=2)
        backdrop.lay(np.broadcast_to(roofs - backdrop.y, backdrop.alpha.shape), mix(rgb))
    curb = backdrop.roll("curb", 40.0, 44.0)
    level = np.broadcast_to(curb - backdrop.y, backdrop.alpha.shape)
    backdrop.lay(level + 3.0 - 7.0, mix((0.80, 0.79, 0.76)))
    paint = backdrop.fade((0.38, 0.38, 0.42), (0.30, 0.30, 0.34), object="road")
    backdrop.lay(level, _toned(paint, 0.92 + 0.14 * backdrop.tile(GRAIN, "asphalt")))
    dash = np.abs((backdrop.x + backdrop.roll("dash shift", 0.0, 16.0)) % 16.0 - 8.0) - 4.5
    lane = np.abs(backdrop.y - curb - 11.0) - 1.1
    backdrop.lay(np.maximum(dash, lane), mix((0.97, 0.93, 0.75), object="road"))


def _paint_room(backdrop: Backdrop) -> None:
    wallpaper = backdrop.stream.pick("wallpaper", [1.0] * len(_WALLPAPERS))
    paint = backdrop.fade((1.0, 1.0, 1.0), (0.90, 0.90, 0.90), object="wall")
    backdrop.fill(paint._replace(rgb=paint.rgb * _WALLPAPERS[wallpaper].T[:, :, None, None]))
    level = backdrop.roll("floor level", 42.0, 48.0) - backdrop.y
    boards = mix((0.70, 0.47, 0.26), object="floor", material="wood")
    full = np.broadcast_to(level, backdrop.alpha.shape)
    backdrop.lay(full, _toned(boards, backdrop.tile(SURFACES["wood"].tone, "boards")))
    backdrop.lay(np.abs(full - 1.5) - 1.5, mix((0.97, 0.96, 0.94), object="wall"))


_PAINTERS: Mapping[str, Callable[[Backdrop], None]] = {
    "meadow": _paint_meadow,
    "forest": _paint_forest,
    "beach": _paint_beach,
    "ocean": _paint_ocean,
    "underwater": _paint_underwater,
    "desert": _paint_desert,
    "snowfield": _paint_snowfield,
    "night": _paint_night,
    "street": _paint_street,
    "room": _paint_room,
}
