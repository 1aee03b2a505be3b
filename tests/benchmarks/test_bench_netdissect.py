"""What Network Dissection costs beside the dense matrix product and beside a loop over units.

Not run by default. Every test draws its own seeded world outside the timing:

    pytest tests/benchmarks/test_bench_netdissect.py --benchmark-only

What is measured beside the time is in the benchmark's `extra_info`, which `--benchmark-json`
writes. See docs/performance.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from le_bench.types import PixelLabels
from le_bench_plugins.explainers.netdissect.counting import count, enlarge
from le_bench_plugins.explainers.netdissect.tally import Tally
from le_bench_plugins.explainers.positions.quantiles import UpperQuantiles

SHARE = 0.005


@dataclass(frozen=True)
class Shape:
    """How many of what."""

    images: int
    units: int
    map_side: int
    label_side: int
    layers: int
    concepts: int


SHAPES = {
    "picturebook layer4": Shape(256, 128, 4, 64, 5, 94),
    "picturebook vit": Shape(256, 192, 8, 64, 5, 94),
    "broden layer4": Shape(32, 512, 7, 112, 8, 1197),
}


@dataclass(frozen=True, eq=False)
class Drawn:
    """Maps and labels: units are high in a few images, labels lie in patches."""

    maps: Tensor
    labels: PixelLabels
    thresholds: Tensor
    categories: dict[str, tuple[str, ...]]

    @property
    def size(self) -> tuple[int, int]:
        return self.labels.layers.shape[2], self.labels.layers.shape[3]

    def tally(self) -> Tally:
        return count([(self.maps, self.labels)], self.categories, self.size, self.thresholds)


def draw(shape: Shape, seed: int = 0) -> Drawn:
    """Each image has six labels a layer."""
    random = np.random.default_rng(seed)
    size = (shape.images, shape.units, shape.map_side, shape.map_side)
    level = random.gamma(4.0, 1.0, (*size[:2], 1, 1))
    maps = torch.from_numpy(random.random(size) * level).float()
    kept = random.integers(1, shape.concepts + 1, (shape.images, shape.layers, 6))
    patches = random.integers(0, 6, (shape.images, shape.layers, 8, 8))
    coarse = np.take_along_axis(kept, patches.reshape(shape.images, shape.layers, -1), 2)
    side = shape.label_side // 8
    layers = coarse.reshape(patches.shape).repeat(side, 2).repeat(side, 3).astype(np.int16)
    values = maps.transpose(0, 1).flatten(1)
    above = int(SHARE * values.shape[1])
    thresholds = values.topk(above + 1, dim=1).values[:, -1]
    names = {"all": tuple(f"concept {c}" for c in range(shape.concepts))}
    return Drawn(maps, PixelLabels(layers, np.zeros((len(maps), 0), np.int16)), thresholds, names)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def dense_product(drawn: Drawn) -> Tensor:
    """The floor of a dense count: masks of all units times one-hot labels, image by image."""
    concepts = len(drawn.categories["all"]) + 1
    both = torch.zeros(drawn.maps.shape[1], concepts)
    one_hot = torch.zeros(drawn.size[0] * drawn.size[1], concepts)
    for maps, layers in zip(drawn.maps, torch.from_numpy(drawn.labels.layers), strict=True):
        masks = (enlarge(maps, drawn.size) > drawn.thresholds[:, None, None]).flatten(1).float()
        one_hot.zero_()
        for layer in layers.flatten(1).long():
            one_hot.scatter_add_(1, layer[:, None], torch.ones(len(layer), 1))
        both += masks @ one_hot
    return both[:, 1:]


def masks_alone(drawn: Drawn) -> int:
    """The floor of any count: enlarging and comparing the maps that can be active, once."""
    images, units = torch.nonzero(drawn.maps.amax((2, 3)) > drawn.thresholds, as_tuple=True)
    active = 0
    for image, unit in zip(torch.split(images, 256), torch.split(units, 256), strict=True):
        enlarged = enlarge(drawn.maps[image, unit], drawn.size)
        active += int((enlarged > drawn.thresholds[unit, None, None]).sum())
    return active


def loop(drawn: Drawn, num_images: int) -> np.ndarray:
    """Image by image and unit by unit, as the authors' program."""
    concepts = len(drawn.categories["all"]) + 1
    both = np.zeros((drawn.maps.shape[1], concepts), np.int64)
    thresholds = drawn.thresholds.numpy()
    for maps, layers in zip(
        drawn.maps.numpy()[:num_images], drawn.labels.layers[:num_images], strict=True
    ):
        for unit, single in enumerate(maps):
            if single.max() > thresholds[unit]:
                picture = Image.fromarray(single, mode="F")
                enlarged = picture.resize(drawn.size[::-1], Image.Resampling.BILINEAR)
                mask = np.asarray(enlarged) > thresholds[unit]
                both[unit] += np.bincount(layers[:, mask].ravel(), minlength=concepts)
    return both[:, 1:]


@pytest.mark.parametrize("name", SHAPES)
def test_counting(benchmark: BenchmarkFixture, name: str) -> None:
    """All images, units and concepts at once, beside the dense product and the loop."""
    drawn = draw(SHAPES[name])

    tally = benchmark.pedantic(drawn.tally, rounds=3, warmup_rounds=1)

    dense, looped = [], []
    dense_seconds = min(seconds(lambda: dense.append(dense_product(drawn))) for _ in range(2))
    floor_seconds = min(seconds(lambda: masks_alone(drawn)) for _ in range(3))
    loop_seconds = seconds(lambda: looped.append(loop(drawn, len(drawn.maps))))
    assert (tally.both - dense[0]).abs().sum() <= 1e-4 * tally.both.sum()  # PIL and torch round
    assert np.abs(tally.both.numpy() - looped[0]).sum() <= 1e-4 * int(tally.both.sum())
    pairs = float((drawn.maps.amax((2, 3)) > drawn.thresholds).float().mean())
    best = benchmark.stats.stats.min
    benchmark.extra_info |= {
        "floor": round(floor_seconds, 3),
        "this / floor": round(best / floor_seconds, 1),
        "dense product": round(dense_seconds, 3),
        "loop over units": round(loop_seconds, 3),
        "dense / this": round(dense_seconds / best, 1),
        "loop / this": round(loop_seconds / best, 1),
        "ms an image": round(1000 * best / len(drawn.maps), 2),
        "pairs with active pixels": round(pairs, 3),
    }


@pytest.mark.parametrize("memory", [2**26, 2**22])
def test_quantiles(benchmark: BenchmarkFixture, memory: int) -> None:
    """The top half per cent of 64 million values, beside sorting them all."""
    values = torch.randn(128, 500_000, generator=torch.Generator().manual_seed(0))

    def upper() -> UpperQuantiles:
        quantiles = UpperQuantiles(128, values.shape[1], SHARE, memory)
        for part in values.split(4096, dim=1):
            quantiles.add(part)
        quantiles.quantile(SHARE)
        return quantiles

    quantiles = benchmark.pedantic(upper, rounds=2, warmup_rounds=1)

    sort_seconds = seconds(lambda: values.sort(dim=1))
    best = benchmark.stats.stats.min
    benchmark.extra_info |= {
        "rank error": quantiles.rank_error / values.shape[1],
        "sort of all": round(sort_seconds, 3),
        "sort / this": round(sort_seconds / best, 1),
    }
