"""The Picturebook world: pictures with everything that is true of them.

Picture i is a pure function of the seed and i: drawn alone, in any chunk or order, it is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from le_bench_plugins.picturebook.casting import choose_labels, choose_scenes, choose_things
from le_bench_plugins.picturebook.concepts import (
    CATEGORIES,
    CATEGORY_CONCEPTS,
    CLASSES,
    SCENES,
    SUPERCLASS_OF,
    SUPERCLASSES,
)
from le_bench_plugins.picturebook.facts import MIN_PIXELS, Facts, count_ids, tell_facts
from le_bench_plugins.picturebook.hashing import Stream
from le_bench_plugins.picturebook.layers import decode
from le_bench_plugins.picturebook.staging import stage

CHUNK = 256
"""How many pictures are drawn together; it bounds memory and changes no picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """N pictures and what is true of them.

    indices: (N,) int64. images: (N, 64, 64, 3) uint8. labels: (N,) int64, the class of the main
    object as an index into CLASSES. scenes: (N,) int64, index into SCENES.
    masks: for each of the six categories an id map, (N, 64, 64) uint8, where 0 stands for nothing
    and v > 0 for `CATEGORY_CONCEPTS[category][v - 1]`. facts: one a picture.

    A scene covers its whole picture. Colours and textures are those of things, not of scenery: the
    sky is not "blue". Materials and parts also occur in scenery: the trees of a forest, the boards
    of a floor.
    """

    indices: npt.NDArray[np.int64]
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    scenes: npt.NDArray[np.int64]
    masks: Mapping[str, npt.NDArray[np.uint8]]
    facts: Sequence[Facts]


def draw(indices: Sequence[int] | npt.NDArray[np.integer], seed: int = 0) -> Pictures:
    """Return the pictures with the given non-negative indices, in the same order.

    >>> pictures = draw([7, 3])
    >>> pictures.images.shape
    (2, 64, 64, 3)
    """
    wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
    starts = range(0, max(len(wanted), 1), CHUNK)
    chunks = [_draw_chunk(wanted[start : start + CHUNK], seed) for start in starts]
    return Pictures(
        indices=wanted,
        images=np.concatenate([chunk.images for chunk in chunks]),
        labels=np.concatenate([chunk.labels for chunk in chunks]),
        scenes=np.concatenate([chunk.scenes for chunk in chunks]),
        masks={
            category: np.concatenate([chunk.masks[category] for chunk in chunks])
            for category in CATEGORIES
        },
        facts=tuple(facts for chunk in chunks for facts in chunk.facts),
    )


def presence(pictures: Pictures) -> npt.NDArray[np.bool_]:
    """Return which of CONCEPTS, in order, each picture shows, shape (N, 109).

    A concept with a mask is present if it covers at least `MIN_PIXELS[category]` pixels. A
    superclass is present if any class of it is, be it the main object, a companion or scenery (the
    trees of a forest); the houses along a street make it show a "building".
    """
    columns = [
        count_ids(pictures.masks[category], len(CATEGORY_CONCEPTS[category]))[:, 1:]
        >= MIN_PIXELS[category]
        for category in CATEGORIES
    ]
    objects = columns[CATEGORIES.index("object")]
    superclasses = np.zeros((len(pictures.indices), len(SUPERCLASSES)), dtype=np.bool_)
    for position, name in enumerate(CLASSES):
        superclasses[:, SUPERCLASSES.index(SUPERCLASS_OF[name])] |= objects[:, position]
    superclasses[:, SUPERCLASSES.index("building")] |= pictures.scenes == SCENES.index("street")
    return np.concatenate([*columns, superclasses], axis=1)


def _draw_chunk(indices: npt.NDArray[np.int64], seed: int) -> Pictures:
    stream = Stream.of_images(indices, seed)
    labels = choose_labels(stream)
    scenes = choose_scenes(stream, labels)
    cast = choose_things(stream.fork("things"), labels)
    layers = stage(scenes, stream.fork("scene"), cast)
    masks = {
        category: decode(layers.codes, category) for category in CATEGORIES if category != "scene"
    }
    everywhere = (scenes + 1).astype(np.uint8)[:, None, None]
    masks["scene"] = np.broadcast_to(everywhere, layers.codes.shape)
    colors = np.clip(layers.rgb * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8)
    return Pictures(
        indices=indices,
        images=np.ascontiguousarray(colors.transpose(1, 2, 3, 0)),
        labels=labels,
        scenes=scenes,
        masks=masks,
        facts=tell_facts(cast, scenes, masks, decode(layers.codes, "owner")),
    )
