"""Putting backdrops and things together into pictures."""

from __future__ import annotations

from math import ceil

import numpy as np
import numpy.typing as npt

from le_bench_plugins.picturebook.casting import FRAME, Cast
from le_bench_plugins.picturebook.concepts import CLASSES, SCENES
from le_bench_plugins.picturebook.hashing import Stream
from le_bench_plugins.picturebook.layers import Codes, Layers, encode, encode_ids
from le_bench_plugins.picturebook.scenes import draw_scene
from le_bench_plugins.picturebook.shapes import ellipse
from le_bench_plugins.picturebook.sheet import Sheet
from le_bench_plugins.picturebook.species import SPECIES

Rows = npt.NDArray[np.int64]


def stage(scenes: Rows, scene_stream: Stream, cast: Cast) -> Layers:
    """Return pictures of the given scenes, shape (n,), with the things of the cast in them.

    The codes hold concepts and owners: 0 for scenery, 1 for the main object, 2 and 3 for the
    companions, which stand in front.
    """
    pictures = Layers(len(scenes), FRAME, FRAME)
    for number, name in enumerate(SCENES):
        rows = np.flatnonzero(scenes == number)
        if rows.size:
            backdrop = draw_scene(name, FRAME, scene_stream.take(rows))
            pictures.rgb[:, rows] = backdrop.rgb
            pictures.codes[rows] = backdrop.codes
    for is_main in (True, False):
        for number, name in enumerate(CLASSES):
            rows = np.flatnonzero(((cast.slot == 0) == is_main) & (cast.label == number))
            if rows.size:
                _paste(pictures, _draw_things(name, cast, rows), cast, rows)
    return pictures


def _draw_things(name: str, cast: Cast, rows: Rows) -> Sheet:
    species = SPECIES[name]
    room = 1.2 if species.tilt else 1.1
    sheet = Sheet(
        size=2 * ceil(float(cast.scale[rows].max()) * room + 1.0),
        scale=cast.scale[rows],
        tilt=cast.tilt[rows],
        finish=cast.finish.take(rows),
        stream=cast.stream.take(rows),
    )
    if not species.airborne:
        shadow = ellipse(sheet.level_u, sheet.level_v, (0.0, species.foot - 0.04), (0.8, 0.1))
        sheet.tint(shadow, (0.0, 0.0, 0.0), 0.28)
    species.draw(sheet)
    owned = encode(object=name) | encode_ids("owner", cast.slot[rows] + 1)
    solid = sheet.alpha > 0.5
    sheet.codes = np.where(solid, sheet.codes | owned[:, None, None], np.uint64(0))
    return sheet


def _paste(pictures: Layers, sheet: Sheet, cast: Cast, rows: Rows) -> None:
    """Put each thing of a sheet into its picture, mirrored if it is to face the other way."""
    size = sheet.alpha.shape[1]
    left = np.floor(cast.x[rows] + 0.5).astype(np.int64) - size // 2
    top = np.floor(cast.y[rows] + 0.5).astype(np.int64) - size // 2
    for number, row in enumerate(rows):
        target = cast.picture[row]
        step = -1 if cast.mirrored[row] else 1
        to_rows, from_rows = _overlap(int(top[number]), size)
        to_columns, from_columns = _overlap(int(left[number]), size)
        alpha = sheet.alpha[number, :, ::step][from_rows, from_columns]
        rgb = sheet.rgb[:, number, :, ::step][:, from_rows, from_columns]
        codes: Codes = sheet.codes[number, :, ::step][from_rows, from_columns]
        ground = pictures.rgb[:, target, to_rows, to_columns]
        ground *= 1.0 - alpha
        ground += rgb
        np.copyto(pictures.codes[target, to_rows, to_columns], codes, where=codes > 0)


def _overlap(start: int, size: int) -> tuple[slice, slice]:
    """Return the part of the frame that a canvas from `start` on covers, and of the canvas."""
    first, last = max(start, 0), min(start + size, FRAME)
    return slice(first, last), slice(first - start, last - start)
