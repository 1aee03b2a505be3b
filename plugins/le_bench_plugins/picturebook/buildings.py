"""Drawings of the buildings."""

from __future__ import annotations

import numpy as np

from le_bench_plugins.picturebook.layers import Paint
from le_bench_plugins.picturebook.shapes import (
    box,
    circle,
    intersection,
    line,
    polygon,
    union,
)
from le_bench_plugins.picturebook.sheet import Sheet
from le_bench_plugins.picturebook.vehicles import glass

_DARK = (0.06, 0.06, 0.08)
_LIGHT = (1.0, 1.0, 1.0)


def draw_house(sheet: Sheet) -> None:
    """Draw houses with a gabled roof and a chimney."""
    u, v = sheet.u, sheet.v
    chimney = box(u, v, (0.52, -0.62), (0.15, 0.36))
    sheet.put(chimney, sheet.made_of("brick", sheet.named("red", 0.9)), "chimney", 0.3)
    sheet.put(box(u, v, (0.52, -0.97), (0.19, 0.06)), sheet.named("grey", 0.7), "chimney", 0.0)
    sheet.put(box(u, v, (0.0, 0.44), (0.8, 0.56)), sheet.body(), None, 0.35)
    sheet.put(polygon(u, v, (0.0, -0.94), (1.04, -0.06), (-1.04, -0.06)), sheet.accent(), "roof")
    tiles = intersection(
        polygon(u, v, (0.0, -0.86), (0.94, -0.1), (-0.94, -0.1)),
        abs((v * 6.0) % 1.0 - 0.5) * (1.0 / 6.0) - 0.03,
    )
    sheet.tint(tiles, _DARK, 0.3)
    panes = box(abs(u), v, (0.48, 0.32), (0.21, 0.22))
    sheet.put(panes, sheet.named("white"), "window", 0.0)
    sheet.put(box(abs(u), v, (0.48, 0.32), (0.16, 0.17)), glass(sheet), "window", 0.0)
    sheet.put(box(u, v, (0.0, 0.66), (0.2, 0.34)), _wooden(sheet), "door", 0.4)
    sheet.put(circle(u, v, (0.1, 0.68), 0.05), sheet.named("yellow"), "door", 0.0)


def _wooden(sheet: Sheet) -> Paint:
    return sheet.made_of("wood", sheet.named("brown", 0.85))


def draw_castle(sheet: Sheet) -> None:
    """Draw castles with two towers and a gate between them."""
    u, v = sheet.u, sheet.v
    mirrored = abs(u)
    coat = sheet.body()
    pole = line(mirrored, v, (0.66, -1.0), (0.66, -0.6), sheet.thin(0.025))
    sheet.put(pole, sheet.named("black", 1.5), None, 0.0)
    flags = union(
        polygon(u, v, (0.7, -1.04), (1.04, -0.9), (0.7, -0.76)),
        polygon(u, v, (-0.62, -1.04), (-0.28, -0.9), (-0.62, -0.76)),
    )
    sheet.put(flags, sheet.accent(), "flag", 0.15)
    notches = (u + 1.0) * (1.0 / 0.26)
    teeth = abs(notches - np.floor(notches) - 0.5) * 0.26 - 0.08
    crest = intersection(box(u, v, (0.0, 0.05), (0.5, 0.12)), teeth)
    sheet.put(crest, coat, "battlement", 0.45)
    sheet.put(box(u, v, (0.0, 0.56), (0.5, 0.44)), coat)
    tower_teeth = union(
        *(box(mirrored, v, (spot, -0.52), (0.085, 0.14)) for spot in (0.43, 0.67, 0.91))
    )
    sheet.put(
        union(tower_teeth, box(mirrored, v, (0.67, -0.36), (0.33, 0.07))), coat, "battlement", 0.45
    )
    sheet.put(box(mirrored, v, (0.67, 0.36), (0.29, 0.64)), coat, None, 0.4)
    slits = union(
        box(mirrored, v, (0.67, 0.06), (0.11, 0.13)), circle(mirrored, v, (0.67, -0.07), 0.11)
    )
    sheet.put(slits, sheet.named("yellow"), "window", 0.35)
    gate = union(box(u, v, (0.0, 0.76), (0.24, 0.24)), circle(u, v, (0.0, 0.52), 0.24))
    sheet.put(gate, _wooden(sheet), "door", 0.45)


def draw_lighthouse(sheet: Sheet) -> None:
    """Draw lighthouses."""
    u, v = sheet.u, sheet.v
    tower = polygon(u, v, (-0.26, -0.36), (0.26, -0.36), (0.45, 1.0), (-0.45, 1.0))
    sheet.put(tower, sheet.coat(), None, 0.35)
    sheet.put(box(u, v, (0.0, -0.38), (0.4, 0.07)), sheet.named("black", 1.3), None, 0.0)
    lamp = box(u, v, (0.0, -0.58), (0.23, 0.17))
    sheet.put(lamp, sheet.made_of("glass", sheet.named("yellow")), "lamp", 0.2)
    sheet.put(
        polygon(u, v, (0.0, -1.04), (0.36, -0.72), (-0.36, -0.72)), sheet.accent(0.95), "roof"
    )
    panes = union(box(u, v, (0.0, -0.06), (0.12, 0.13)), box(u, v, (0.0, 0.34), (0.12, 0.13)))
    sheet.tint(panes - 0.05, _DARK, 0.5)
    sheet.put(panes, glass(sheet), "window", 0.0)
    door = union(box(u, v, (0.0, 0.86), (0.16, 0.14)), circle(u, v, (0.0, 0.72), 0.16))
    sheet.put(door, _wooden(sheet), "door", 0.4)


def draw_tent(sheet: Sheet) -> None:
    """Draw tents with an open entrance and a flag on top."""
    u, v = sheet.u, sheet.v
    pole = line(u, v, (0.0, -1.02), (0.0, -0.7), sheet.thin(0.03))
    sheet.put(pole, sheet.named("brown", 0.7), None, 0.0)
    flag = polygon(u, v, (0.03, -1.08), (0.44, -0.92), (0.03, -0.74))
    sheet.put(flag, sheet.accent(), "flag", 0.2)
    cover = polygon(u, v, (0.0, -0.74), (1.0, 0.9), (-1.0, 0.9))
    sheet.put(cover, sheet.coat(), None, 0.4)
    flaps = polygon(u, v, (0.0, -0.2), (0.46, 0.9), (-0.46, 0.9))
    sheet.tint(flaps, _LIGHT, 0.5)
    entrance = polygon(u, v, (0.0, 0.0), (0.34, 0.9), (-0.34, 0.9))
    sheet.put(entrance, sheet.named("black"), "door", 0.0)
