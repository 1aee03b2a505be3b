"""Splits: stable for ever, complete, and read from the authors' kinds of file."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from le_bench.errors import BenchError, MissingFileError, UnreadableFileError
from le_bench.probing.splits import chosen_splits, read_rows, seeded_splits


def test_split_of_twenty_images_never_changes() -> None:
    """The very rows of seed 0 and 1, written down; results on boards depend on them."""
    first, second = seeded_splits(20, 0), seeded_splits(20, 1)

    assert first["val"].tolist() == [0, 16]
    assert first["test"].tolist() == [1, 5, 11, 13]
    assert second["val"].tolist() == [1, 19]
    assert second["test"].tolist() == [13, 14, 15, 18]


@given(num_images=st.integers(10, 500), seed=st.integers(0, 2**40))
def test_splits_are_a_partition_into_tenths(num_images: int, seed: int) -> None:
    """Every row is in one split; sizes are cut at 7/10 and 8/10, rounded down."""
    splits = seeded_splits(num_images, seed)

    rows = torch.cat(list(splits.values()))
    assert sorted(rows.tolist()) == list(range(num_images))
    assert list(splits) == ["train", "val", "test"]
    ends = [0, num_images * 7 // 10, num_images * 8 // 10, num_images]
    assert [len(split) for split in splits.values()] == np.diff(ends).tolist()
    assert all(torch.equal(split, split.sort().values) for split in splits.values())


def test_seed_decides() -> None:
    """The same seed gives the same rows, another seed others."""
    same, again, other = seeded_splits(100, 3), seeded_splits(100, 3), seeded_splits(100, 4)

    assert all(torch.equal(same[split], again[split]) for split in same)
    assert not torch.equal(same["test"], other["test"])


@pytest.mark.parametrize("num_images", [0, 1, 2, 3, 6])
def test_too_few_images_are_refused(num_images: int) -> None:
    """No split may be empty."""
    with pytest.raises(BenchError, match=rf"^{num_images} images are too few to split: no image"):
        seeded_splits(num_images)


def write_ids(folder: Path) -> dict[str, Path]:
    """Files of row numbers in the three formats."""
    np.save(folder / "train.npy", np.array([5, 0, 2]))
    (folder / "val.txt").write_text("1\n")
    torch.save(torch.tensor([4, 3]), folder / "test.pt")
    return {
        "train": folder / "train.npy",
        "val": folder / "val.txt",
        "test": folder / "test.pt",
    }


def test_files_of_row_numbers_decide(tmp_path: Path) -> None:
    """Rows of .npy, .txt and .pt files, sorted; not every image must be used."""
    splits = chosen_splits(write_ids(tmp_path), 7, seed=0)

    assert {name: rows.tolist() for name, rows in splits.items()} == {
        "train": [0, 2, 5],
        "val": [1],
        "test": [3, 4],
    }


def test_without_files_the_seed_decides() -> None:
    """No files are no error."""
    splits = chosen_splits({"train": None, "val": None, "test": None}, 30, seed=2)

    assert torch.equal(splits["test"], seeded_splits(30, 2)["test"])


def test_some_files_are_not_enough(tmp_path: Path) -> None:
    """The missing options are named."""
    files = {**write_ids(tmp_path), "val": None, "test": None}

    with pytest.raises(BenchError) as caught:
        chosen_splits(files, 7, seed=0)

    assert str(caught.value) == (
        "`val_ids` and `test_ids` missing: give files of row numbers for all splits or for none"
    )


def test_row_beyond_the_images_is_named(tmp_path: Path) -> None:
    """A row number of another dataset is refused."""
    files = write_ids(tmp_path)

    with pytest.raises(BenchError) as caught:
        chosen_splits(files, 5, seed=0)

    assert str(caught.value) == (
        f"{files['train']}: row 5 is not one of the 5 images; rows count from 0"
    )


def test_row_in_two_splits_is_named(tmp_path: Path) -> None:
    """Test images must not be seen in training."""
    files = write_ids(tmp_path)
    (tmp_path / "val.txt").write_text("1\n2\n")

    with pytest.raises(BenchError) as caught:
        chosen_splits(files, 7, seed=0)

    assert str(caught.value) == (
        f"{files['val']}: row 2 is already in {files['train']}; each image belongs to one split "
        "once"
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ids.txt", b"1\ntwo\n"),
        ("ids.txt", b"1\n" + b"9" * 30),
        ("ids.txt", b""),
        ("ids.txt", b"\xff\xfe"),
        ("ids.npy", b"not numpy"),
        ("ids.npy", b""),
        ("ids.pt", b"not torch"),
    ],
)
def test_other_files_are_no_row_numbers(tmp_path: Path, name: str, content: bytes) -> None:
    """A file of anything else is named."""
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(UnreadableFileError, match=f"^{path}: this is no "):
        read_rows(path)


@pytest.mark.parametrize("array", [np.array([0.5, 1.0]), np.zeros((2, 2), int), np.array(3)])
def test_row_numbers_are_one_line_of_integers(tmp_path: Path, array: np.ndarray) -> None:
    """Fractions and tables are refused."""
    path = tmp_path / "ids.npy"
    np.save(path, array)

    with pytest.raises(UnreadableFileError) as caught:
        read_rows(path)

    assert str(caught.value) == (
        f"{path}: this is no list of row numbers; give a .txt file with one number a line, or a "
        ".npy or .pt file of a one-dimensional integer array"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (torch.arange(3).bfloat16(), "this is no list of row numbers"),
        (torch.arange(3.0, requires_grad=True), "this is no list of row numbers"),
        (
            argparse.Namespace(rows=[1]),
            "this is no file of tensors alone (it holds argparse.Namespace)",
        ),
    ],
)
def test_other_things_in_torch_files(tmp_path: Path, content: object, said: str) -> None:
    """Each is refused with what a file of row numbers is."""
    path = tmp_path / "ids.pt"
    torch.save(content, path)

    with pytest.raises(UnreadableFileError) as caught:
        read_rows(path)

    assert str(caught.value) == (
        f"{path}: {said}; give a .txt file with one number a line, or a .npy or .pt file of a "
        "one-dimensional integer array"
    )


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A wrong path is reported as such."""
    with pytest.raises(MissingFileError) as caught:
        read_rows(tmp_path / "ids.txt")

    assert str(caught.value) == f"{tmp_path / 'ids.txt'}: no such file; check the path"
