"""The caption grammar of the Picturebook world: sentences that name true facts of a picture.

Every concept that a caption names is present in its picture by `world.presence`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, compress

import numpy as np

from le_bench_plugins.picturebook.concepts import CONCEPTS, SUPERCLASS_OF
from le_bench_plugins.picturebook.facts import Facts, Thing
from le_bench_plugins.picturebook.hashing import Stream
from le_bench_plugins.picturebook.world import Pictures, presence

_NUM_CHOICES = 40  # more than any caption needs

MAX_WORDS = 20
"""The length of the longest captions."""

_SENTENCE_SHARE = 0.5
_OPENINGS = ("", "", "a photo of ", "a picture of ")
_NEARNESS = ("near", "beside", "next to")
SCENE_PHRASES: Mapping[str, tuple[str, ...]] = {
    "meadow": ("in a meadow",),
    "forest": ("in a forest",),
    "beach": ("on a beach", "at the beach"),
    "ocean": ("on the ocean", "at the ocean"),
    "underwater": ("underwater",),
    "desert": ("in a desert", "in the desert"),
    "snowfield": ("in a snowfield", "on a snowfield"),
    "night": ("at night",),
    "street": ("on a street", "in a street"),
    "room": ("in a room",),
}
STUFF_ARTICLES: Mapping[str, str] = {
    "road": "a ",
    "mountain": "a ",
    "sun": "the ",
    "moon": "the ",
    "cloud": "a ",
    "wall": "a ",
    "floor": "a ",
}
MASS_MATERIALS = ("foliage", "fur", "feathers")
_CATEGORY_WEIGHTS: Mapping[str, float] = {
    "color": 1.5,
    "object": 2.0,
    "part": 3.0,
    "material": 1.5,
    "scene": 0.7,
    "texture": 1.2,
    "superclass": 0.8,
}
_CATEGORY_OF: Mapping[str, str] = {concept.name: concept.category for concept in CONCEPTS}

WORDS: tuple[str, ...] = tuple(
    sorted(
        {concept.name for concept in CONCEPTS}
        | {word for phrases in SCENE_PHRASES.values() for each in phrases for word in each.split()}
        | {word for each in (*_OPENINGS, *_NEARNESS) for word in each.split()}
        | {"a", "an", "and", "the", "with", "big", "small", "eyes"}
    )
)
"""Every word that captions and prompts can contain, in alphabetical order."""


class _Dice:
    """The random choices for one caption: the same keys give the same choices."""

    def __init__(self, numbers: list[float]) -> None:
        """Take the numbers in [0, 1) that stand for the choices; each is used once."""
        self._numbers = numbers

    def chance(self, probability: float) -> bool:
        """Return true with the given probability."""
        return self._numbers.pop() < probability

    def pick(self, options: Sequence[str]) -> str:
        """Return one of the options, all equally likely."""
        return options[int(self._numbers.pop() * len(options))]

    def weigh(self, weights: Mapping[str, float]) -> str:
        """Return a key, drawn in proportion to the weights."""
        keys = list(weights)
        bounds = list(accumulate(weights.values()))
        place = bisect_right(bounds, self._numbers.pop() * bounds[-1])
        return keys[min(place, len(keys) - 1)]


def captions(pictures: Pictures, variant: int = 0, seed: int = 0) -> list[str]:
    """Return one caption a picture; other variants tell other facts of the same picture.

    About half are sentences such as "a red cat with green eyes near a small house at night"; the
    others name one to three present concepts: "a photo of beak", "wood and blue". A caption is a
    pure function of the seed, the variant and the picture.
    """
    stream = Stream.of_images(pictures.indices, seed).fork(f"caption {variant}")
    numbers = np.stack([stream.uniform(str(choice)) for choice in range(_NUM_CHOICES)], axis=1)
    names = [concept.name for concept in CONCEPTS]
    return [
        _tell(_Dice(row), facts, list(compress(names, shown)))
        for row, facts, shown in zip(
            numbers.tolist(), pictures.facts, presence(pictures).tolist(), strict=True
        )
    ]


def prompts(name: str) -> tuple[str, ...]:
    """Return the prompts for a single concept.

    >>> prompts("beak")
    ('a photo of beak', 'beak')
    """
    return f"a photo of {name}", name


def _tell(dice: _Dice, facts: Facts, present: Sequence[str]) -> str:
    if dice.chance(_SENTENCE_SHARE):
        return _write_sentence(dice, facts)
    count = 1 + int(dice.chance(0.4)) + int(dice.chance(0.2))
    names = [_choose_concept(dice, present) for _ in range(count)]
    return dice.pick(prompts(" and ".join(dict.fromkeys(names))))


def _choose_concept(dice: _Dice, present: Sequence[str]) -> str:
    """Return a present concept: first a category, then one of its concepts."""
    members: dict[str, list[str]] = {category: [] for category in _CATEGORY_WEIGHTS}
    for name in present:
        members[_CATEGORY_OF[name]].append(name)
    weights = {
        category: weight if members[category] else 0.0
        for category, weight in _CATEGORY_WEIGHTS.items()
    }
    return dice.pick(members[dice.weigh(weights)])


def _write_sentence(dice: _Dice, facts: Facts) -> str:
    """Return a noun phrase for the main object and whatever fits of the chosen additions."""
    sentence = dice.pick(_OPENINGS) + _describe(dice, facts.main)
    for addition in _choose_additions(dice, facts):
        if len(f"{sentence} {addition}".split()) <= MAX_WORDS:
            sentence += f" {addition}"
    return sentence


def _choose_additions(dice: _Dice, facts: Facts) -> list[str]:
    additions: list[str] = []
    details = _choose_details(dice, facts.main)
    if details:
        additions.append("with " + " and ".join(details))
    if facts.companions and dice.chance(0.7):
        shown = facts.companions if dice.chance(0.6) else facts.companions[:1]
        others = " and ".join(_describe_companion(dice, thing) for thing in shown)
        additions.append(f"{dice.pick(_NEARNESS)} {others}")
    if dice.chance(0.75):
        additions.append(dice.pick(SCENE_PHRASES[facts.scene]))
    if facts.stuff and dice.chance(0.3):
        stuff = dice.pick(facts.stuff)
        additions.append(f"with {STUFF_ARTICLES.get(stuff, '')}{stuff}")
    return additions


def _describe(dice: _Dice, thing: Thing) -> str:
    """Return a noun phrase for the main object, such as "a big red striped fabric tent"."""
    words: list[str] = []
    if thing.size != "medium" and dice.chance(0.6):
        words.append(thing.size)
    if thing.color and dice.chance(0.75):
        words.append(thing.color)
        if thing.second_color and dice.chance(0.6):
            words.extend(("and", thing.second_color))
    if thing.texture and dice.chance(0.85):
        words.append(thing.texture)
    if thing.material and thing.material not in MASS_MATERIALS and dice.chance(0.5):
        words.append(thing.material)
    words.append(SUPERCLASS_OF[thing.label] if dice.chance(0.12) else thing.label)
    return with_article(words)


def _choose_details(dice: _Dice, thing: Thing) -> list[str]:
    """Return up to three details: parts, the colour of eyes, what an animal or plant is made of."""
    details: list[str] = []
    if thing.material in MASS_MATERIALS and dice.chance(0.35):
        details.append(thing.material)
    if thing.eye_color and dice.chance(0.4):
        details.append(f"{thing.eye_color} eyes")
    elif thing.parts and dice.chance(0.55):
        details.append(with_article([dice.pick(thing.parts)]))
        if dice.chance(0.4):
            details.append(with_article([dice.pick(thing.parts)]))
    return list(dict.fromkeys(details))


def _describe_companion(dice: _Dice, thing: Thing) -> str:
    words = [thing.size] if dice.chance(0.5) else []
    if thing.color and dice.chance(0.6):
        words.append(thing.color)
    return with_article([*words, thing.label])


def with_article(words: Sequence[str]) -> str:
    """Return the words behind "a" or "an"."""
    article = "an" if words[0][0] in "aeiou" else "a"
    return " ".join((article, *words))
