"""Drawings of the animals."""

from __future__ import annotations

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

_DARK = (0.08, 0.08, 0.1)
_LIGHT = (1.0, 1.0, 1.0)


def draw_fish(sheet: Sheet) -> None:
    """Draw fish that swim to the left."""
    u, v = sheet.u, sheet.v
    tail = union(
        polygon(u, v, (0.38, 0.0), (1.0, -0.58), (0.84, 0.06)),
        polygon(u, v, (0.38, 0.0), (0.84, -0.06), (1.0, 0.58)),
    )
    sheet.put(tail, sheet.accent(), "tail")
    fins = union(
        polygon(u, v, (-0.42, -0.3), (0.12, -0.82), (0.42, -0.24)),
        polygon(u, v, (-0.2, 0.34), (0.3, 0.26), (0.2, 0.78)),
    )
    sheet.put(fins, sheet.accent(0.92), "fin")
    body = ellipse(u, v, (-0.18, 0.0), (0.76, 0.47))
    sheet.put(body, sheet.coat())
    sheet.tint(intersection(body, 0.16 - v), _DARK, 0.14)
    sheet.put(polygon(u, v, (-0.12, 0.02), (0.3, -0.08), (0.26, 0.3)), sheet.accent(0.92), "fin")
    sheet.put(circle(u, v, (-0.55, -0.1), 0.19), sheet.named("white"), "eye", 0.4)
    sheet.put(circle(u, v, (-0.59, -0.1), 0.1), sheet.named("black"), "eye", 0.0)
    sheet.put(line(u, v, (-0.88, 0.16), (-0.7, 0.18), sheet.thin(0.03)), sheet.named("black"))


def draw_bird(sheet: Sheet) -> None:
    """Draw birds that stand and look to the right."""
    u, v = sheet.u, sheet.v
    tail = polygon(u, v, (-1.0, -0.2), (-0.42, -0.02), (-0.3, 0.4), (-1.0, 0.22))
    sheet.put(tail, sheet.made_of("feathers", sheet.accent()), "tail")
    width = sheet.thin(0.055)
    legs = union(
        polyline(u, v, ((-0.1, 0.5), (-0.1, 0.94), (0.1, 0.94)), width),
        polyline(u, v, ((0.2, 0.5), (0.2, 0.94), (0.4, 0.94)), width),
    )
    sheet.put(legs, sheet.named("orange"), "leg", 0.15)
    beak = polygon(u, v, (0.6, -0.66), (1.06, -0.36), (0.6, -0.12))
    sheet.put(beak, sheet.named("orange"), "beak", 0.25)
    sheet.put(ellipse(u, v, (-0.06, 0.2), (0.62, 0.43), -0.15), sheet.coat())
    sheet.put(circle(u, v, (0.36, -0.42), 0.38), sheet.coat(), "head")
    wing = ellipse(u, v, (-0.2, 0.18), (0.44, 0.24), 0.25)
    sheet.put(wing, sheet.made_of("feathers", sheet.accent()), "wing", 0.4)
    sheet.put(circle(u, v, (0.46, -0.48), 0.15), sheet.named("white"), "eye", 0.4)
    sheet.put(circle(u, v, (0.49, -0.48), 0.085), sheet.named("black"), "eye", 0.0)


def draw_cat(sheet: Sheet) -> None:
    """Draw cats that sit and look at us."""
    u, v = sheet.u, sheet.v
    coat = sheet.coat()
    tail = polyline(u, v, ((0.3, 0.85), (0.72, 0.8), (0.88, 0.5), (0.8, 0.12)), 0.115)
    sheet.put(tail, coat, "tail", 0.4)
    sheet.put(ellipse(u, v, (0.0, 0.52), (0.5, 0.48)), coat)
    legs = union(
        line(u, v, (-0.2, 0.5), (-0.22, 0.86), 0.14), line(u, v, (0.2, 0.5), (0.22, 0.86), 0.14)
    )
    sheet.put(legs, coat, "leg", 0.45)
    for side in (-1.0, 1.0):
        corners = [(-0.68, -0.42), (-0.62, -1.02), (-0.1, -0.72)]
        inner = [(-0.57, -0.6), (-0.53, -0.88), (-0.3, -0.74)]
        sheet.put(polygon(side * u, v, *corners), coat, "ear", 0.4)
        sheet.put(polygon(side * u, v, *inner), sheet.named("pink"), "ear", 0.0)
    sheet.put(ellipse(u, v, (0.0, -0.33), (0.68, 0.5)), coat, "head", 0.35)
    eyes = union(
        ellipse(u, v, (-0.3, -0.4), (0.17, 0.18)), ellipse(u, v, (0.3, -0.4), (0.17, 0.18))
    )
    sheet.tint(eyes - 0.05, _DARK, 0.5)
    sheet.put(eyes, sheet.dyed(sheet.finish.eyes), "eye", 0.0)
    pupils = union(
        ellipse(u, v, (-0.3, -0.4), (0.055, 0.16)), ellipse(u, v, (0.3, -0.4), (0.055, 0.16))
    )
    sheet.put(pupils, sheet.named("black"), "eye", 0.0)
    muzzle = union(circle(u, v, (-0.12, -0.02), 0.14), circle(u, v, (0.12, -0.02), 0.14))
    sheet.tint(muzzle, _LIGHT, 0.5)
    for lift in (-0.1, 0.06):
        whiskers = union(
            line(u, v, (-0.3, -0.04), (-0.86, lift), sheet.thin(0.012) * 0.6),
            line(u, v, (0.3, -0.04), (0.86, lift), sheet.thin(0.012) * 0.6),
        )
        sheet.tint(whiskers, _DARK, 0.45)
    nose = polygon(u, v, (-0.16, -0.22), (0.16, -0.22), (0.0, 0.02))
    sheet.put(nose, sheet.named("pink", 0.92), "nose", 0.15)


def draw_butterfly(sheet: Sheet) -> None:
    """Draw butterflies with spread wings, seen from above."""
    u, v = sheet.u, sheet.v
    width = sheet.thin(0.04)
    feelers = union(
        polyline(u, v, ((0.0, -0.5), (-0.16, -0.8), (-0.36, -0.94)), width),
        polyline(u, v, ((0.0, -0.5), (0.16, -0.8), (0.36, -0.94)), width),
        circle(u, v, (-0.38, -0.94), 0.08),
        circle(u, v, (0.38, -0.94), 0.08),
    )
    sheet.put(feelers, sheet.named("black"), "antenna", 0.0)
    mirrored = abs(u)
    lower = ellipse(mirrored, v, (0.42, 0.46), (0.36, 0.44), 0.35)
    sheet.put(lower, sheet.coat(), "wing", 0.55)
    upper = ellipse(mirrored, v, (0.54, -0.24), (0.5, 0.46), -0.5)
    sheet.put(upper, sheet.coat(), "wing", 0.55)
    sheet.put(line(u, v, (0.0, -0.3), (0.0, 0.6), 0.1), sheet.named("black"), None, 0.0)
    sheet.put(circle(u, v, (0.0, -0.44), 0.17), sheet.named("black", 1.25), "head", 0.0)


def draw_ladybug(sheet: Sheet) -> None:
    """Draw ladybugs seen from above."""
    u, v = sheet.u, sheet.v
    mirrored = abs(u)
    width = sheet.thin(0.055)
    legs = union(
        polyline(mirrored, v, ((0.5, -0.2), (0.8, -0.34), (0.96, -0.22)), width),
        polyline(mirrored, v, ((0.5, 0.2), (0.86, 0.2), (1.0, 0.34)), width),
        polyline(mirrored, v, ((0.5, 0.6), (0.78, 0.72), (0.86, 0.94)), width),
    )
    sheet.put(legs, sheet.named("black"), "leg", 0.0)
    feelers = polyline(mirrored, v, ((0.1, -0.66), (0.24, -0.9), (0.42, -0.98)), width)
    sheet.put(feelers, sheet.named("black"), "antenna", 0.0)
    sheet.put(ellipse(u, v, (0.0, -0.54), (0.42, 0.32)), sheet.named("black"), "head", 0.0)
    eyes = circle(mirrored, v, (0.22, -0.66), 0.13)
    sheet.put(eyes, sheet.named("white"), "eye", 0.0)
    shell = ellipse(u, v, (0.0, 0.2), (0.74, 0.72))
    sheet.put(shell, sheet.dyed(sheet.finish.color).showing(texture="dotted"), None, 0.35)
    spots = union(
        circle(mirrored, v, (0.33, -0.16), 0.15),
        circle(mirrored, v, (0.46, 0.28), 0.16),
        circle(mirrored, v, (0.26, 0.64), 0.14),
    )
    sheet.put(spots, sheet.named("black").showing(texture="dotted"), None, 0.0)
    seam = intersection(mirrored - sheet.thin(0.03), shell)
    sheet.put(seam, sheet.named("black").showing(texture="dotted"), None, 0.0)
    sheet.tint(ellipse(u, v, (-0.3, -0.2), (0.1, 0.18), 0.5), _LIGHT, 0.4)
