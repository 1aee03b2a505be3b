"""Malformed, incomplete and damaged folders in the format of Broden."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from le_bench.errors import BenchError, MissingFileError, UnreadableFileError
from le_bench_plugins.datasets.broden.plugin import BrodenDataset

from .broden_folder import SIZE, write_map


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
            edit("index.csv", "ade/2.jpg,train", "ade/0.jpg,train"),
            "index.csv",
            "line 4: 'ade/0.jpg' is listed before, in line 2",
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


def test_half_an_index_is_refused(broden: Path) -> None:
    """Images that are in no row; label maps of categories that are not read are in one."""
    path = broden / "index.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:9]))

    with pytest.raises(BenchError) as caught:
        BrodenDataset(broden, ("color",)).load()

    assert str(caught.value) == (
        f"{path}: lists 8 images, and 4 files that are there are in no line, the first: "
        "'images/ade/10.jpg'; complete the index or move them away"
    )


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
