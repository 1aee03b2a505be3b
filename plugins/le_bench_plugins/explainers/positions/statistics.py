"""What explainers of maps ask first: thresholds over all positions, and where each unit is high."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from le_bench.types import Evidence, Maps
from le_bench_plugins.explainers.positions.quantiles import MEMORY, UpperQuantiles

SHARES = (0.01, 0.005)  # of MILAN and of Network Dissection
KEPT_BYTES = 2**28


@dataclass(frozen=True, slots=True, eq=False)
class PositionStatistics:
    """What holds of U units over all positions of N images.

    `rows` (N,) are the dataset's rows of the train and val images, ascending. `maxima` (N, U) is
    the largest value of each map. `thresholds` (U,) for each share are what at most this share of
    all N * h * w values exceeds, NaN for a unit with a NaN; see `UpperQuantiles` for `rank_error`.
    """

    rows: Tensor
    maxima: Tensor
    thresholds: Mapping[float, Tensor]
    rank_error: int


@dataclass(frozen=True, slots=True, eq=False)
class ReplayedMaps:
    """Maps that are kept from the first whole reading on if they take at most `limit` bytes.

    Later readings of the same rows then cost no pass of the network.
    """

    maps: Maps
    limit: int
    kept: list[tuple[Tensor, Tensor]]

    @classmethod
    def of(cls, maps: Maps, limit: int = KEPT_BYTES) -> ReplayedMaps:
        """Maps of which none is kept yet."""
        return cls(maps, limit, [])

    @property
    def shape(self) -> tuple[int, int, int]:
        """See `types.Maps`."""
        return self.maps.shape

    def blocks(self, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """See `types.Maps`."""
        if self.kept and torch.equal(torch.cat([part for part, _ in self.kept]), rows):
            yield from self.kept
            return
        units, height, width = self.shape
        fits = 4 * len(rows) * units * height * width <= self.limit
        read: list[tuple[Tensor, Tensor]] = []
        for part, maps in self.maps.blocks(rows):
            if fits:
                read.append((part, maps))
            yield part, maps
        if fits:
            self.kept[:] = read


def position_statistics(
    evidence: Evidence, maps: Maps, shares: Sequence[float] = SHARES, memory: int = MEMORY
) -> PositionStatistics:
    """Thresholds for these shares and the maxima, from one pass over the train and val images.

    Explainers of a layer that ask for the same shares and memory share the pass. `maps` are those
    of `evidence`, possibly replayed. Raises NotApplicableError for a layer without maps.
    """
    rows = torch.cat([evidence.train.rows, evidence.val.rows]).sort().values
    wanted = sorted(shares, reverse=True)

    def compute() -> dict[str, Tensor]:
        return _pass(maps, rows, wanted, memory)

    parts = {"shares": wanted, "memory": memory}
    found = evidence.memory.remember("position-statistics", parts, compute)
    thresholds = dict(zip(wanted, found["thresholds"], strict=True))
    return PositionStatistics(rows, found["maxima"], thresholds, int(found["rank_error"]))


def _pass(maps: Maps, rows: Tensor, shares: Sequence[float], memory: int) -> dict[str, Tensor]:
    units, height, width = maps.shape
    maxima = torch.empty(len(rows), units)
    quantiles: UpperQuantiles | None = None
    start = 0
    for part, block in maps.blocks(rows):
        if quantiles is None:
            count = len(rows) * height * width
            quantiles = UpperQuantiles(units, count, shares[0], memory, block.device)
        quantiles.add(block.transpose(0, 1).reshape(units, -1))
        maxima[start : start + len(part)] = block.amax((2, 3)).cpu()
        start += len(part)
    if quantiles is None:
        raise TypeError("there are no images")
    return {
        "thresholds": torch.stack([quantiles.quantile(share).cpu() for share in shares]),
        "maxima": maxima,
        "rank_error": torch.tensor(quantiles.rank_error),
    }
