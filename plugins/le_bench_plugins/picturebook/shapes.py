"""Signed distances of simple shapes: negative inside, in the unit of the coordinates.

Coordinates are arrays that broadcast against each other, the second growing downwards; lengths
are numbers or arrays of shape (n, 1, 1). Distances of ellipses are first-order approximations,
good near the outline, which is where anti-aliasing needs them.
"""

from __future__ import annotations

from functools import reduce
from itertools import pairwise
from math import cos, hypot, sin
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Field: TypeAlias = npt.NDArray[np.floating[Any]]
Length: TypeAlias = float | Field
Point: TypeAlias = tuple[float, float]


def circle(u: Field, v: Field, center: tuple[Length, Length], radius: Length) -> Field:
    """Return the distance to a circle."""
    across, down = u - center[0], v - center[1]
    distance: Field = np.sqrt(across * across + down * down) - radius
    return distance


def ellipse(u: Field, v: Field, center: Point, radii: Point, turn: float = 0.0) -> Field:
    """Return the distance to an ellipse that is turned clockwise by `turn` radians."""
    across, down = u - center[0], v - center[1]
    if turn:
        across, down = (
            across * cos(turn) + down * sin(turn),
            down * cos(turn) - across * sin(turn),
        )
    across, down = across * (1.0 / radii[0]), down * (1.0 / radii[1])
    distance: Field = (np.sqrt(across * across + down * down) - 1.0) * min(radii)
    return distance


def box(u: Field, v: Field, center: Point, halves: Point, rounding: float = 0.0) -> Field:
    """Return the distance to an upright rectangle of the given half width and half height."""
    across = np.abs(u - center[0]) - (halves[0] - rounding)
    down = np.abs(v - center[1]) - (halves[1] - rounding)
    if not rounding:
        square: Field = np.maximum(across, down)
        return square
    outside_across, outside_down = np.maximum(across, 0.0), np.maximum(down, 0.0)
    outside = np.sqrt(outside_across * outside_across + outside_down * outside_down)
    rounded: Field = outside + np.minimum(np.maximum(across, down), 0.0) - rounding
    return rounded


def line(u: Field, v: Field, start: Point, end: Point, radius: Length) -> Field:
    """Return the distance to a line with round ends that is two radii wide."""
    across, down = u - start[0], v - start[1]
    run, rise = end[0] - start[0], end[1] - start[1]
    square = run * run + rise * rise
    along = np.clip((across * run + down * rise) * (1.0 / square), 0.0, 1.0)
    across, down = across - along * run, down - along * rise
    return np.sqrt(across * across + down * down) - radius


def polyline(u: Field, v: Field, points: tuple[Point, ...], radius: Length) -> Field:
    """Return the distance to a chain of lines with round joints."""
    return union(*(line(u, v, start, end, radius) for start, end in pairwise(points)))


def polygon(u: Field, v: Field, *corners: Point) -> Field:
    """Return the distance to a convex polygon whose corners run clockwise on the screen."""
    sides: list[Field] = []
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        length = hypot(x1 - x0, y1 - y0)
        normal_x, normal_y = (y1 - y0) / length, (x0 - x1) / length
        sides.append(u * normal_x + (v * normal_y - (x0 * normal_x + y0 * normal_y)))
    return intersection(*sides)


def ring(u: Field, v: Field, center: Point, radius: float, thickness: Length) -> Field:
    """Return the distance to a circular line of the given half thickness."""
    return np.abs(circle(u, v, center, radius)) - thickness


def union(*distances: Field) -> Field:
    """Return the distance to the union of shapes."""
    return reduce(np.minimum, distances)


def intersection(*distances: Field) -> Field:
    """Return the distance to the intersection of shapes."""
    return reduce(np.maximum, distances)
