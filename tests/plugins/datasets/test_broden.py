"""Data sets in the format of Broden, from small folders that the tests write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from le_bench.errors import BenchError, MissingFileError, UnreadableFileError
from le_bench.fingerprint import fingerprint
from le_bench.planning.options import Faults, Surroundings, make_component
from le_bench_plugins.datasets.broden.plugin import BrodenDataset
from le_bench_plugins.datasets.broden.tables import clean_name

# number, name, and for each category the coverage in units of whole images
LABELS: list[tuple[int, str, dict[str, float]]] = [
    (1, "blue-c", {"color": 40.0}),
    (2, "red-c", {"color": 12.0}),
    (3, "tree", {"object": 20.0}),
    (300, "glass", {"object": 1.5, "material": 9.0}),
    (301, "pane", {"object": 2.0, "part": 2.0}),
    (302, "wheel", {"part": 3.0}),
    (303, "art_gallery-indoor-s", {"scene": 4.0}),
    (304, "street-s", {"scene": 5.0}),
    (305, "polka-dotted", {"texture": 2.0}),
]
CATEGORIES = ["color", "object", "part", "material", "scene", "texture"]
SIZE = (6, 8)


def write_csv(path: Path, header: str, rows: list[str]) -> None:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def write_map(path: Path, numbers: np.ndarray) -> None:
    """A label map as a PNG file: number = red + 256 * green."""
    pixels = np.stack([numbers % 256, numbers // 256, np.full_like(numbers, 9)], -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def label_map(row: int, layer: int) -> np.ndarray:
    """Blocks of labels that depend on the row; some pixels have none."""
    random = np.random.default_rng(100 * row + layer)
    numbers = [0, *(number for number, _, covered in LABELS if "scene" not in covered)]
    return random.choice(numbers, SIZE)


def write_broden(folder: Path, num_images: int = 12) -> Path:
    """A folder of images at twice the size of their label maps.

    Every image has a colour map. Objects are mapped in even rows, parts in two layers in every
    third, materials in row 1. The scene is a number: 304, or two at once, or the 0 of dirty rows.
    Row 5 has no label but its colours.
    """
    rows = []
    for row in range(num_images):
        image = np.random.default_rng(row).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        (folder / "images" / "ade").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / "images" / f"ade/{row}.jpg")
        cells = {"color": [f"ade/{row}_color.png"]}
        if row != 5:
            cells["object"] = [f"ade/{row}_object.png"] if row % 2 == 0 else []
            cells["part"] = [f"ade/{row}_part_{i}.png" for i in (1, 2)] if row % 3 == 0 else []
            cells["material"] = ["ade/1_material.png"] if row == 1 else []
            cells["scene"] = [["304"], ["303", "304"], ["0"]][row % 3]
            cells["texture"] = ["305"] if row == 7 else []
        maps = [item for category in CATEGORIES for item in cells.get(category, []) if "." in item]
        for layer, file in enumerate(maps):
            write_map(folder / "images" / file, label_map(row, layer))
        columns = ",".join(";".join(cells.get(category, [])) for category in CATEGORIES)
        rows.append(f"ade/{row}.jpg,train,12,16,{SIZE[0]},{SIZE[1]},{columns}")
    write_csv(folder / "index.csv", f"image,split,ih,iw,sh,sw,{','.join(CATEGORIES)}", rows)
    write_csv(folder / "category.csv", "name,first,last", [f"{name},1,9" for name in CATEGORIES])
    write_csv(
        folder / "label.csv",
        "number,name,category,frequency,coverage,syns",
        [
            f"{number},{name},{';'.join(f'{c}(3)' for c in covered)},3,1.0,"
            for number, name, covered in LABELS
        ],
    )
    for category in CATEGORIES:
        known = [(n, name, covered[category]) for n, name, covered in LABELS if category in covered]
        write_csv(
            folder / f"c_{category}.csv",
            "code,number,name,frequency,coverage",
            [f"{code},{n},{name},3,{share}" for code, (n, name, share) in enumerate(known, 1)],
        )
    return folder


@pytest.fixture
def broden(tmp_path: Path) -> Path:
    return write_broden(tmp_path / "broden1_12")


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


def edit(file: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


def remove(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


@pytest.mark.parametrize(
    ("harm", "file", "message"),
    [
        (
            edit("index.csv", "sh,sw", "h,w"),
            "index.csv",
            "column 'sh' and 'sw' missing; the first ",
        ),
        (
            edit("index.csv", "ade/2.jpg,train,12,16,6", "ade/2.jpg,train,12,16,x"),
            "index.csv",
            "line 4: sh is 'x', not a whole number up to 2147483648; line 4: label maps of 0 x 8: "
            "all must be of one size",
        ),
        (
            edit("index.csv", "ade/2.jpg,train,12,16,6", "ade/2.jpg,train,12,16,7"),
            "index.csv",
            "line 4: label maps of 7 x 8: all must be of one size",
        ),
        (
            edit("index.csv", ";304,", ";999,"),
            "index.csv",
            "line 3: label.csv has no label 999",
        ),
        (
            edit("index.csv", "ade/0.jpg,train", "../secret.jpg,train"),
            "index.csv",
            "line 2: there is no file 'images/../secret.jpg'",
        ),
        (
            edit("index.csv", "0.jpg,train,12", "0.jpg,12"),
            "index.csv",
            "line 2: the number of cells",
        ),
        (
            edit("label.csv", "3,tree", "2,tree"),
            "label.csv",
            "line 4: label 2 comes twice",
        ),
        (
            edit("label.csv", "3,tree", "3.5,tree"),
            "label.csv",
            "line 4: number is '3.5', not a whole",
        ),
        (
            edit("label.csv", "3,tree", "70000,tree"),
            "label.csv",
            "line 4: number is '70000', not a",
        ),
        (edit("label.csv", ",tree,", ", ,"), "label.csv", "line 4: label 3 has no name"),
        (
            edit("c_part.csv", "wheel,3,3.0", "wheel,3,much"),
            "c_part.csv",
            "line 3: coverage is 'much', not a number from 0",
        ),
        (
            edit("c_part.csv", "2,302", "2,402"),
            "c_part.csv",
            "line 3: label.csv has no label 402",
        ),
        (
            edit("category.csv", "object", "color"),
            "category.csv",
            "line 2: category 'color' has no name or comes twice; line 3: category 'color'",
        ),
        (
            remove("images/ade/4_object.png"),
            "index.csv",
            "line 6: there is no file 'images/ade/4_object.png'",
        ),
        (
            remove("c_scene.csv"),
            "c_scene.csv",
            "no such file; a Broden folder has index.csv, label",
        ),
    ],
)
def test_malformed_folders_are_refused(
    broden: Path, harm: Callable[[Path], None], file: str, message: str
) -> None:
    """With the file, the line and what is wrong there."""
    harm(broden)

    with pytest.raises(BenchError) as caught:
        BrodenDataset(broden).load()

    assert str(caught.value).startswith(f"{broden / file}: {message}")


def test_half_a_folder_is_refused_as_a_whole(broden: Path) -> None:
    """The first missing files are listed, the others counted."""
    for path in (broden / "images").rglob("*_color.png"):
        path.unlink()

    with pytest.raises(UnreadableFileError) as caught:
        BrodenDataset(broden).load()

    assert str(caught.value) == (
        f"{broden / 'index.csv'}: "
        + "; ".join(
            f"line {row + 2}: there is no file 'images/ade/{row}_color.png'" for row in range(5)
        )
        + "; and 7 more"
    )


def test_missing_folders_are_said(tmp_path: Path, broden: Path) -> None:
    """The folder itself, or its images."""
    with pytest.raises(MissingFileError, match=r"nowhere: no such folder; check the path"):
        BrodenDataset(tmp_path / "nowhere").load()
    (broden / "images").rename(broden / "pictures")
    with pytest.raises(MissingFileError, match=r"images: no such folder; a Broden folder has its"):
        BrodenDataset(broden).load()


def test_an_unknown_category_has_near_misses(broden: Path) -> None:
    """Categories are those of category.csv."""
    with pytest.raises(BenchError) as caught:
        BrodenDataset(broden, categories=("colour",)).load()

    assert str(caught.value) == (
        f"{broden / 'category.csv'}: `categories` has an unknown category 'colour'; "
        "did you mean 'color'?"
    )


def of_another_size(path: Path) -> None:
    write_map(path, np.ones((3, 3), np.int64))


def of_unknown_labels(path: Path) -> None:
    write_map(path, np.full(SIZE, 777))


def grey(path: Path) -> None:
    Image.fromarray(np.ones(SIZE, np.uint8)).save(path)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (of_another_size, "this label map has 3 x 3 pixels, but index.csv says 6 x 8"),
        (of_unknown_labels, "label.csv has no label 777"),
        (grey, "its pixels are L, not red, green and blue"),
        (cut_off, "cannot read "),
    ],
)
def test_damaged_label_maps_are_named(
    broden: Path, harm: Callable[[Path], None], message: str
) -> None:
    """When they are read, with the file."""
    path = broden / "images" / "ade" / "4_object.png"
    harm(path)

    with pytest.raises(UnreadableFileError) as caught:
        BrodenDataset(broden).load()

    assert str(path) in str(caught.value)
    assert message in str(caught.value)


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
