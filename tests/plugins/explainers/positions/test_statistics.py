"""Statistics over positions: thresholds and maxima from one pass that explainers share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from le_bench.testing.worlds import Recipe, plant
from le_bench_plugins.explainers.positions.statistics import ReplayedMaps, position_statistics


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


@pytest.mark.parametrize(("limit", "passes"), [(10**6, 1), (1000, 2)])
def test_small_maps_are_kept_and_large_ones_made_anew(limit: int, passes: int) -> None:
    """Whether kept or not the maps are the same."""
    maps = CountedMaps()
    replayed = ReplayedMaps(maps, limit)
    rows = torch.arange(300)

    first, second = (torch.cat([b for _, b in replayed.blocks(rows)]) for _ in range(2))

    assert torch.equal(first, second)
    assert torch.equal(first, maps.values[:300])
    assert maps.passes == passes


def test_several_readings_share_the_limit() -> None:
    """Train and val images are read apart; what does not fit with the rest is made anew."""
    maps = CountedMaps()
    replayed = ReplayedMaps(maps, limit=4 * 300 * 60)
    splits = [torch.arange(250), torch.arange(250, 300), torch.arange(300, 301)]

    for _ in range(2):
        for rows in splits:
            list(replayed.blocks(rows))

    assert maps.passes == 4


def test_an_unfinished_reading_keeps_nothing() -> None:
    """Maps that were read half-way, or of other rows, are not taken for all."""
    replayed = ReplayedMaps(CountedMaps())

    next(replayed.blocks(torch.arange(300)))

    assert replayed.readings == []
    read = [part for part, _ in replayed.blocks(torch.arange(300))]
    assert sum(map(len, read)) == 300
    assert [len(part) for part, _ in replayed.blocks(torch.arange(10))] == [10]
