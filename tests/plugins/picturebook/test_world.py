"""The Picturebook pictures, their masks and what is present in them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from le_bench_plugins.picturebook.concepts import (
    CATEGORIES,
    CATEGORY_CONCEPTS,
    CLASS_PARTS,
    CLASSES,
    CONCEPT_IDS,
    CONCEPTS,
    SCENES,
    SUPERCLASS_OF,
    SUPERCLASSES,
)
from le_bench_plugins.picturebook.facts import MIN_PIXELS, count_ids
from le_bench_plugins.picturebook.hashing import Stream, scramble
from le_bench_plugins.picturebook.palette import PAINTS
from le_bench_plugins.picturebook.world import CHUNK, Pictures, draw, presence

GOLDEN_MEANS: Mapping[int, tuple[float, float, float]] = {
    0: (112.7, 140.0, 99.3),
    1: (170.2, 184.8, 175.1),
    2: (49.5, 55.6, 66.5),
    17: (155.3, 156.8, 154.4),
    123456: (193.2, 162.1, 111.8),
    10000000: (162.8, 151.7, 139.5),
}
"""Mean red, green and blue, in [0, 255], of some pictures under seed 0."""


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """Return 2,000 pictures, enough to see every concept."""
    return draw(np.arange(2000))


@pytest.fixture(scope="module")
def present(pictures: Pictures) -> np.ndarray:
    """Return what the 2,000 pictures show, shape (2000, 109)."""
    return presence(pictures)


def _assert_same(first: Pictures, second: Pictures) -> None:
    np.testing.assert_array_equal(first.indices, second.indices)
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_array_equal(first.scenes, second.scenes)
    for category in CATEGORIES:
        np.testing.assert_array_equal(first.masks[category], second.masks[category])
    assert first.facts == second.facts


def _take(pictures: Pictures, rows: np.ndarray) -> Pictures:
    return Pictures(
        indices=pictures.indices[rows],
        images=pictures.images[rows],
        labels=pictures.labels[rows],
        scenes=pictures.scenes[rows],
        masks={category: ids[rows] for category, ids in pictures.masks.items()},
        facts=tuple(pictures.facts[row] for row in rows),
    )


def test_splitmix64_matches_its_published_numbers() -> None:
    """The hash of the first two states of seed 1234567 is what the reference program prints."""
    states = np.array([1234567, 1234567 + 0x9E3779B97F4A7C15], dtype=np.uint64)

    assert scramble(states).tolist() == [6457827717110365317, 3203168211198807973]


def test_streams_differ_by_name_seed_and_image() -> None:
    """Different names, seeds and images give unrelated numbers; equal ones give equal numbers."""
    indices = np.arange(1000)
    stream = Stream.of_images(indices, 0)

    first, second = stream.uniform("first"), stream.uniform("second")
    other_seed = Stream.of_images(indices, 1).uniform("first")

    np.testing.assert_array_equal(first, Stream.of_images(indices, 0).uniform("first"))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1
    assert abs(np.corrcoef(first, other_seed)[0, 1]) < 0.1
    assert abs(first.mean() - 0.5) < 0.03
    assert first.min() >= 0.0
    assert first.max() < 1.0


def test_there_are_109_concepts_with_distinct_names() -> None:
    """The vocabulary has 104 mask concepts and 5 superclasses, and no name stands for two."""
    names = [concept.name for concept in CONCEPTS]

    assert len(CLASSES) == 24
    assert len(SUPERCLASSES) == 5
    assert len(SCENES) == 10
    assert len(names) == len(set(names)) == 109
    assert sum(concept.category == "superclass" for concept in CONCEPTS) == 5
    assert set(SUPERCLASS_OF) == set(CLASSES)


def test_arrays_have_the_documented_shapes(pictures: Pictures) -> None:
    """Images, labels, scenes and masks have the documented shapes and types."""
    assert pictures.images.shape == (2000, 64, 64, 3)
    assert pictures.images.dtype == np.uint8
    assert pictures.labels.dtype == pictures.scenes.dtype == pictures.indices.dtype == np.int64
    assert tuple(pictures.masks) == CATEGORIES
    for ids in pictures.masks.values():
        assert ids.shape == (2000, 64, 64)
        assert ids.dtype == np.uint8
    assert len(pictures.facts) == 2000


def test_no_pictures_can_be_drawn() -> None:
    """An empty list of indices gives empty arrays of the right shapes."""
    nothing = draw([])

    assert nothing.images.shape == (0, 64, 64, 3)
    assert presence(nothing).shape == (0, 109)
    assert nothing.facts == ()


@pytest.mark.parametrize("rows", [[5], [299, 3, 3, 17], list(range(CHUNK - 3, CHUNK + 4))])
def test_a_picture_depends_on_seed_and_index_only(pictures: Pictures, rows: list[int]) -> None:
    """Alone, repeated, in another order or across a chunk's border a picture is the same."""
    again = draw(rows)

    _assert_same(again, _take(pictures, np.array(rows)))


def test_every_single_picture_equals_the_one_of_the_batch(pictures: Pictures) -> None:
    """Pictures drawn one by one equal those drawn together."""
    for index in range(0, 2000, 67):
        _assert_same(draw([index]), _take(pictures, np.array([index])))


def test_the_seed_changes_the_pictures(pictures: Pictures) -> None:
    """Another seed gives other labels, scenes and pixels."""
    other = draw(np.arange(64), seed=1)

    assert (other.labels != pictures.labels[:64]).any()
    assert (other.scenes != pictures.scenes[:64]).any()
    assert (other.images != pictures.images[:64]).mean() > 0.5


def test_large_indices_are_distinct_pictures() -> None:
    """Indices up to ten million give pictures that differ from one another."""
    images = draw([9_999_998, 9_999_999, 10_000_000]).images

    assert (images[0] != images[1]).any()
    assert (images[1] != images[2]).any()


@pytest.mark.parametrize("category", CATEGORIES)
def test_id_maps_stay_in_range(pictures: Pictures, category: str) -> None:
    """An id map holds 0 and the ids of its category's concepts, and every concept occurs."""
    seen = np.unique(pictures.masks[category])

    assert set(seen.tolist()) - {0} == set(range(1, len(CATEGORY_CONCEPTS[category]) + 1))


def test_presence_counts_visible_pixels(pictures: Pictures, present: np.ndarray) -> None:
    """A mask concept is present if and only if it covers the least number of pixels."""
    for column, concept in enumerate(CONCEPTS):
        if concept.category != "superclass":
            shown = pictures.masks[concept.category] == CONCEPT_IDS[concept.name]
            expected = shown.sum(axis=(1, 2)) >= MIN_PIXELS[concept.category]
            np.testing.assert_array_equal(present[:, column], expected)


def test_superclasses_follow_the_visible_objects(pictures: Pictures, present: np.ndarray) -> None:
    """A superclass is present with any of its classes; streets show buildings as well."""
    columns = {concept.name: present[:, column] for column, concept in enumerate(CONCEPTS)}
    for superclass in SUPERCLASSES:
        members = [columns[name] for name in CLASSES if SUPERCLASS_OF[name] == superclass]
        expected = np.any(members, axis=0)
        if superclass == "building":
            expected |= pictures.scenes == SCENES.index("street")
        np.testing.assert_array_equal(columns[superclass], expected)


def test_the_main_object_and_the_scene_are_always_present(
    pictures: Pictures, present: np.ndarray
) -> None:
    """Labels and scenes agree with the masks of every picture."""
    names = [concept.name for concept in CONCEPTS]
    rows = np.arange(len(pictures.labels))
    classes = np.array([names.index(name) for name in CLASSES])
    scenes = np.array([names.index(name) for name in SCENES])

    assert present[rows, classes[pictures.labels]].all()
    assert present[rows, scenes[pictures.scenes]].all()
    assert (present[:, scenes].sum(axis=1) == 1).all()


def test_every_concept_is_neither_rare_nor_everywhere(present: np.ndarray) -> None:
    """Each concept is present in at least 3 percent of the pictures; only the sky is in most."""
    shares = dict(zip((concept.name for concept in CONCEPTS), present.mean(axis=0), strict=True))

    assert {name: share for name, share in shares.items() if share < 0.03} == {}
    assert {name for name, share in shares.items() if share > 0.6} == {"sky"}


def test_colors_are_present_in_a_fair_share_of_pictures(present: np.ndarray) -> None:
    """Each colour is present in 10 to 45 percent of the pictures."""
    columns = [column for column, concept in enumerate(CONCEPTS) if concept.category == "color"]
    shares = present[:, columns].mean(axis=0)

    assert shares.min() > 0.1
    assert shares.max() < 0.45


def test_all_classes_are_equally_likely(pictures: Pictures) -> None:
    """Each class is the main object of about one picture in 24."""
    counts = np.bincount(pictures.labels, minlength=len(CLASSES))

    assert counts.min() > 50
    assert counts.max() < 130


def test_color_masks_match_the_pixels(pictures: Pictures) -> None:
    """The typical pixel below each colour's mask is nearest to that colour of all eleven."""
    palette = np.array(list(PAINTS.values())) * 255.0
    for number, name in enumerate(PAINTS):
        pixels = pictures.images[pictures.masks["color"] == CONCEPT_IDS[name]]
        distances = np.linalg.norm(palette - np.median(pixels, axis=0), axis=1)
        assert distances.argmin() == number, name


def test_parts_belong_to_classes_that_have_them(pictures: Pictures) -> None:
    """A part lies on an object that has such parts; a forest has trunks and crowns."""
    allowed = np.zeros((256, 256), dtype=np.bool_)
    for label, parts in CLASS_PARTS.items():
        for part in parts:
            allowed[CONCEPT_IDS[label], CONCEPT_IDS[part]] = True
    objects, parts_shown = pictures.masks["object"], pictures.masks["part"]
    on_part = parts_shown > 0

    assert allowed[objects[on_part], parts_shown[on_part]].all()


def test_each_class_shows_its_parts(pictures: Pictures) -> None:
    """Nearly every main object shows each part of its class."""
    for label, parts in CLASS_PARTS.items():
        things = [facts.main for facts in pictures.facts if facts.main.label == label]
        for part in parts:
            share = sum(part in thing.parts for thing in things) / len(things)
            assert share > 0.8, (label, part)


def test_facts_agree_with_labels_scenes_and_presence(
    pictures: Pictures, present: np.ndarray
) -> None:
    """Everything that facts tell of a picture is present in it."""
    names = [concept.name for concept in CONCEPTS]
    for row, facts in enumerate(pictures.facts):
        shown = {name for name, is_shown in zip(names, present[row], strict=True) if is_shown}
        assert facts.scene == SCENES[pictures.scenes[row]]
        assert facts.main.label == CLASSES[pictures.labels[row]]
        assert set(facts.stuff) <= shown
        for thing in (facts.main, *facts.companions):
            told = {thing.label, thing.color, thing.second_color, thing.texture, thing.material}
            assert (told | set(thing.parts)) - {None} <= shown


def test_counting_ids_matches_a_direct_count() -> None:
    """Counts per picture equal those of a plain loop."""
    ids = np.array([[[0, 1], [1, 3]], [[2, 2], [2, 0]]], dtype=np.uint8)

    assert count_ids(ids, 3).tolist() == [[1, 2, 0, 1], [1, 0, 3, 0]]


def test_pictures_stay_as_they_are() -> None:
    """The mean colours of some pictures are those of the day the models were trained."""
    images = draw(list(GOLDEN_MEANS)).images

    means = images.mean(axis=(1, 2))

    np.testing.assert_allclose(means, list(GOLDEN_MEANS.values()), rtol=0.0, atol=2.0)
