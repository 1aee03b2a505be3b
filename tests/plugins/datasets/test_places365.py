"""Places365's validation images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from le_bench.errors import BenchError, MissingFileError, UnreadableFileError
from le_bench_plugins.datasets.places365 import Places365Dataset

from .layouts import write_jpeg


@pytest.fixture
def source(tmp_path: Path) -> Places365Dataset:
    """One image for each class; names of one, two and three parts."""
    names = [f"/p/place_{number}" for number in range(365)]
    names[0], names[364] = "/a/airfield", "/a/apartment_building/outdoor"
    lines = [f"{name} {number}\n" for number, name in enumerate(names)]
    (tmp_path / "categories.txt").write_text("".join(reversed(lines)))
    listed = []
    for number in range(365):
        name = f"Places365_val_{number + 1:08d}.jpg"
        write_jpeg(tmp_path / "val_256" / name, number, side=8)
        listed.append(f"{name} {(number * 7) % 365}\n")
    (tmp_path / "places365_val.txt").write_text("".join(listed))
    return Places365Dataset(
        tmp_path / "val_256",
        tmp_path / "places365_val.txt",
        tmp_path / "categories.txt",
        per_class=1,
    )


def test_images_in_the_order_of_the_list(source: Places365Dataset) -> None:
    """Labels from the list, names in plain words, no superclasses."""
    dataset = source.load()

    assert dataset.labels is not None
    assert dataset.labels.tolist() == [(number * 7) % 365 for number in range(365)]
    assert dataset.classes[0] == "airfield"
    assert dataset.classes[364] == "apartment building, outdoor"
    assert dataset.vocabulary == dataset.classes
    assert len(dataset.images) == 365


def test_an_image_too_few(source: Places365Dataset) -> None:
    """A file of the list that is not there."""
    (source.folder / "Places365_val_00000003.jpg").unlink()

    with pytest.raises(BenchError) as caught:
        source.load()

    assert str(caught.value) == (
        f"{source.folder}: 364 images, but {source.labels} lists 365: 1 are not there, such as "
        "Places365_val_00000003.jpg; complete the data set, and move away what is not of it"
    )


def test_the_folder_above_the_images(source: Places365Dataset) -> None:
    """The archive makes a folder itself, so images lie one level deeper than one may think."""
    above = replace(source, folder=source.folder.parent)

    with pytest.raises(BenchError) as caught:
        above.load()

    assert str(caught.value) == (
        f"{above.folder}: the images that {source.labels} lists are not in this folder but in "
        f"{source.folder}; give that one with --set dataset.folder={source.folder}"
    )


def test_an_image_too_many(source: Places365Dataset) -> None:
    """A file that is in no line of the list."""
    write_jpeg(source.folder / "holiday.jpg", 0, side=8)

    with pytest.raises(BenchError) as caught:
        source.load()

    assert str(caught.value) == (
        f"{source.folder}: 366 images, but {source.labels} lists 365: 1 are not in the list, such "
        "as holiday.jpg; complete the data set, and move away what is not of it"
    )


def test_lists_as_editors_leave_them(source: Places365Dataset) -> None:
    """A byte order mark, wide spaces and empty lines change nothing."""
    whole = source.load()
    text = source.labels.read_text().replace(" ", "  ")
    source.labels.write_text(f"\ufeff{text}\n", encoding="utf-8")

    edited = source.load()

    assert whole.labels is not None
    assert edited.labels is not None
    assert edited.labels.tolist() == whole.labels.tolist()


def test_the_usual_number_of_images_is_expected(source: Places365Dataset) -> None:
    """Without `per_class` it is 36,500."""
    usual = Places365Dataset(source.folder, source.labels, source.categories)

    with pytest.raises(BenchError, match=r"must have 100 \(36,500 in all\)"):
        usual.load()


def test_lists_that_are_wrong_or_missing(source: Places365Dataset) -> None:
    """With their lines, and where they come from."""
    where = (
        "comes with filelist_places365-standard.tar of http://places2.csail.mit.edu/download.html"
    )
    source.labels.write_text("a.jpg 0\nb.jpg\n")
    with pytest.raises(UnreadableFileError) as malformed:
        source.load()
    source.labels.write_text("a.jpg 0\na.jpg 400\n")
    with pytest.raises(UnreadableFileError) as unknown:
        source.load()
    source.categories.write_text("/a/airfield 0\n")
    with pytest.raises(UnreadableFileError) as few:
        source.load()
    source.categories.unlink()
    with pytest.raises(MissingFileError) as missing:
        source.load()

    labels, categories = source.labels, source.categories
    assert str(malformed.value) == (
        f"{labels}, line 2: 'b.jpg' is not a name and a number; places365_val.txt {where}"
    )
    assert str(unknown.value) == (
        f"{labels}: has files twice or numbers that are no class, such as 400; places365_val.txt "
        f"{where}"
    )
    assert str(few.value) == (
        f"{categories}: does not number 365 classes from 0 to 364; categories_places365.txt {where}"
    )
    assert str(missing.value) == f"{categories}: no such file; categories_places365.txt {where}"
