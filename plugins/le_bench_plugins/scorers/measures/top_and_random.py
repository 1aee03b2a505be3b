"""Correlation over images that activate a unit most and images drawn at random."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

import torch
from torch import Tensor

from le_bench import hookimpl
from le_bench.components import Scorer
from le_bench.formulas.correlation import constant_columns, pearson
from le_bench.types import require
from le_bench_plugins.scorers.measures.scoring import Reasons, UnitScorer


@dataclass(frozen=True)
class TopAndRandomScorer(UnitScorer):
    """Pearson correlation over `top` of the most activating test images and `random` of all.

    In [-1, 1]. The first are drawn from the top `share` of the test images, or from the top `top`
    if that is more, the second from all; an image may be among both, and then counts twice. Draws
    come from `seed` and are the same for all units, as ranks and as rows; images that tie are
    ranked in an order drawn from the seed too. All images serve where there are fewer than asked
    for. Undefined where activations or simulation are constant on the images drawn.

    Source: Bills et al., "Language models can explain neurons in language models" (2023), with the
    sizes of Oikarinen et al. (ICML 2025). The latter multiply by (n - 1) / n, and with binary
    activations their code takes every active image.
    """

    name: ClassVar[str] = "correlation-top-and-random"
    version: ClassVar[int] = 1
    bounds: ClassVar[tuple[float, float] | None] = (-1.0, 1.0)
    images_ordered: ClassVar[bool] = True  # images are drawn by their place
    scale_free: ClassVar[bool] = True
    reference: ClassVar[str] = (
        'Bills et al., "Language models can explain neurons in language models", 2023'
    )

    top: int = 25
    random: int = 25
    share: float = 0.002
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.top >= 1 and self.random >= 1, "top and random must be at least 1")
        require(0 < self.share <= 1, f"share is {self.share}, not in (0, 1]")

    def compare(self, simulated: Tensor, recorded: Tensor) -> tuple[Tensor, Reasons]:
        """See `UnitScorer.compare`."""
        num_images = len(recorded)
        draws = torch.Generator().manual_seed(self.seed)
        shuffled = torch.randperm(num_images, generator=draws)
        pool = min(num_images, max(self.top, ceil(self.share * num_images)))
        places = torch.randperm(pool, generator=draws)[: self.top]
        anywhere = torch.randperm(num_images, generator=draws)[: self.random]
        order = recorded[shuffled].sort(dim=0, descending=True, stable=True).indices[places]
        rows = torch.cat([shuffled[order], anywhere.unsqueeze(1).expand(-1, recorded.shape[1])])
        own, predicted = recorded.gather(0, rows), simulated.gather(0, rows)
        return pearson(predicted, own), [
            (constant_columns(own), "the activations are constant on the images drawn"),
            (constant_columns(predicted), "the simulation is constant on the images drawn"),
        ]


@hookimpl
def le_bench_scorers() -> Iterable[type[Scorer]]:
    """Offer correlation on top and random images."""
    return [TopAndRandomScorer]
