"""Drawings of the artifacts."""

from __future__ import annotations

from le_bench_plugins.picturebook.shapes import (
    circle,
    ellipse,
    intersection,
    line,
    polygon,
    polyline,
    ring,
    union,
)
from le_bench_plugins.picturebook.sheet import Sheet

_DARK = (0.05, 0.05, 0.08)
_LIGHT = (1.0, 1.0, 1.0)


def draw_ball(sheet: Sheet) -> None:
    """Draw balls."""
    u, v = sheet.u, sheet.v
    disc = circle(u, v, (0.0, 0.0), 0.95)
    sheet.put(disc, sheet.coat(), None, 0.45)
    upper = circle(sheet.level_u, sheet.level_v, (-0.2, -0.22), 0.86)
    sheet.tint(intersection(disc, -upper), _DARK, 0.42)
    glint = circle(sheet.level_u, sheet.level_v, (-0.38, -0.42), 0.22)
    sheet.tint(glint, _LIGHT, 0.5)
    sheet.tint(glint, _LIGHT, 0.5)
    sheet.let_light_through()


def draw_umbrella(sheet: Sheet) -> None:
    """Draw open umbrellas."""
    u, v = sheet.u, sheet.v
    width = sheet.thin(0.065)
    hook = intersection(ring(u, v, (0.17, 0.8), 0.17, width), 0.78 - v)
    shaft = union(line(u, v, (0.0, -0.9), (0.0, 0.8), width), hook)
    sheet.put(shaft, sheet.made_of("wood", sheet.named("brown")), "handle", 0.0)
    sheet.put(line(u, v, (0.0, -1.0), (0.0, -0.8), width), sheet.named("brown"), None, 0.0)
    scallops = union(*(circle(u, v, (place, 0.14), 0.24) for place in (-0.75, -0.25, 0.25, 0.75)))
    dome = intersection(ellipse(u, v, (0.0, 0.1), (1.0, 1.0)), v - 0.1, -scallops)
    sheet.put(dome, sheet.coat(), "canopy", 0.4)
    ribs = abs(ellipse(u, v, (0.0, 0.1), (0.5, 1.0))) - sheet.thin(0.012) * 0.6
    sheet.tint(intersection(ribs, dome), _DARK, 0.35)


def draw_kite(sheet: Sheet) -> None:
    """Draw kites with a tail of bows and a string."""
    u, v = sheet.u, sheet.v
    string = polyline(u, v, ((-0.02, -0.3), (-0.4, 0.36), (-0.98, 0.98)), sheet.thin(0.03))
    sheet.tint(string - 0.7 / sheet.pixels_per_unit, _DARK, 0.5)
    sheet.put(string, sheet.named("white"), "string", 0.0)
    tail = polyline(u, v, ((0.0, 0.3), (0.16, 0.52), (0.05, 0.72), (0.3, 1.0)), sheet.thin(0.035))
    bows = union(
        *(
            intersection(
                polygon(
                    u,
                    v,
                    (x - 0.2, y - 0.13),
                    (x + 0.2, y - 0.13),
                    (x + 0.2, y + 0.13),
                    (x - 0.2, y + 0.13),
                ),
                abs(v - y) - 0.03 - 0.5 * abs(u - x),
            )
            for x, y in ((0.12, 0.48), (0.08, 0.7), (0.28, 0.92))
        )
    )
    sheet.put(union(tail, bows), sheet.accent(), "tail", 0.15)
    cover = polygon(u, v, (0.0, -1.0), (0.66, -0.34), (0.0, 0.38), (-0.66, -0.34))
    sheet.put(cover, sheet.coat(), None, 0.4)
    sticks = union(
        line(u, v, (0.0, -0.98), (0.0, 0.36), sheet.thin(0.02) * 0.8),
        line(u, v, (-0.64, -0.34), (0.64, -0.34), sheet.thin(0.02) * 0.8),
    )
    sheet.tint(intersection(sticks, cover), _DARK, 0.5)


def draw_cup(sheet: Sheet) -> None:
    """Draw cups with a drink in them."""
    u, v = sheet.u, sheet.v
    sheet.put(ring(u, v, (0.56, 0.12), 0.32, 0.105), sheet.body(), "handle", 0.4)
    bowl = union(
        polygon(u, v, (-0.74, -0.56), (0.56, -0.56), (0.42, 0.68), (-0.6, 0.68)),
        ellipse(u, v, (-0.09, 0.68), (0.51, 0.14)),
    )
    sheet.put(bowl, sheet.coat(), None, 0.35)
    sheet.put(
        ellipse(u, v, (-0.09, -0.56), (0.66, 0.2)), sheet.dyed(sheet.finish.color, 0.85), None, 0.0
    )
    sheet.put(ellipse(u, v, (-0.09, -0.54), (0.55, 0.14)), sheet.named("brown", 0.8), None, 0.0)
    sheet.let_light_through()
