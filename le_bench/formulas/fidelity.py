"""How well a presence that is read off an encoder agrees with the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from le_bench.formulas.ranking import average_precision
from le_bench.types import require

NUM_BINS = 15
BLOCK_CELLS = 2**22  # images x concepts in float64 at once: 32 MB


@dataclass(frozen=True, slots=True, eq=False)
class Fidelity:
    """Agreement with the truth by concept; all float64.

    `average_precision` (C,) is NaN for a concept that is present in no image or in every one.
    `brier` (C,) is the mean squared difference. `gaps` (C, bins) holds, for the images whose
    presence falls into each of 15 equal bins of [0, 1], the sum of presence minus truth, divided
    by the number of images: the absolute sums make the calibration error, see `calibration_error`.
    """

    average_precision: Tensor
    brier: Tensor
    gaps: Tensor

    def calibration_error(self, concepts: Sequence[int]) -> float:
        """The expected calibration error over all cells of these concepts, in [0, 1].

        Sum over bins of the share of cells times |mean presence - share present|. NaN over none.

        Source: Naeini, Cooper and Hauskrecht (AAAI 2015), for one-sided presence.
        """
        if not concepts:
            return float("nan")
        pooled: Tensor = self.gaps[list(concepts)].mean(0).abs().sum()
        return float(pooled)


def measure_fidelity(presence: Tensor, truth: Tensor) -> Fidelity:
    """Agreement of `presence` (N, C) in [0, 1] with `truth` (N, C) bool, by concept.

    Presence on the edge of two bins belongs to the upper one, and 1 to the last. Neither input is
    changed. Memory: some matrices of 32 MB beside them.

    >>> presence = torch.tensor([[0.9], [0.2], [0.4], [0.1]])
    >>> found = measure_fidelity(presence, torch.tensor([[True], [False], [True], [False]]))
    >>> found.average_precision.tolist(), round(found.brier.item(), 3)
    ([1.0], 0.105)
    """
    require(
        presence.shape == truth.shape and presence.ndim == 2 and len(presence) > 0,
        f"presence {tuple(presence.shape)} and truth {tuple(truth.shape)} are not (images, "
        "concepts)",
    )
    size = max(1, BLOCK_CELLS // len(presence))
    blocks = zip(torch.split(presence, size, 1), torch.split(truth, size, 1), strict=True)
    parts = [_measure(block, own) for block, own in blocks]
    return Fidelity(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _measure(presence: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    differences = presence.double() - truth.double()
    one_sided = truth.all(0) | ~truth.any(0)
    precision = average_precision(presence, truth).masked_fill(one_sided, torch.nan)
    bins = (presence.double() * NUM_BINS).long().clamp(0, NUM_BINS - 1)
    gaps = torch.zeros(NUM_BINS, presence.shape[1], dtype=torch.float64)
    gaps.scatter_add_(0, bins, differences)
    return precision, differences.square().mean(0), gaps.T / len(presence)
