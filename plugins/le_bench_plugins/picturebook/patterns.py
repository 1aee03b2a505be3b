"""The five textures, as the share of the second colour at each pixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import pi

import numpy as np

from le_bench_plugins.picturebook.shapes import Field

# All patterns take pixel coordinates x and y, a period in pixels and a direction in [0, 1); they
# return values in [0, 1], with edges about one pixel wide.


def _bands(position: Field, period: Field) -> Field:
    """Return alternate bands along a position in pixels, each half a period wide."""
    phase = position / period
    phase -= np.floor(phase)
    return np.clip((np.abs(phase - 0.5) - 0.25) * period + 0.5, 0.0, 1.0)


def _triangle_wave(position: Field, period: Field) -> Field:
    """Return a wave of straight lines with values in [0, 1]."""
    phase = position / period
    phase -= np.floor(phase)
    return np.abs(phase * 2.0 - 1.0)


def striped(x: Field, y: Field, period: Field, direction: Field) -> Field:
    """Return straight bands: upright, level, or slanted to either side."""
    quarter = np.floor(direction * 4.0)
    across = np.where(quarter == 0, 1.0, np.where(quarter == 1, 0.0, 0.707)).astype(np.float32)
    down = np.where(
        quarter == 0, 0.0, np.where(quarter == 1, 1.0, np.where(quarter == 2, 0.707, -0.707))
    ).astype(np.float32)
    return _bands(x * across + y * down, period)


def dotted(x: Field, y: Field, period: Field, direction: Field) -> Field:
    """Return round dots in rows, every other row shifted by half a period."""
    step = period * 1.15
    row = np.floor(y / (step * 0.87))
    across = x / step + 0.5 * (row % 2.0)
    across = (across - np.floor(across) - 0.5) * step
    down = y - (row + 0.5) * (step * 0.87)
    dots: Field = np.clip(step * 0.31 - np.sqrt(across * across + down * down) + 0.5, 0.0, 1.0)
    return dots


def checkered(x: Field, y: Field, period: Field, direction: Field) -> Field:
    """Return squares like those of a chess board."""
    columns = 2.0 * _bands(x, period * 1.15) - 1.0
    rows = 2.0 * _bands(y, period * 1.15) - 1.0
    return columns * rows * 0.5 + 0.5


def zigzagged(x: Field, y: Field, period: Field, direction: Field) -> Field:
    """Return level bands that go up and down in sharp steep teeth."""
    return _bands(y + _triangle_wave(x, period * 1.25) * (period * 0.75), period * 1.1)


def wavy(x: Field, y: Field, period: Field, direction: Field) -> Field:
    """Return upright bands that swing from side to side in smooth waves."""
    return _bands(x + np.sin(y * (2.0 * pi / 2.5 / period)) * (period * 0.36), period)


PATTERNS: Mapping[str, Callable[[Field, Field, Field, Field], Field]] = {
    "striped": striped,
    "dotted": dotted,
    "checkered": checkered,
    "zigzagged": zigzagged,
    "wavy": wavy,
}
