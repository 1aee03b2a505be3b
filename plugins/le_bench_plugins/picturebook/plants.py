"""Drawings of the plants."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from le_bench_plugins.picturebook.shapes import (
    circle,
    ellipse,
    intersection,
    line,
    polygon,
    polyline,
    union,
)
from le_bench_plugins.picturebook.sheet import Sheet

_DARK = (0.05, 0.1, 0.05)


def draw_tree(sheet: Sheet) -> None:
    """Draw broad-leaved trees."""
    u, v = sheet.u, sheet.v
    trunk = polygon(u, v, (-0.14, 0.0), (0.14, 0.0), (0.22, 1.0), (-0.22, 1.0))
    sheet.put(trunk, sheet.made_of("wood", sheet.named("brown")), "trunk")
    crown = union(
        circle(u, v, (0.0, -0.5), 0.48),
        circle(u, v, (-0.44, -0.14), 0.42),
        circle(u, v, (0.44, -0.14), 0.42),
        circle(u, v, (0.0, 0.0), 0.44),
    )
    sheet.put(crown, sheet.coat(), "crown", 0.4)
    sheet.tint(intersection(crown, 0.02 - v), _DARK, 0.18)


def draw_pine(sheet: Sheet) -> None:
    """Draw pines with three tiers of branches."""
    u, v = sheet.u, sheet.v
    trunk = polygon(u, v, (-0.15, 0.6), (0.15, 0.6), (0.17, 1.0), (-0.17, 1.0))
    sheet.put(trunk, sheet.made_of("wood", sheet.named("brown")), "trunk")
    needles = sheet.coat()
    needles = needles._replace(rgb=needles.rgb * np.float32(0.72))
    tiers = (
        ((0.0, -0.3), (0.76, 0.72), (-0.76, 0.72)),
        ((0.0, -0.7), (0.6, 0.24), (-0.6, 0.24)),
        ((0.0, -1.02), (0.43, -0.26), (-0.43, -0.26)),
    )
    for tier in tiers:
        sheet.put(polygon(u, v, *tier), needles, "crown", 0.5)


def draw_flower(sheet: Sheet) -> None:
    """Draw flowers with six petals, a stem and two leaves."""
    u, v = sheet.u, sheet.v
    stalk = sheet.named("green")
    sheet.put(line(u, v, (0.0, -0.3), (0.0, 1.0), sheet.thin(0.075)), stalk, "stem", 0.25)
    leaves = union(
        ellipse(u, v, (-0.34, 0.62), (0.36, 0.15), 0.5),
        ellipse(u, v, (0.34, 0.72), (0.36, 0.15), -0.5),
    )
    sheet.put(leaves, sheet.named("green", 0.86), "leaf", 0.35)
    for first in (0, 1):
        petals = union(
            *(
                circle(u, v, (0.38 * cos(angle), 0.38 * sin(angle) - 0.38), 0.235)
                for angle in (pi / 3 * step + 0.2 for step in range(first, 6, 2))
            )
        )
        sheet.put(petals, sheet.dyed(sheet.finish.color), "petal", 0.45)
    sheet.put(circle(u, v, (0.0, -0.38), 0.22), sheet.accent(), None, 0.35)


def draw_cactus(sheet: Sheet) -> None:
    """Draw cactuses with two arms and a blossom on top."""
    u, v = sheet.u, sheet.v
    arms = union(
        polyline(u, v, ((0.0, 0.36), (-0.56, 0.36), (-0.56, -0.16)), 0.16),
        polyline(u, v, ((0.0, 0.12), (0.54, 0.12), (0.54, -0.46)), 0.15),
    )
    green = sheet.named("green", 0.9)
    sheet.put(arms, green, None, 0.5)
    trunk = intersection(line(u, v, (0.0, -0.46), (0.0, 1.2), 0.28), v - 1.0)
    sheet.put(trunk, green, None, 0.5)
    for side in (-0.12, 0.12):
        rib = intersection(abs(u - side) - sheet.thin(0.02) * 0.7, trunk + 0.08)
        sheet.tint(rib, _DARK, 0.42)
    _draw_spines(sheet)
    blossom = union(
        circle(u, v, (-0.2, -0.78), 0.16),
        circle(u, v, (0.2, -0.78), 0.16),
        circle(u, v, (0.0, -0.88), 0.17),
    )
    sheet.put(blossom, sheet.accent(), "petal", 0.35)


def _draw_spines(sheet: Sheet) -> None:
    """Draw pale spines, one every few pixels, on what is already green."""
    across, down = sheet.x % 5.0, (sheet.y + 2.5 * np.floor(sheet.x / 5.0)) % 5.0
    spot = np.maximum(abs(across - 2.5), abs(down - 2.5)) - 0.6
    covered = np.where(sheet.alpha > 0.95, spot, 1.0)
    sheet.tint(covered / sheet.pixels_per_unit, (1.0, 1.0, 0.8), 0.5)


def draw_mushroom(sheet: Sheet) -> None:
    """Draw mushrooms."""
    u, v = sheet.u, sheet.v
    stem = polygon(u, v, (-0.2, 0.0), (0.2, 0.0), (0.34, 1.0), (-0.34, 1.0))
    sheet.put(stem, sheet.named("white", 0.95), "stem", 0.3)
    gills = ellipse(u, v, (0.0, 0.1), (0.86, 0.16))
    sheet.put(gills, sheet.named("brown", 1.25), None, 0.3)
    dome = intersection(ellipse(u, v, (0.0, 0.08), (0.98, 1.06)), v - 0.1)
    sheet.put(dome, sheet.coat(), "cap", 0.4)
