"""What explainers of maps ask first: thresholds over all positions, and where each unit is high."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from le_bench.types import Evidence, Maps
from le_bench_plugins.explainers.positions.quantiles import MEMORY, UpperQuantiles

SHARES = (0.02, 0.01, 0.005)  # those of MILAN and Network Dissection, from one pass
KEPT_BYTES = 2**28


@dataclass(frozen=True, slots=True, eq=False)
class PositionStatistics:
    """What holds of U units over all positions of N images.

    `rows` (N,) are the dataset's rows of the train images, ascending, and then of the val images.
    `maxima` (N, U) is the largest value of each map. `thresholds` (U,) for each share are what at
    most this share of all N * h * w values exceeds, NaN for a unit with a NaN; `rank_error` is that
    of `UpperQuantiles`.
    """

    rows: Tensor
    maxima: Tensor
    thresholds: Mapping[float, Tensor]
    rank_error: int


def position_statistics(
    evidence: Evidence, maps: Maps, shares: Sequence[float] = SHARES, memory: int = MEMORY
) -> PositionStatistics:
    """Thresholds for these shares and the maxima, from one pass over the train and val images.

    Explainers of a layer that ask for the same shares and memory share the pass. `maps` are those
    of `evidence`. Raises NotApplicableError for a layer without maps.
    """
    rows = split_rows(evidence)
    wanted = sorted(shares, reverse=True)

    def compute() -> dict[str, Tensor]:
        return _pass(maps, rows, wanted, memory)

    parts = {"shares": wanted, "memory": memory}
    found = evidence.memory.remember("position-statistics", parts, compute)
    thresholds = dict(zip(wanted, found["thresholds"], strict=True))
    return PositionStatistics(
        torch.cat(rows), found["maxima"], thresholds, int(found["rank_error"])
    )


def split_rows(evidence: Evidence) -> tuple[Tensor, Tensor]:
    """The dataset's rows of the train and of the val images, each ascending."""
    train, val = (view.rows.sort().values for view in (evidence.train, evidence.val))
    return train, val


def _pass(
    maps: Maps, rows: Sequence[Tensor], shares: Sequence[float], memory: int
) -> dict[str, Tensor]:
    units, height, width = maps.shape
    num_values = sum(map(len, rows)) * height * width
    maxima: list[Tensor] = []
    quantiles: UpperQuantiles | None = None
    for _, block in chain.from_iterable(map(maps.blocks, rows)):
        if quantiles is None:
            quantiles = UpperQuantiles(units, num_values, shares[0], memory, block.device)
        quantiles.add(block.transpose(0, 1).reshape(units, -1))
        maxima.append(block.amax((2, 3)).cpu())
    if quantiles is None:
        raise TypeError("a split has no images")
    return {
        "thresholds": torch.stack([quantiles.quantile(share).cpu() for share in shares]),
        "maxima": torch.cat(maxima),
        "rank_error": torch.tensor(quantiles.rank_error),
    }
