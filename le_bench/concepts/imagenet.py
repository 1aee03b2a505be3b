"""The 1,000 classes of ImageNet: names, WordNet numbers, and superclasses.

Classes are counted as everywhere: from 0, sorted by WordNet number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from le_bench.concepts.making import numbers

NUM_CLASSES = 1000


@cache
def imagenet_classes() -> tuple[str, ...]:
    """The names in plain English that open_clip keeps; two of them are shared by two classes."""
    from open_clip.zero_shot_metadata import (  # noqa: PLC0415  # seconds to import
        IMAGENET_CLASSNAMES,
    )

    return tuple(IMAGENET_CLASSNAMES)


@cache
def imagenet_wnids() -> tuple[str, ...]:
    """The WordNet numbers, such as n01440764, from timm."""
    from timm.data import ImageNetInfo  # noqa: PLC0415  # seconds to import

    return tuple(ImageNetInfo("imagenet-1k").label_names())


@cache
def imagenet_superclasses() -> Mapping[str, tuple[int, ...]]:
    """Each superclass by WordNet with its classes by number, sorted by name.

    Made by `python -m le_bench.concepts`, see `making.make_superclasses`. A superclass may bear the
    name of a class.
    """
    path = Path(__file__).with_name("imagenet_superclasses.json")
    return {
        name: numbers(classes)
        for name, classes in json.loads(path.read_text(encoding="utf-8")).items()
    }
