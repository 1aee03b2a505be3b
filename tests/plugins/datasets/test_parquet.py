"""Probe datasets in parquet files, as Hugging Face's library writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from le_bench.fingerprint import fingerprint
from le_bench_plugins.datasets.parquet import images as parquet_images
from le_bench_plugins.datasets.parquet.plugin import ParquetDataset

from .parquet_tables import NAMES, message, picture, shades, write


def test_a_file_with_names_of_classes(tmp_path: Path) -> None:
    """Labels are numbers, their names stand in the metadata, images come from several groups."""
    dataset = ParquetDataset(
        write(tmp_path / "photos.parquet", range(20)), superclasses={"animal": ("cat", "dog")}
    ).load()

    read = dataset.images.read([19, 0, 7])
    assert dataset.name == "photos"
    assert dataset.classes == ("cat", "dog", "ship")
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [row % 3 for row in range(20)]
    assert [int(pixels[0, 0, 0]) for pixels in read] == [19, 0, 7]
    assert read[0].shape == (3, 4, 3)
    assert dataset.vocabulary == ("cat", "dog", "ship", "animal")
    assert [len(dataset.splits[split]) for split in ("train", "val", "test")] == [14, 2, 4]


def test_what_the_library_of_hugging_face_writes_and_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images, labels and names are those that the library itself gives for its own file."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)}
    )
    rows = {
        "image": [{"bytes": picture(shade), "path": None} for shade in range(0, 200, 10)],
        "label": [shade % 3 for shade in range(20)],
    }
    path = tmp_path / "train-00000-of-00001.parquet"
    written = datasets.Dataset.from_dict(rows, features=features)
    written.to_parquet(path)

    dataset = ParquetDataset(tmp_path, split="train").load()

    assert dataset.classes == tuple(written.features["label"].names)
    assert dataset.labels is not None
    assert dataset.labels.tolist() == written["label"][:]
    for own, other in zip(dataset.images.read(range(20)), written["image"], strict=True):
        assert np.array_equal(own, np.asarray(other.convert("RGB")))


def test_splits_and_parts_of_a_folder(tmp_path: Path) -> None:
    """Parts come in the order of their numbers; other splits stay out."""
    for number in (1, 0, 2):
        path = tmp_path / "data" / f"train-0000{number}-of-00003-0123456789abcdef.parquet"
        write(path, range(10 * number, 10 * number + 4))
    write(tmp_path / "data" / "test-00000-of-00001.parquet", range(90, 100))
    write(tmp_path / ".cache" / "train.parquet", [99] * 10)

    source = ParquetDataset(tmp_path, split="train")

    assert shades(source) == [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]
    assert shades(ParquetDataset(tmp_path, split="data/test")) == list(range(90, 100))


def test_tables_as_hugging_face_converts_them(tmp_path: Path) -> None:
    """A folder for each split, in which files have numbers alone."""
    write(tmp_path / "plain_text" / "test" / "0000.parquet", range(5))
    write(tmp_path / "plain_text" / "test" / "0001.parquet", range(5, 10))
    write(tmp_path / "plain_text" / "train" / "0000.parquet", range(50, 60))

    assert shades(ParquetDataset(tmp_path, split="test")) == list(range(10))


def test_numbers_without_names_need_classes(tmp_path: Path) -> None:
    """Classes are named in the experiment if the file does not."""
    path = write(tmp_path / "a.parquet", range(10), about={})

    dataset = ParquetDataset(path, classes=("one", "two", "three")).load()

    assert dataset.classes == ("one", "two", "three")
    assert message(ParquetDataset(path)) == (
        f"{path}: column 'label' has numbers, and nothing in the file names their classes; give "
        "the names in their order as `classes`"
    )


def test_labels_that_are_names(tmp_path: Path) -> None:
    """Classes are sorted by name, and spaces around names make no class of their own."""
    names = pa.array(["dog", "cat", " dog", "cat ", "dog"] * 2)
    dataset = ParquetDataset(
        write(tmp_path / "a.parquet", range(10), labels=names, about={})
    ).load()

    assert dataset.classes == ("cat", "dog")
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [1, 0, 1, 0, 1] * 2


def test_images_without_labels(tmp_path: Path) -> None:
    """Bytes alone are images too."""
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"picture": [picture(shade) for shade in range(10)]}), path)

    dataset = ParquetDataset(path, image="picture", label="").load()

    assert dataset.labels is None
    assert [int(pixels[0, 0, 0]) for pixels in dataset.images.read([4, 2])] == [4, 2]


def test_few_row_groups_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the latest group no more than the bound is kept, and rows stay right."""
    monkeypatch.setattr(parquet_images, "KEPT_BYTES", 1)
    images = ParquetDataset(write(tmp_path / "a.parquet", range(20), group=2)).load().images

    read = [int(images.read([row])[0][0, 0, 0]) for row in (0, 19, 1, 18, 0)]

    assert read == [0, 19, 1, 18, 0]
    assert len(images.groups._kept) <= 2  # type: ignore[attr-defined]


def test_a_changed_file_changes_the_key(tmp_path: Path) -> None:
    """Content counts, not the name of the file."""
    first, same, other = (
        fingerprint(ParquetDataset(write(tmp_path / f"{name}.parquet", values)), {})
        for name, values in (("a", range(10)), ("b", range(10)), ("c", range(1, 11)))
    )

    assert first == same
    assert first != other
