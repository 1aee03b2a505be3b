"""Damaged, incomplete and unclear parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from le_bench.errors import MissingFileError, UnreadableFileError
from le_bench_plugins.datasets.parquet import tables
from le_bench_plugins.datasets.parquet.plugin import ParquetDataset

from .parquet_tables import message, metadata, picture, write


def damaged(tmp_path: Path) -> Path:
    """Ten images, one cut off and one that is only a path."""
    files: list[bytes | None] = [picture(shade) for shade in range(12)]
    files[3], files[8] = picture(3)[:40], None
    return write(tmp_path / "a.parquet", range(12), files=files)


def test_damaged_images_are_named(tmp_path: Path) -> None:
    """By file and row."""
    path = damaged(tmp_path)
    images = ParquetDataset(path).load().images

    with pytest.raises(UnreadableFileError) as caught:
        images.read(range(12))

    assert str(caught.value).startswith(f"cannot read {path}, row 3 (")
    assert str(caught.value).endswith(
        f"; {path}, row 8 (no bytes of an image, only the path '8.png'); replace or remove what is "
        "damaged, or leave it out with `skip_unreadable = true`"
    )


def test_damaged_images_are_left_out_by_consent(tmp_path: Path) -> None:
    """They are named, and labels and splits are those of the images that stay."""
    path = damaged(tmp_path)

    dataset = ParquetDataset(path, skip_unreadable=True).load()

    assert dataset.unreadable == (f"{path}, row 3", f"{path}, row 8")
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [row % 3 for row in range(12) if row not in (3, 8)]
    read = dataset.images.read(range(10))
    assert [int(pixels[0, 0, 0]) for pixels in read] == [0, 1, 2, 4, 5, 6, 7, 9, 10, 11]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            ["train-00000-of-00003", "train-00002-of-00003"],
            "1 of 3 parts of train-00000-of-00003.parquet are missing, the first: number 1; "
            "complete the data set",
        ),
        (
            ["train-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002"],
            "the parts of train-00000-of-00001.parquet are those of several writings, or there "
            "twice; keep those of one writing",
        ),
        (
            ["0000", "0002"],
            "1 of 3 parts of 0000.parquet are missing, the first: number 1; complete the data set",
        ),
    ],
)
def test_incomplete_splits_are_refused(tmp_path: Path, files: list[str], said: str) -> None:
    """Half of a data set is no data set."""
    for name in files:
        write(tmp_path / f"{name}.parquet", range(10))

    assert message(ParquetDataset(tmp_path)) == f"{tmp_path}: {said}"


def test_one_part_by_itself_is_refused(tmp_path: Path) -> None:
    """A file whose name says that there are others."""
    path = write(tmp_path / "train-00000-of-00003.parquet", range(10))

    assert message(ParquetDataset(path)) == (
        f"{path}: this is one of 3 parts; give their folder as `path`"
    )


def test_the_split_must_be_clear(tmp_path: Path) -> None:
    """None of several, an unknown one, one that is there twice."""
    for name in ("a/train", "b/train", "b/test"):
        write(tmp_path / f"{name}-00000-of-00001.parquet", range(10))

    several = message(ParquetDataset(tmp_path))
    unknown = message(ParquetDataset(tmp_path, split="b/tain"))
    twice = message(ParquetDataset(tmp_path, split="train"))

    assert several == (
        f"{tmp_path}: has several splits: a/train, b/test, b/train; choose one as `split`"
    )
    assert unknown == (f"{tmp_path}: unknown split 'b/tain'; did you mean 'b/train' or 'a/train'?")
    assert twice == (
        f"{tmp_path}: split 'train' is there 2 times: a/train, b/train; give one of these as "
        "`split`"
    )


def test_a_folder_without_tables(tmp_path: Path) -> None:
    """Nothing to read is a missing file."""
    with pytest.raises(MissingFileError) as caught:
        ParquetDataset(tmp_path).load()

    assert str(caught.value) == f"{tmp_path}: no .parquet file in it; check the path"


@pytest.mark.parametrize("content", [b"", b"PAR1 this is no parquet file PAR1", b"\0" * 400])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    """A damaged file is named before anything is computed."""
    path = tmp_path / "a.parquet"
    path.write_bytes(content)

    with pytest.raises(UnreadableFileError) as caught:
        ParquetDataset(path).load()

    assert str(caught.value).startswith(f"{path}: this is no whole parquet file (")
    assert str(caught.value).endswith("); fetch or write it again")


def test_a_damaged_row_group_is_named_by_its_images(tmp_path: Path) -> None:
    """The footer may be whole and what stands before it not."""
    path = write(tmp_path / "a.parquet", range(10))
    content = bytearray(path.read_bytes())
    content[4:60] = b"\xff" * 56
    path.write_bytes(content)
    dataset = ParquetDataset(path).load()

    with pytest.raises(UnreadableFileError) as caught:
        dataset.images.read([0])

    assert str(caught.value).startswith(f"cannot read {path}, row 0 (row group 0 is damaged: ")


def test_near_misses_of_columns(tmp_path: Path) -> None:
    """An unknown column is named with those that are like it."""
    path = write(tmp_path / "a.parquet", range(10))

    assert message(ParquetDataset(path, image="imag")) == (
        f"{path}: unknown column 'imag'; did you mean 'image'?; name it as `image`"
    )
    assert message(ParquetDataset(path, label="labels")) == (
        f"{path}: unknown column 'labels'; did you mean 'label'?; name it as `label`"
    )


def test_columns_of_the_wrong_kind(tmp_path: Path) -> None:
    """Numbers are no images, and images no labels."""
    path = write(tmp_path / "a.parquet", range(10))
    struct = tmp_path / "b.parquet"
    parquet.write_table(pa.table({"image": [{"path": "x"}] * 10, "label": [0] * 10}), struct)

    assert message(ParquetDataset(path, image="label", label="")) == (
        f"{path}: column 'label' holds int64, not the bytes of image files; write it with "
        "`datasets.Dataset.to_parquet`, or name another column as `image`"
    )
    assert message(ParquetDataset(struct)) == (
        f"{struct}: column 'image' has path instead of the bytes of image files; write it with "
        "`datasets.Dataset.to_parquet`, or name another column as `image`"
    )
    assert message(ParquetDataset(path, label="image")) == (
        f"{path}: column 'image' holds struct<bytes: binary, path: string>, not a class's number "
        'or name; name another column as `label`, or give `label = ""` for images without labels'
    )


@pytest.mark.parametrize(
    ("labels", "about", "said"),
    [
        (
            pa.array([0] * 9 + [-1]),
            None,
            "column 'label' has labels from -1 to 0, but 3 classes are named, counted from 0 (-1 "
            'means no label: choose a split that has labels, or give `label = ""`)',
        ),
        (
            pa.array([0] * 8 + [None] * 2),
            None,
            "column 'label' is empty in 2 rows; label them or leave them out",
        ),
        (
            None,
            {"huggingface": "{"},
            "its metadata of Hugging Face cannot be read (Expecting property name enclosed in "
            "double quotes: line 1 column 2 (char 1)); write the file anew",
        ),
    ],
)
def test_faulty_labels_are_refused(
    tmp_path: Path, labels: Any, about: dict[str, str] | None, said: str
) -> None:
    """With the file and what is wrong."""
    path = write(tmp_path / "a.parquet", range(10), labels=labels, about=about)

    assert message(ParquetDataset(path)) == f"{path}: {said}"


def test_parts_that_name_other_classes(tmp_path: Path) -> None:
    """Numbers would mean something else in each file."""
    first = write(tmp_path / "a-00000-of-00002.parquet", range(10))
    other = metadata(["dog", "cat", "ship"])
    second = write(tmp_path / "a-00001-of-00002.parquet", range(10), about=other)

    assert message(ParquetDataset(tmp_path)) == (
        f"{second}: names other classes than {first}; keep the parts of one writing"
    )


def test_the_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One message with the extra to install."""
    path = write(tmp_path / "a.parquet", range(10))
    monkeypatch.setattr(tables.importlib.util, "find_spec", lambda _name: None)

    assert message(ParquetDataset(path)) == (
        "parquet files are read by the package pyarrow, which is not installed; install it with "
        "`pip install 'le-bench[datasets]'`"
    )
