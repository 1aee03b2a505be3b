"""What an imagined unit responds to, where in a picture that is, and how it is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt

from le_bench_plugins.picturebook.captions import (
    MASS_MATERIALS,
    SCENE_PHRASES,
    STUFF_ARTICLES,
    with_article,
)
from le_bench_plugins.picturebook.concepts import (
    CATEGORY_CONCEPTS,
    CLASSES,
    CONCEPT_IDS,
    CONCEPTS,
    SUPERCLASS_OF,
    Concept,
)

Region = npt.NDArray[np.bool_]
Masks = Mapping[str, npt.NDArray[np.uint8]]

QUALITIES = ("color", "texture", "material", "part")
_KINDS = {"single": 0.5, "quality": 0.22, "scene": 0.08, "either": 0.2}
_CATEGORY_WEIGHTS = {
    "color": 11,
    "object": 36,
    "part": 33,
    "material": 9,
    "scene": 8,
    "texture": 6,
    "superclass": 5,
}
_HELD_OUT_SHARE = 8  # one pair of concepts in so many is never trained on


@dataclass(frozen=True)
class Meaning:
    """One concept; or an object with a quality or in a scene; or either of two concepts."""

    kind: str
    concepts: tuple[Concept, ...]

    @property
    def is_new(self) -> bool:
        """Whether this pair of concepts is held out of training; single concepts never are."""
        names = " ".join(concept.name for concept in self.concepts)
        return len(self.concepts) > 1 and crc32(names.encode()) % _HELD_OUT_SHARE == 0

    def may_show(self, present: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Which pictures (N,) have the concepts somewhere, by the presence (N, C) of all."""
        own = present[:, [CONCEPTS.index(concept) for concept in self.concepts]]
        return np.asarray(own.any(1) if self.kind == "either" else own.all(1))

    def region(self, masks: Masks) -> Region:
        """Where it is, (N, 64, 64), by the id maps of each category."""
        parts = [_region(masks, concept) for concept in self.concepts]
        stacked = np.stack(parts)
        return np.asarray(stacked.any(0) if self.kind == "either" else stacked.all(0))

    def tell(self, stream: np.random.Generator) -> str:
        """One way to say it, in words of the caption grammar.

        >>> wheel, car = Concept("wheel", "part"), Concept("car", "object")
        >>> Meaning("quality", (car, wheel)).tell(np.random.default_rng(0))
        'car wheel'
        """
        return str(stream.choice(_ways(self)))


def draw_meaning(stream: np.random.Generator) -> Meaning:
    """A random meaning; a pair may be one that no picture shows."""
    kind = str(stream.choice(list(_KINDS), p=list(_KINDS.values())))
    if kind == "single":
        return Meaning(kind, (_draw(stream, _CATEGORY_WEIGHTS),))
    if kind == "either":
        first = _draw(stream, _CATEGORY_WEIGHTS)
        same = stream.random() < 0.5
        second = _draw(stream, {first.category: 1} if same else _CATEGORY_WEIGHTS)
        return Meaning(kind, (first, second)) if first != second else Meaning("single", (first,))
    thing = Concept(str(stream.choice(CLASSES)), "object")
    weights = {"scene": 1} if kind == "scene" else dict.fromkeys(QUALITIES, 1)
    return Meaning(kind, (thing, _draw(stream, weights)))


def _draw(stream: np.random.Generator, weights: dict[str, int]) -> Concept:
    shares = np.array(list(weights.values()), float)
    category = str(stream.choice(list(weights), p=shares / shares.sum()))
    members = [concept for concept in CONCEPTS if concept.category == category]
    return members[stream.integers(len(members))]


def _region(masks: Masks, concept: Concept) -> Region:
    if concept.category != "superclass":
        ids: Region = masks[concept.category] == CONCEPT_IDS[concept.name]
        return ids
    members = [n for n, name in enumerate(CLASSES, 1) if SUPERCLASS_OF[name] == concept.name]
    return np.isin(masks["object"], members)


def _ways(meaning: Meaning) -> Sequence[str]:
    """All ways to say it; the first ones are the shortest."""
    names = [concept.name for concept in meaning.concepts]
    alone = [_noun_phrase(concept) for concept in meaning.concepts]
    if meaning.kind == "single":
        return (names[0], alone[0])
    if meaning.kind == "either":
        return (" and ".join(names), " and ".join(alone))
    thing, other = names
    if meaning.kind == "scene":
        return tuple(f"{lead} {way}" for lead in (thing, alone[0]) for way in SCENE_PHRASES[other])
    category = meaning.concepts[1].category
    if category == "part":
        return (f"the {other} of {alone[0]}", f"{thing} {other}")
    if other in MASS_MATERIALS:
        return (f"{thing} with {other}", f"{alone[0]} with {other}")
    return (f"{other} {thing}", with_article([other, thing]))


def _noun_phrase(concept: Concept) -> str:
    """The name as it stands in a sentence: "a cat", "the sun", "sky", "red"."""
    if concept.name in STUFF_ARTICLES:
        return STUFF_ARTICLES[concept.name] + concept.name
    countable = concept.category in ("part", "superclass") or concept.name in CLASSES
    if concept.category == "scene" and concept.name in CATEGORY_CONCEPTS["scene"]:
        countable = concept.name not in ("underwater", "night")
    return with_article([concept.name]) if countable else concept.name
