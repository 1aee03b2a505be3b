"""Small random data for Network Dissection, and a slow, obvious oracle of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from le_bench.testing.planted import PlantedMemory
from le_bench.testing.worlds import PlantedEncodings
from le_bench.types import Evidence, Layer, PixelLabels, ProbeView

CATEGORIES = {
    "color": ("red", "green", "blue"),
    "object": ("tree", "car"),
    "scene": ("street", "beach"),
}
CONCEPTS = [concept for members in CATEGORIES.values() for concept in members]
CATEGORY = [name for name, members in CATEGORIES.items() for _ in members]


@dataclass(frozen=True, eq=False)
class RandomMaps:
    """Maps given by row, in blocks."""

    values: Tensor
    block: int = 7

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.values.shape[1], self.values.shape[2], self.values.shape[3]

    def blocks(self, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        for part in torch.split(rows, self.block):
            yield part, self.values[part]


@dataclass(frozen=True, eq=False)
class RandomMasks:
    """Labels given by row."""

    labels: PixelLabels
    categories: ClassVar[Mapping[str, tuple[str, ...]]] = CATEGORIES

    @property
    def size(self) -> tuple[int, int]:
        return self.labels.layers.shape[2], self.labels.layers.shape[3]

    def read(self, rows: Sequence[int]) -> PixelLabels:
        return PixelLabels(self.labels.layers[list(rows)], self.labels.whole[list(rows)])


@dataclass(frozen=True, eq=False)
class Scene:
    """Maps and labels of train, val and test images."""

    maps: Tensor
    labels: PixelLabels
    rows: Mapping[str, Tensor]
    block: int = 7

    def evidence(self, units: Sequence[int] | None = None) -> Evidence:
        """What Network Dissection sees."""
        maps = self.maps if units is None else self.maps[:, list(units)]
        pooled = maps.mean((2, 3))
        masks = RandomMasks(self.labels)
        encodings = PlantedEncodings((), {})
        train, val = (
            ProbeView(split, self.rows[split], encodings, masks=masks)  # type: ignore[arg-type]  # split names
            for split in ("train", "val")
        )
        return Evidence(
            layer=Layer("drawn"),
            train=train,
            val=val,
            train_activations=pooled[train.rows],
            val_activations=pooled[val.rows],
            vocabulary=tuple(CONCEPTS),
            memory=PlantedMemory(),
            maps=RandomMaps(maps, self.block),
        )

    def seen(self) -> list[int]:
        """Rows of the train and val images."""
        return torch.cat([self.rows["train"], self.rows["val"]]).tolist()


def draw(seed: int = 0, num_images: int = 40, size: tuple[int, int] = (8, 12)) -> Scene:
    """Maps of half the size of the labels, in eighths, so that interpolation is exact.

    Images have up to three layers with overlapping labels, up to two labels as a whole, and some
    have no label at all. Maps are smooth, so that active regions have some size.
    """
    random = np.random.default_rng(seed)
    height, width = size[0] // 2, size[1] // 2
    noise = torch.from_numpy(random.normal(0, 1, (num_images, 5, height, width))).float()
    maps = torch.nn.functional.avg_pool2d(noise, 3, 1, 1) * 3
    maps += torch.from_numpy(random.normal(0, 1, (num_images, 5, 1, 1))).float()
    layers = random.integers(0, len(CONCEPTS) + 1, (num_images, 3, size[0] // 2, size[1] // 2))
    layers = layers.repeat(2, axis=2).repeat(2, axis=3)
    layers[random.random((num_images, 3)) < 0.4] = 0
    layers[random.random(layers.shape) < 0.3] = 0
    whole = random.integers(0, len(CONCEPTS) + 1, (num_images, 2))
    whole[random.random(whole.shape) < 0.6] = 0
    order = torch.from_numpy(random.permutation(num_images))
    cuts = num_images * 6 // 10, num_images * 8 // 10
    rows = dict(zip(("train", "val", "test"), np.split(order.numpy(), cuts), strict=True))
    return Scene(
        (maps * 8).round() / 8,
        PixelLabels(layers.astype(np.int16), whole.astype(np.int16)),
        {split: torch.from_numpy(part) for split, part in rows.items()},
    )


def with_units(scene: Scene, maps: Tensor) -> Scene:
    """The scene with other maps."""
    return replace(scene, maps=maps)


def threshold_of(scene: Scene, unit: int, quantile: float) -> float:
    """The value that so many of the unit's values exceed, from all of them sorted."""
    values = np.sort(scene.maps[scene.seen(), unit].numpy().ravel())[::-1]
    return float(values[int(round(quantile * len(values), 9))])


def labels_at(scene: Scene, row: int, y: int, x: int, kept: Sequence[int]) -> list[int]:
    """The concepts that label a pixel: once for each layer, and those of the whole image."""
    labels = [*scene.labels.layers[row, :, y, x], *scene.labels.whole[row]]
    return [int(label) - 1 for label in labels if label - 1 in kept]


def oracle(
    scene: Scene, quantile: float, union: str, without: Sequence[str] = ()
) -> dict[tuple[int, str], tuple[int, int, int, float]]:
    """By unit and concept: both, truth, active pixels and IoU, one pixel after the other.

    Enlarged by PIL, as in NetDissect-Lite.
    """
    kept = [number for number, category in enumerate(CATEGORY) if category not in without]
    height, width = scene.labels.layers.shape[2:]
    found = {}
    for unit in range(scene.maps.shape[1]):
        both, truth = dict.fromkeys(kept, 0), dict.fromkeys(kept, 0)
        active = dict.fromkeys(CATEGORIES, 0)
        threshold = threshold_of(scene, unit, quantile)
        for row in scene.seen():
            picture = Image.fromarray(scene.maps[row, unit].numpy(), mode="F")
            enlarged = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
            area, in_region, in_image = 0, set(), set()
            for y, x in np.ndindex(height, width):
                area += enlarged[y, x] > threshold
                for concept in labels_at(scene, row, y, x, kept):
                    truth[concept] += 1
                    in_image.add(CATEGORY[concept])
                    if enlarged[y, x] > threshold:
                        both[concept] += 1
                        in_region.add(CATEGORY[concept])
            counting = {"category-in-region": in_region, "category-in-image": in_image}
            for category in counting.get(union, CATEGORIES):
                active[category] += area
        for concept in kept:
            joined = active[CATEGORY[concept]] + truth[concept] - both[concept]
            overlap = both[concept] / joined if joined else 0.0
            key = (unit, CONCEPTS[concept])
            found[key] = (both[concept], truth[concept], active[CATEGORY[concept]], overlap)
    return found
