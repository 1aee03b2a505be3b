"""Drawings of the vehicles."""

from __future__ import annotations

import numpy as np

from le_bench_plugins.picturebook.layers import Paint
from le_bench_plugins.picturebook.shapes import (
    Point,
    box,
    circle,
    ellipse,
    intersection,
    line,
    polygon,
    union,
)
from le_bench_plugins.picturebook.sheet import Sheet

_DARK = (0.06, 0.06, 0.08)
_LIGHT = (1.0, 1.0, 1.0)


def glass(sheet: Sheet) -> Paint:
    """Return the paint of window panes: pale blue with glare."""
    plain = sheet.named("blue")
    pale = plain._replace(rgb=plain.rgb * np.float32(0.6) + np.float32(0.36))
    return sheet.made_of("glass", pale)


def _draw_wheels(sheet: Sheet, *centers: Point, radius: float) -> None:
    u, v = sheet.u, sheet.v
    tires = union(*(circle(u, v, center, radius) for center in centers))
    sheet.put(tires, sheet.named("black"), "wheel", 0.0)
    hubs = union(*(circle(u, v, center, radius * 0.5) for center in centers))
    sheet.put(hubs, sheet.named("grey", 1.25), "wheel", 0.3)


def draw_car(sheet: Sheet) -> None:
    """Draw cars that drive to the right."""
    u, v = sheet.u, sheet.v
    coat = sheet.coat()
    cabin = polygon(u, v, (-0.42, -0.6), (0.3, -0.6), (0.62, -0.02), (-0.66, -0.02))
    sheet.put(cabin, coat)
    panes = union(
        polygon(u, v, (-0.36, -0.5), (-0.06, -0.5), (-0.06, -0.06), (-0.52, -0.06)),
        polygon(u, v, (0.05, -0.5), (0.25, -0.5), (0.48, -0.06), (0.05, -0.06)),
    )
    sheet.put(panes, glass(sheet), "window", 0.3)
    sheet.put(box(u, v, (0.0, 0.18), (1.0, 0.28), 0.14), coat)
    sheet.tint(line(u, v, (0.0, -0.05), (0.0, 0.4), sheet.thin(0.015) * 0.7), _DARK, 0.5)
    sheet.tint(box(u, v, (0.0, 0.38), (0.95, 0.05)), _DARK, 0.4)
    lamp = ellipse(u, v, (0.85, 0.1), (0.15, 0.14))
    sheet.put(lamp, sheet.named("yellow"), "headlight", 0.3)
    sheet.tint(ellipse(u, v, (0.84, 0.07), (0.06, 0.06)), _LIGHT, 0.5)
    _draw_wheels(sheet, (-0.54, 0.42), (0.54, 0.42), radius=0.25)


def draw_truck(sheet: Sheet) -> None:
    """Draw trucks that drive to the right."""
    u, v = sheet.u, sheet.v
    sheet.put(box(u, v, (0.0, 0.42), (0.9, 0.08)), sheet.named("black", 1.6), None, 0.0)
    sheet.put(box(u, v, (-0.34, -0.14), (0.66, 0.52)), sheet.coat(), None, 0.4)
    cab = polygon(u, v, (0.4, -0.42), (0.76, -0.42), (1.0, 0.04), (1.0, 0.46), (0.4, 0.46))
    sheet.put(cab, sheet.accent(), None, 0.35)
    pane = polygon(u, v, (0.5, -0.32), (0.72, -0.32), (0.9, 0.04), (0.5, 0.04))
    sheet.put(pane, glass(sheet), "window", 0.3)
    lamp = ellipse(u, v, (0.9, 0.24), (0.13, 0.13))
    sheet.put(lamp, sheet.named("yellow"), "headlight", 0.3)
    sheet.tint(ellipse(u, v, (0.89, 0.21), (0.05, 0.05)), _LIGHT, 0.5)
    _draw_wheels(sheet, (-0.7, 0.5), (-0.22, 0.5), (0.62, 0.5), radius=0.22)


def draw_boat(sheet: Sheet) -> None:
    """Draw sailing boats."""
    u, v = sheet.u, sheet.v
    mast = line(u, v, (0.0, -0.92), (0.0, 0.5), sheet.thin(0.055))
    sheet.put(mast, sheet.made_of("wood", sheet.named("brown")), "mast", 0.0)
    flag = polygon(u, v, (0.04, -1.02), (0.46, -0.86), (0.04, -0.7))
    sheet.put(flag, sheet.accent(), "flag", 0.2)
    sails = union(
        polygon(u, v, (0.1, -0.62), (0.82, 0.4), (0.1, 0.4)),
        polygon(u, v, (-0.1, -0.7), (-0.1, 0.4), (-0.74, 0.4)),
    )
    sheet.put(sails, sheet.coat(), "sail", 0.35)
    hull = polygon(u, v, (-0.92, 0.48), (0.92, 0.48), (0.62, 1.0), (-0.66, 1.0))
    sheet.put(hull, sheet.made_of("wood", sheet.named("brown", 1.1)), "hull", 0.3)
    sheet.tint(intersection(hull, abs(v - 0.54) - 0.05), _LIGHT, 0.35)


def draw_airplane(sheet: Sheet) -> None:
    """Draw airplanes that fly to the right."""
    u, v = sheet.u, sheet.v
    far_wing = polygon(u, v, (-0.36, -0.56), (-0.14, -0.56), (0.28, -0.06), (-0.1, -0.06))
    sheet.put(far_wing, sheet.accent(0.82), "wing")
    tail = union(
        polygon(u, v, (-0.98, -0.62), (-0.74, -0.62), (-0.38, 0.0), (-0.84, 0.0)),
        polygon(u, v, (-1.0, 0.26), (-0.66, 0.02), (-0.5, 0.02), (-0.78, 0.26)),
    )
    sheet.put(tail, sheet.accent(), "tail")
    body = union(
        line(u, v, (-0.3, 0.02), (0.72, 0.02), 0.23),
        polygon(u, v, (-0.96, -0.12), (-0.3, -0.21), (-0.3, 0.25), (-0.8, 0.06)),
    )
    sheet.put(body, sheet.coat(), None, 0.35)
    nose = intersection(ellipse(u, v, (0.68, 0.02), (0.34, 0.24)), 0.68 - u)
    sheet.put(nose, sheet.accent(), "nose", 0.3)
    portholes = union(*(circle(u, v, (place, -0.05), 0.085) for place in (-0.22, 0.04, 0.3)))
    cockpit = polygon(u, v, (0.48, -0.16), (0.66, -0.16), (0.72, 0.0), (0.48, 0.0))
    sheet.put(union(portholes, cockpit), glass(sheet), "window", 0.15)
    wing = polygon(u, v, (-0.16, 0.1), (0.28, 0.1), (-0.26, 0.68), (-0.56, 0.68))
    sheet.put(wing, sheet.accent(), "wing", 0.4)


def draw_rocket(sheet: Sheet) -> None:
    """Draw rockets that fly upwards."""
    u, v = sheet.u, sheet.v
    flame = union(
        polygon(u, v, (-0.24, 0.56), (0.24, 0.56), (0.0, 1.08)),
        circle(u, v, (0.0, 0.6), 0.2),
    )
    sheet.put(flame, sheet.named("orange"), "flame", 0.0)
    core = union(
        polygon(u, v, (-0.12, 0.56), (0.12, 0.56), (0.0, 0.88)), circle(u, v, (0.0, 0.6), 0.1)
    )
    sheet.put(core, sheet.named("yellow"), "flame", 0.0)
    fins = polygon(abs(u), v, (0.2, 0.1), (0.62, 0.52), (0.62, 0.8), (0.2, 0.56))
    sheet.put(fins, sheet.accent(), "fin", 0.35)
    body = intersection(ellipse(u, v, (0.0, -0.06), (0.36, 0.96)), v - 0.56)
    sheet.put(body, sheet.coat(), None, 0.4)
    sheet.put(intersection(body, v + 0.52), sheet.accent(), "nose", 0.35)
    sheet.put(circle(u, v, (0.0, -0.18), 0.22), sheet.named("white"), None, 0.3)
    sheet.put(circle(u, v, (0.0, -0.18), 0.16), glass(sheet), "window", 0.2)


def draw_balloon(sheet: Sheet) -> None:
    """Draw hot-air balloons."""
    u, v = sheet.u, sheet.v
    width = sheet.thin(0.035)
    ropes = line(abs(u), v, (0.3, 0.24), (0.18, 0.76), width)
    sheet.put(ropes, sheet.named("black", 1.6), "string", 0.0)
    flame = ellipse(u, v, (0.0, 0.52), (0.11, 0.19))
    sheet.put(flame, sheet.named("orange"), "flame", 0.0)
    sheet.tint(ellipse(u, v, (0.0, 0.58), (0.05, 0.1)), (1.0, 0.95, 0.4), 0.5)
    envelope = union(
        circle(u, v, (0.0, -0.36), 0.64),
        polygon(u, v, (-0.56, -0.05), (0.56, -0.05), (0.24, 0.38), (-0.24, 0.38)),
    )
    sheet.put(envelope, sheet.coat(), None, 0.4)
    seams = abs(ellipse(u, v, (0.0, -0.36), (0.3, 0.7))) - sheet.thin(0.01) * 0.6
    sheet.tint(intersection(seams, envelope), _DARK, 0.25)
    basket = box(u, v, (0.0, 0.85), (0.25, 0.15), 0.04)
    sheet.put(basket, sheet.made_of("wood", sheet.named("brown")), "basket", 0.3)
