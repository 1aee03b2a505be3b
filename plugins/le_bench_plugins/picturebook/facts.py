"""What is to be seen in a picture, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from le_bench_plugins.picturebook.casting import MAX_COMPANIONS, Cast
from le_bench_plugins.picturebook.concepts import CATEGORY_CONCEPTS, CLASSES, PARTS, SCENES, STUFF

Ids = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]

MIN_PIXELS: Mapping[str, int] = {
    "color": 64,
    "object": 24,
    "part": 6,
    "material": 40,
    "scene": 1,
    "texture": 64,
}
"""For each category the number of visible pixels from which a concept counts as present."""


@dataclass(frozen=True, slots=True)
class Thing:
    """The main object of a picture or a companion; what is hidden or too small to see is None.

    label: its class. size: "small", "medium" or "big". color: its main colour.
    second_color: the other colour of its texture. eye_color: only of eyes that have a colour.
    parts: those that can be seen.
    """

    label: str
    size: str
    color: str | None
    second_color: str | None
    texture: str | None
    material: str | None
    eye_color: str | None
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """The scene of a picture, its things and the stuff of the scenery that can be seen."""

    scene: str
    main: Thing
    companions: tuple[Thing, ...]
    stuff: tuple[str, ...]


def count_ids(ids: Ids, num_concepts: int) -> Counts:
    """Return how many pixels of each picture have each id, shape (N, num_concepts + 1).

    ids: (N, height, width), values up to num_concepts.
    """
    num_pictures, width = len(ids), num_concepts + 1
    keys = ids + (np.arange(num_pictures) * width)[:, None, None]
    return np.bincount(keys.ravel(), minlength=num_pictures * width).reshape(num_pictures, width)


def tell_facts(
    cast: Cast, scenes: npt.NDArray[np.int64], masks: Mapping[str, Ids], owners: Ids
) -> tuple[Facts, ...]:
    """Return the facts of n pictures.

    masks: id maps by category, (n, height, width). owners: 0 for scenery, 1 for the main object,
    2 and 3 for companions, same shape.
    """
    visible = {
        category: _count_owned(masks[category], owners, category) >= MIN_PIXELS[category]
        for category in ("color", "object", "part", "material", "texture")
    }
    companions: list[list[Thing]] = [[] for _ in scenes]
    mains: dict[int, Thing] = {}
    for row in range(len(cast.label)):
        picture, slot = int(cast.picture[row]), int(cast.slot[row])
        seen = {category: table[picture, slot + 1] for category, table in visible.items()}
        if slot == 0:
            mains[picture] = _tell_thing(cast, row, seen)
        elif seen["object"][cast.label[row] + 1]:
            companions[picture].append(_tell_thing(cast, row, seen))
    stuff = visible["object"][:, 0, 1 + len(CLASSES) :]
    return tuple(
        Facts(
            scene=SCENES[scene],
            main=mains[picture],
            companions=tuple(companions[picture]),
            stuff=tuple(name for name, shown in zip(STUFF, stuff[picture], strict=True) if shown),
        )
        for picture, scene in enumerate(scenes)
    )


def _count_owned(ids: Ids, owners: Ids, category: str) -> Counts:
    """Return how many pixels of each owner have each id, shape (n, owners, concepts + 1)."""
    num_owners, width = MAX_COMPANIONS + 2, len(CATEGORY_CONCEPTS[category]) + 1
    keys = (np.arange(len(ids))[:, None, None] * num_owners + owners) * width + ids
    counts = np.bincount(keys.ravel(), minlength=len(ids) * num_owners * width)
    return counts.reshape(len(ids), num_owners, width)


def _tell_thing(cast: Cast, row: int, seen: Mapping[str, npt.NDArray[np.bool_]]) -> Thing:
    def name(category: str, number: int, required: bool = True) -> str | None:
        shown = number > 0 and required and bool(seen[category][number])
        return CATEGORY_CONCEPTS[category][number - 1] if shown else None

    finish = cast.finish
    texture = name("texture", int(finish.texture[row]))
    label = CLASSES[cast.label[row]]
    parts = tuple(part for part, shown in zip(PARTS, seen["part"][1:], strict=True) if shown)
    return Thing(
        label=label,
        size=cast.size_word(row),
        color=name("color", int(finish.color[row])),
        second_color=name("color", int(finish.accent[row]), texture is not None),
        texture=texture,
        material=name("material", int(finish.material[row])),
        eye_color=name("color", int(finish.eyes[row]), label == "cat" and "eye" in parts),
        parts=parts,
    )
