"""The captions of the Picturebook pictures."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from le_bench_plugins.picturebook.captions import MAX_WORDS, WORDS, captions, prompts
from le_bench_plugins.picturebook.concepts import CONCEPTS
from le_bench_plugins.picturebook.world import Pictures, draw, presence


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """Return 500 pictures."""
    return draw(np.arange(500))


@pytest.fixture(scope="module")
def variants(pictures: Pictures) -> list[list[str]]:
    """Return several captions for each of the 500 pictures, a list a variant."""
    return [captions(pictures, variant) for variant in range(6)]


def test_captions_name_only_what_is_present(pictures: Pictures, variants: list[list[str]]) -> None:
    """Every concept that a caption names is present in its picture."""
    names = [concept.name for concept in CONCEPTS]
    present = presence(pictures)
    for told in variants:
        for caption, row in zip(told, present, strict=True):
            shown = {name for name, is_shown in zip(names, row, strict=True) if is_shown}
            named = {"eye" if word == "eyes" else word for word in caption.split()} & set(names)
            assert named
            assert named <= shown, caption


def test_sizes_and_eyes_are_those_of_the_main_object(
    pictures: Pictures, variants: list[list[str]]
) -> None:
    """A caption says "big" only of big main objects and tells the colour that eyes have."""
    for caption, facts in zip(variants[0], pictures.facts, strict=True):
        words = caption.split()
        if "big" in words:
            assert facts.main.size == "big", caption
        if "eyes" in words:
            assert words[words.index("eyes") - 1] == facts.main.eye_color, caption


def test_words_are_closed_under_captions_and_prompts(variants: list[list[str]]) -> None:
    """Captions and prompts use the listed words only, and each listed word occurs."""
    used = {word for told in variants for caption in told for word in caption.split()}
    used |= {
        word for concept in CONCEPTS for text in prompts(concept.name) for word in text.split()
    }

    assert used == set(WORDS)
    assert list(WORDS) == sorted(set(WORDS))


def test_captions_are_short(variants: list[list[str]]) -> None:
    """No caption is empty or longer than the documented number of words."""
    for told in variants:
        lengths = [len(caption.split()) for caption in told]
        assert min(lengths) >= 1
        assert max(lengths) <= MAX_WORDS


def test_a_caption_depends_on_seed_variant_and_picture_only(pictures: Pictures) -> None:
    """A picture has the same caption in whatever selection it comes."""
    rows = [411, 3, 256, 3]

    expected = [captions(pictures, variant=2, seed=5)[row] for row in rows]

    assert captions(draw(rows), variant=2, seed=5) == expected


def test_variants_and_seeds_tell_different_facts(
    pictures: Pictures, variants: list[list[str]]
) -> None:
    """Most captions change with the variant and with the seed."""
    first = variants[0]
    for other in (variants[1], captions(pictures, seed=1)):
        changed = sum(before != after for before, after in zip(first, other, strict=True))
        assert changed > 0.8 * len(first)


def test_indefinite_articles_are_right(variants: list[list[str]]) -> None:
    """The article is "an" before a vowel and "a" otherwise."""
    for told in variants:
        for caption in told:
            words = caption.split()
            for article, following in pairwise(words):
                if article in {"a", "an"}:
                    assert (article == "an") == (following[0] in "aeiou"), caption


def test_every_concept_is_named_by_some_caption(variants: list[list[str]]) -> None:
    """Captions of a few hundred pictures name each of the 109 concepts."""
    used = {word for told in variants for caption in told for word in caption.split()}

    assert {concept.name for concept in CONCEPTS} <= used


def test_prompts_name_one_concept() -> None:
    """A concept's prompts are the bare word and a photo of it."""
    assert prompts("beak") == ("a photo of beak", "beak")
