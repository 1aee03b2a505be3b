"""Concept sets by name, which need no file of the user's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from le_bench.concepts.imagenet import imagenet_classes, imagenet_superclasses
from le_bench.concepts.lists import once_each, read_concepts


def common_nouns() -> tuple[str, ...]:
    """6,800 common English nouns, the most frequent ones first, see `making.make_nouns`."""
    return read_concepts(Path(__file__).with_name("nouns.txt"))


SHIPPED: Mapping[str, Callable[[], tuple[str, ...]]] = {
    "imagenet-classes": lambda: once_each(imagenet_classes()),
    "imagenet-superclasses": lambda: tuple(imagenet_superclasses()),
    "nouns": common_nouns,
}
