"""Statistics over positions: thresholds and maxima from one pass that explainers share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from le_bench.testing.worlds import Recipe, plant
from le_bench_plugins.explainers.positions.statistics import position_statistics


@dataclass
class CountedMaps:
    """Seeded maps of the 400 images of a planted world, in blocks, with a count of passes."""

    values: Tensor = field(
        default_factory=lambda: torch.randn(
            400, 5, 3, 4, generator=torch.Generator().manual_seed(0)
        )
    )
    passes: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        return 5, 3, 4

    def blocks(self, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        self.passes += 1
        for part in rows.split(64):
            yield part, self.values[part]


def test_thresholds_and_maxima_are_those_of_all_train_and_val_images() -> None:
    """Test images have no part; rows come ascending in each split."""
    world = plant(Recipe())
    maps = CountedMaps()

    found = position_statistics(world.evidence(), maps)

    rows = torch.cat([world.rows[split].sort().values for split in ("train", "val")])
    values = maps.values[rows]
    assert torch.equal(found.rows, rows)
    assert torch.equal(found.maxima, values.amax((2, 3)))
    assert found.rank_error == 0
    flat = values.transpose(0, 1).flatten(1).numpy()
    for share, threshold in found.thresholds.items():
        expected = np.quantile(flat, 1 - share, axis=1, method="inverted_cdf")
        np.testing.assert_array_equal(threshold.numpy(), expected.astype(np.float32))


def test_the_order_of_images_does_not_matter() -> None:
    """Shuffled splits give the same statistics."""
    world = plant(Recipe())
    shuffled = replace(world, rows={split: rows.flip(0) for split, rows in world.rows.items()})

    first = position_statistics(world.evidence(), CountedMaps())
    second = position_statistics(shuffled.evidence(), CountedMaps())

    assert torch.equal(first.maxima, second.maxima)
    assert torch.equal(first.thresholds[0.005], second.thresholds[0.005])


def test_explainers_of_a_layer_share_one_pass() -> None:
    """A second question with the same shares and memory finds the answer."""
    evidence = plant(Recipe()).evidence()
    maps = CountedMaps()

    position_statistics(evidence, maps)
    position_statistics(evidence, maps)
    position_statistics(evidence, maps, shares=[0.1])

    assert maps.passes == 4  # two splits each time
