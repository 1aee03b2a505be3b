"""Data sets in the format of Broden, from small folders that the tests write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from le_bench.fingerprint import fingerprint
from le_bench.planning.options import Faults, Surroundings, make_component
from le_bench_plugins.datasets.broden.plugin import BrodenDataset
from le_bench_plugins.datasets.broden.tables import clean_name

from .broden_folder import LABELS, SIZE, label_map, write_map


def test_labels_belong_where_they_cover_most(broden: Path) -> None:
    """Concepts by category, clean names; of equal coverages the later category counts."""
    dataset = BrodenDataset(broden).load()

    assert dataset.masks is not None
    assert dataset.masks.categories == {
        "color": ("blue color", "red color"),
        "object": ("tree",),
        "part": ("pane", "wheel"),
        "material": ("glass",),
        "scene": ("art gallery, indoor", "street"),
        "texture": ("polka, dotted",),
    }
    assert dataset.masks.size == SIZE
    assert dataset.name == "broden1_12"
    assert len(dataset.images) == 12
    assert dataset.images.read([3])[0].shape == (12, 16, 3)
    assert dataset.labels is None


def test_pixels_bear_the_labels_of_the_files(broden: Path) -> None:
    """Numbers above 255, several layers, whole-image labels without the number 0."""
    dataset = BrodenDataset(broden).load()
    assert dataset.masks is not None
    concepts = ["", *(c for members in dataset.masks.categories.values() for c in members)]
    names = {n: clean_name(name, max(c, key=lambda k: c[k])) for n, name, c in LABELS} | {0: ""}

    labels = dataset.masks.read([6, 1, 5])

    assert labels.layers.shape == (3, 4, *SIZE)
    for place, (row, depth) in enumerate([(6, 4), (1, 2), (5, 1)]):
        for layer in range(depth):
            expected = np.vectorize(names.get)(label_map(row, layer))
            found = np.array(concepts)[labels.layers[place, layer]]
            np.testing.assert_array_equal(found, expected)
        assert not labels.layers[place, depth:].any()
    whole = [[concepts[label] for label in row if label] for row in labels.whole]
    assert whole == [["street"], ["art gallery, indoor", "street"], []]
    assert dataset.masks.read([2]).whole.shape == (1, 0)  # its scene is 0


def test_presence_says_which_labels_occur(broden: Path) -> None:
    """One column a concept, 1 where any pixel or the whole image bears it."""
    dataset = BrodenDataset(broden).load()
    assert dataset.masks is not None
    assert dataset.concept_presence is not None

    for row in range(12):
        labels = dataset.masks.read([row])
        present = {int(label) for label in [*labels.layers.flat, *labels.whole.flat]} - {0}
        found = dataset.concept_presence.values[row].nonzero().flatten() + 1
        assert set(found.tolist()) == present
    assert dataset.concept_presence.concepts == dataset.vocabulary
    assert BrodenDataset(broden, presence=False).load().concept_presence is None


def test_fewer_categories_are_as_if_there_were_no_others(broden: Path) -> None:
    """Without "material" glass is an object, as with NetDissect-Lite's own settings."""
    some = ("object", "part", "scene", "texture", "color")

    dataset = BrodenDataset(broden, categories=some).load()

    assert dataset.masks is not None
    assert list(dataset.masks.categories) == ["color", "object", "part", "scene", "texture"]
    assert dataset.masks.categories["object"] == ("tree", "glass")
    assert dataset.masks.read([1]).layers.shape[1] == 1  # its material map is not read
    only = BrodenDataset(broden, categories=("color",)).load().masks
    assert only is not None
    assert set(np.unique(only.read([6]).layers)) <= {0, 1, 2}


def test_the_content_of_every_file_is_in_the_key(broden: Path) -> None:
    """A changed pixel of one label map makes another data set."""
    before = fingerprint(BrodenDataset(broden), {})

    write_map(broden / "images" / "ade" / "3_color.png", label_map(99, 0))

    assert fingerprint(BrodenDataset(broden), {}) != before


def test_options_come_from_an_experiment(broden: Path) -> None:
    """As a table of an experiment file."""
    faults = Faults()
    table = {"folder": "broden1_12", "categories": ["color", "scene"], "presence": False}

    component = make_component(
        BrodenDataset, table, "dataset", Surroundings(broden.parent, {}, {}), faults
    )

    assert faults.messages == []
    assert component == BrodenDataset(broden, ("color", "scene"), presence=False)


@pytest.mark.parametrize(
    ("name", "category", "clean"),
    [
        ("blue-c", "color", "blue color"),
        ("x_ray-indoor-s", "scene", "x ray, indoor"),
        ("tile-shaped", "texture", "tile, shaped"),
        ("semi-circle", "object", "semi, circle"),
        ("horse-drawn carriage", "object", "horse, drawn carriage"),
        ("bus-s", "object", "bus, s"),
    ],
)
def test_names_are_cleaned_at_their_ends(name: str, category: str, clean: str) -> None:
    """ "-s" and "-c" within a word stay, unlike in a plain text replacement."""
    assert clean_name(name, category) == clean
