"""Make annotated exemplars of imagined units, in the format that training a captioner reads.

No unit of any network enters: what a unit responds to is drawn, its exemplars are pictures that
show it, their masks are made from the ground truth to look like a unit's maps, and the annotations
follow the caption grammar. Nothing of the target models can leak into the captioner.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from le_bench_plugins.picturebook.encoders import weights_path
from le_bench_plugins.picturebook.training.pool import WORLD_SEED, generator_digest
from le_bench_plugins.picturebook.training.unit_meanings import Meaning, draw_meaning
from le_bench_plugins.picturebook.world import Pictures, draw, presence

TRAIN_START = 4_000_000
HELD_OUT_START = 4_100_000
NUM_EXEMPLARS = 15
NUM_ANNOTATIONS = 3
MIN_PIXELS = 12  # of a region, for its picture to be an exemplar
MAX_CANDIDATES = 400  # pictures among which a unit finds its exemplars
GRIDS = (4, 8, 16)  # sides of the maps of layers at which regions are seen
BACKBONE = "picturebook-sl-resnet"
Exemplars = tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]


class Imagined:
    """Draws units over pictures: their meanings, exemplars, masks and annotations."""

    def __init__(self, pictures: Pictures, seed: int) -> None:
        """Keep the pictures; the same seed gives the same units.

        Each unit prefers large regions to a degree of its own.
        """
        self.images = pictures.images
        self._masks = pictures.masks
        self._present = presence(pictures)
        self._stream = np.random.default_rng(seed)

    def draw(self, new: bool) -> tuple[Meaning, Exemplars]:
        """A unit whose meaning is, or is not, held out of training, and its exemplars."""
        while True:
            meaning = draw_meaning(self._stream)
            if meaning.is_new != new:
                continue
            candidates = np.flatnonzero(meaning.may_show(self._present))
            candidates = self._stream.permutation(candidates)[:MAX_CANDIDATES]
            region = meaning.region({name: ids[candidates] for name, ids in self._masks.items()})
            pixels = region.sum((1, 2))
            shown = np.flatnonzero(pixels >= MIN_PIXELS)
            if len(shown) >= 2 * NUM_EXEMPLARS:
                preference = self._stream.uniform(0, 1.5)
                keys = pixels[shown] ** preference / self._stream.exponential(size=len(shown))
                best = shown[np.argsort(-keys)[:NUM_EXEMPLARS]]
                return meaning, self._exemplars(candidates[best], region[best])

    def annotations(self, meaning: Meaning) -> list[str]:
        """What different people would say of it."""
        return [meaning.tell(self._stream) for _ in range(NUM_ANNOTATIONS)]

    def _exemplars(self, rows: npt.NDArray[np.int64], region: npt.NDArray[np.bool_]) -> Exemplars:
        """Rows (K,) and masks (K, 64, 64) that look like those of a unit.

        Up to a third of the exemplars show something else, as those of real units do; the region
        is seen at the positions of a layer, with noise, and cut at some level.
        """
        stream = self._stream
        stray = stream.random(NUM_EXEMPLARS) < stream.choice([0.0, 0.0, 0.1, 0.33])
        others = stream.integers(len(self._present), size=NUM_EXEMPLARS)
        rows = np.where(stray, others, rows)
        region = region & ~stray[:, None, None]
        grid = int(stream.choice(GRIDS))
        seen = torch.from_numpy(region).float()[:, None]
        maps = F.adaptive_avg_pool2d(seen, grid) + self._noise(grid, stream.uniform(0.02, 0.2))
        maps[torch.from_numpy(stray)] += self._bumps(grid)[torch.from_numpy(stray)]
        level = float(maps.amax((2, 3)).median()) * stream.uniform(0.3, 0.8)
        resized = F.interpolate(maps, size=(64, 64), mode="bilinear", align_corners=False)
        return rows, (resized[:, 0] > level).numpy()

    def _noise(self, grid: int, strength: float) -> Tensor:
        """Noise with a grain of about one position, (K, 1, grid, grid)."""
        values = self._stream.normal(0, strength, (NUM_EXEMPLARS, 1, grid, grid))
        return torch.from_numpy(values).float()

    def _bumps(self, grid: int) -> Tensor:
        """One bump a map somewhere, (K, 1, grid, grid)."""
        places = self._stream.integers(0, grid * grid, NUM_EXEMPLARS)
        return F.one_hot(torch.from_numpy(places), grid * grid).float().view(-1, 1, grid, grid)


def write_layer(
    root: Path, layer: str, imagined: Imagined, count: int, new: bool
) -> list[list[str]]:
    """Write the folder of `count` units and return the rows of their annotations."""
    folder = root / layer
    folder.mkdir(parents=True, exist_ok=True)
    shape = (count, NUM_EXEMPLARS)
    images = _new(folder / "images.npy", (*shape, 3, 64, 64))
    masks = _new(folder / "masks.npy", (*shape, 1, 64, 64))
    said: list[list[str]] = []
    for unit in range(count):
        meaning, (rows, regions) = imagined.draw(new)
        images[unit] = imagined.images[rows].transpose(0, 3, 1, 2)
        masks[unit, :, 0] = regions
        said += [[layer, str(unit), text] for text in imagined.annotations(meaning)]
    images.flush()
    masks.flush()
    return said


def export_backbone(path: Path) -> None:
    """Write the maps' part of `picturebook-sl-resnet` under the names of the backbone `small`."""
    own = load_file(weights_path(BACKBONE))
    prefix = "visual.trunk."
    names = {".conv1.0.": ".conv1.", ".conv1.1.": ".bn1.", ".norm2.": ".bn2."}
    tensors = {}
    for name, value in own.items():
        if not name.startswith((f"{prefix}stem.", f"{prefix}layer")):
            continue
        renamed = name.removeprefix(prefix)
        if renamed.startswith("stem."):
            _, block, part, rest = renamed.split(".")
            renamed = f"stem.{3 * int(block) + int(part)}.{rest}"
        for ours, theirs in names.items():
            renamed = renamed.replace(ours, theirs)
        tensors[renamed.replace(".shortcut.", ".downsample.")] = value
    save_file(tensors, path)


def _new(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)


def main() -> None:
    """Write the layers `train`, `known` and `new`, annotations.csv and the backbone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, help="folder to write")
    parser.add_argument("--num-pictures", type=int, default=12_000)
    parser.add_argument("--num-held-out-pictures", type=int, default=4_000)
    parser.add_argument("--num-units", type=int, default=4_000)
    parser.add_argument("--num-held-out-units", type=int, default=300)
    parser.add_argument("--seed", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    said: list[list[str]] = []
    ranges = {
        "train": (TRAIN_START, options.num_pictures),
        "held_out": (HELD_OUT_START, options.num_held_out_pictures),
    }
    drawn = {
        name: draw(np.arange(start, start + count), seed=WORLD_SEED)
        for name, (start, count) in ranges.items()
    }
    layers = {
        "train": ("train", options.num_units, False),
        "known": ("held_out", options.num_held_out_units, False),
        "new": ("held_out", options.num_held_out_units, True),
    }
    for number, (layer, (source, count, new)) in enumerate(layers.items()):
        imagined = Imagined(drawn[source], options.seed + number)
        said += write_layer(options.output, layer, imagined, count, new)
    with (options.output / "annotations.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["layer", "unit", "summary"], *said])
    export_backbone(options.output / "backbone.safetensors")
    made = {
        "training_pictures": ranges["train"],
        "held_out_pictures": ranges["held_out"],
        "seed": options.seed,
        "backbone": BACKBONE,
        "generator_digest": generator_digest(),
    }
    (options.output / "made.json").write_text(json.dumps(made) + "\n")


if __name__ == "__main__":
    main()
