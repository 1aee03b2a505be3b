"""Small data sets of real files in the layouts of large ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from le_bench.concepts.imagenet import imagenet_wnids


def write_jpeg(path: Path, number: int, side: int = 24) -> None:
    """A JPEG file that differs from those of other numbers, coarse enough to survive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(blocks).resize((side, side + 8), Image.Resampling.BILINEAR).save(path, "JPEG")


def imagenet_files(per_class: int, classes: Iterable[int] = range(1000)) -> list[tuple[int, str]]:
    """Class and file name of each image: file numbers run across the classes, as in ImageNet."""
    own = list(classes)
    return [
        (own[number % len(own)], f"ILSVRC2012_val_{number + 1:08d}.JPEG")
        for number in range(per_class * len(own))
    ]


def write_imagenet(folder: Path, per_class: int, *, flat: bool = False, side: int = 24) -> Path:
    """1,000 classes of a few images each, a folder a class or all in one folder."""
    wnids = imagenet_wnids()
    for label, name in imagenet_files(per_class):
        place = folder / name if flat else folder / wnids[label] / name
        write_jpeg(place, int(name[-13:-5]), side)
    return folder
