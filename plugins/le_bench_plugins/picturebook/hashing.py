"""Stateless random numbers: every number is a hash of a seed, an image index and a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]

_GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)
_FIRST_FACTOR = np.uint64(0xBF58476D1CE4E5B9)
_SECOND_FACTOR = np.uint64(0x94D049BB133111EB)


def scramble(keys: Keys) -> Keys:
    """Return 64-bit hashes of 64-bit keys of any shape.

    One step of splitmix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
    generators"): only integer arithmetic modulo 2**64, hence the same on every machine.
    """
    mixed = keys + _GOLDEN_RATIO
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST_FACTOR
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND_FACTOR
    return mixed ^ (mixed >> np.uint64(31))


def to_unit_interval(hashes: Keys) -> npt.NDArray[np.float32]:
    """Return the top 24 bits of each hash as an exact float32 in [0, 1)."""
    top = (hashes >> np.uint64(40)).astype(np.float32)
    return top * np.float32(2.0**-24)


@lru_cache(maxsize=4096)
def _salt(name: str) -> np.uint64:
    """Return the 64-bit FNV-1a hash of a name."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return np.uint64(value)


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Named random numbers for n things; equal keys and names give equal numbers.

    keys: (n,) 64-bit keys, one for each thing.
    """

    keys: Keys

    @classmethod
    def of_images(cls, indices: npt.NDArray[np.int64], seed: int) -> Stream:
        """Return the stream of the images with the given indices, shape (n,), under one seed."""
        start = scramble(np.array([seed % 2**64], dtype=np.uint64))
        return cls(scramble(indices.astype(np.uint64) ^ start))

    def _hashes(self, name: str) -> Keys:
        return scramble(self.keys ^ _salt(name))

    def fork(self, name: str) -> Stream:
        """Return an independent stream for the same things."""
        return Stream(self._hashes(name))

    def take(self, rows: npt.NDArray[np.int64]) -> Stream:
        """Return the stream of the things in the given rows."""
        return Stream(self.keys[rows])

    def uniform(self, name: str, low: float = 0.0, high: float = 1.0) -> npt.NDArray[np.float32]:
        """Return one float32 in [low, high) for each thing, shape (n,)."""
        return low + (high - low) * to_unit_interval(self._hashes(name))

    def chance(self, name: str, probability: float) -> npt.NDArray[np.bool_]:
        """Return one truth value for each thing, true with the given probability."""
        return self.uniform(name) < probability

    def pick(self, name: str, weights: Sequence[float]) -> npt.NDArray[np.int64]:
        """Return one position in `weights` for each thing, drawn in proportion to the weights."""
        bounds = np.cumsum(np.asarray(weights, dtype=np.float64))
        numbers = self.uniform(name).astype(np.float64) * bounds[-1]
        found: npt.NDArray[np.int64] = np.searchsorted(bounds, numbers, side="right").astype(
            np.int64
        )
        return np.minimum(found, len(bounds) - 1)
