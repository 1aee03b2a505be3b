"""Probe datasets in numpy archives."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from le_bench.errors import BenchError, MissingFileError, UnreadableFileError
from le_bench.probing.splits import seeded_splits
from le_bench_plugins.datasets.npz import NpzDataset

COUNT = 20
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 4, 5, 3), dtype=np.uint8)
LABELS = np.arange(COUNT, dtype=np.uint8) % 3
CLASSES = np.array(["cat", "dog", "car"])


def write(path: Path, **changes: np.ndarray) -> Path:
    """An archive with images, labels and classes, some of them changed."""
    np.savez(path, **({"images": IMAGES, "labels": LABELS, "classes": CLASSES} | changes))
    return path


def test_archive_becomes_a_dataset(tmp_path: Path) -> None:
    """Images, labels, classes, presence and seeded splits, named for the file."""
    path = write(tmp_path / "pets.npz")

    dataset = NpzDataset(path, superclasses={"animal": ("cat", "dog")}, split_seed=3).load()

    assert dataset.name == "pets"
    assert np.array_equal(np.stack(dataset.images.read(range(COUNT))), IMAGES)
    assert dataset.labels is not None
    assert dataset.labels.tolist() == LABELS.tolist()
    assert dataset.classes == ("cat", "dog", "car")
    assert dataset.vocabulary == ("cat", "dog", "car", "animal")
    assert dataset.label_presence is not None
    assert dataset.label_presence.concepts == dataset.vocabulary
    assert dataset.label_presence.values[:4].tolist() == [
        [1, 0, 0, 1],
        [0, 1, 0, 1],
        [0, 0, 1, 0],
        [1, 0, 0, 1],
    ]
    expected = seeded_splits(COUNT, 3)
    assert all(torch.equal(dataset.splits[split], rows) for split, rows in expected.items())


def test_arrays_of_other_names(tmp_path: Path) -> None:
    """Keys are options; classes may be bytes."""
    path = tmp_path / "set.npz"
    np.savez(path, x=IMAGES, y=LABELS.astype(np.int64), names=CLASSES.astype("S"))

    dataset = NpzDataset(path, images="x", labels="y", classes="names").load()

    assert dataset.classes == ("cat", "dog", "car")


def test_order_of_superclasses_does_not_matter(tmp_path: Path) -> None:
    """Two tables with the same entries are the same source and give the same columns."""
    path = write(tmp_path / "set.npz")
    entries = {"vehicle": ("car",), "animal": ("cat", "dog")}

    one = NpzDataset(path, superclasses=entries)
    other = NpzDataset(path, superclasses=dict(reversed(entries.items())))

    assert one == other
    assert one.load().vocabulary == other.load().vocabulary
    assert one.load().vocabulary == ("cat", "dog", "car", "animal", "vehicle")


def test_images_without_labels(tmp_path: Path) -> None:
    """Empty `labels` asks for images alone, whatever else is in the file."""
    path = tmp_path / "set.npz"
    np.savez(path, images=IMAGES)

    dataset = NpzDataset(path, labels="").load()

    assert dataset.labels is None
    assert dataset.label_presence is None
    assert dataset.vocabulary == ()


def test_image_files_inside_an_archive(tmp_path: Path) -> None:
    """With `offsets` the images are files back to back, decoded when read."""
    files = []
    for pixels in IMAGES:
        target = io.BytesIO()
        Image.fromarray(pixels).save(target, "PNG")
        files.append(target.getvalue())
    path = write(
        tmp_path / "set.npz",
        images=np.frombuffer(b"".join(files), np.uint8),
        offsets=np.cumsum([0, *map(len, files)]),
    )

    dataset = NpzDataset(path, offsets="offsets").load()

    assert len(dataset.images) == COUNT
    assert np.array_equal(dataset.images.read([7])[0], IMAGES[7])


def test_split_files_decide(tmp_path: Path) -> None:
    """Row numbers from files take the place of the seed."""
    for name, rows in (("train", range(10)), ("val", range(10, 12)), ("test", range(12, 20))):
        (tmp_path / f"{name}.txt").write_text("\n".join(map(str, rows)))
    ids = {f"{name}_ids": tmp_path / f"{name}.txt" for name in ("train", "val", "test")}

    dataset = NpzDataset(write(tmp_path / "set.npz"), **ids).load()

    assert dataset.splits["test"].tolist() == list(range(12, 20))


def test_source_is_hashable_and_picklable(tmp_path: Path) -> None:
    """A table of superclasses does not hinder."""
    source = NpzDataset(tmp_path / "set.npz", superclasses={"animal": ("cat", "dog")})

    copy = pickle.loads(pickle.dumps(source))  # noqa: S301  # our own bytes

    assert copy == source
    assert hash(copy) == hash(source)
    assert source != NpzDataset(tmp_path / "set.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"images": IMAGES.astype(float)},
            "array 'images' is float64 of shape (20, 4, 5, 3), not uint8 (images, height, width, "
            "3); name another array or write the file anew",
        ),
        (
            {"images": IMAGES.transpose(0, 3, 1, 2)},
            "array 'images' is uint8 of shape (20, 3, 4, 5), not uint8 (images, height, width, 3); "
            "name another array or write the file anew",
        ),
        (
            {"labels": LABELS[:5]},
            "array 'labels' is uint8 of shape (5,), not one integer for each of 20 images; name "
            "another array or write the file anew",
        ),
        (
            {"labels": LABELS.astype(float)},
            "array 'labels' is float64 of shape (20,), not one integer for each of 20 images; name "
            "another array or write the file anew",
        ),
        (
            {"labels": LABELS + 1},
            "array 'labels' has labels from 1 to 3, but array 'classes' names 3 classes, counted "
            "from 0; mend one of them",
        ),
        (
            {"classes": np.arange(3)},
            "array 'classes' is int64 of shape (3,), not a list of class names; name another array "
            "or write the file anew",
        ),
    ],
)
def test_unfit_arrays_are_named(
    tmp_path: Path, changes: dict[str, np.ndarray], message: str
) -> None:
    """The message names file and array, what it is and what it should be."""
    path = write(tmp_path / "set.npz", **changes)

    with pytest.raises(BenchError) as caught:
        NpzDataset(path).load()

    assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize(
    "offsets", [np.array([0]), np.array([0, 5, 3]), np.array([0, 10**9]), np.array([0.5, 1.5])]
)
def test_unfit_offsets_are_named(tmp_path: Path, offsets: np.ndarray) -> None:
    """Offsets must increase within the bytes."""
    path = write(tmp_path / "set.npz", images=np.zeros(100, np.uint8), offsets=offsets)

    with pytest.raises(BenchError, match=f"^{path}: array 'offsets' is "):
        NpzDataset(path, offsets="offsets", labels="").load()


def test_missing_array_has_near_misses(tmp_path: Path) -> None:
    """The arrays of the file are compared."""
    path = write(tmp_path / "set.npz")

    with pytest.raises(BenchError) as caught:
        NpzDataset(path, labels="label").load()

    assert str(caught.value) == f"{path}: unknown array 'label'; did you mean 'labels'?"


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A wrong path is reported as such."""
    with pytest.raises(MissingFileError) as caught:
        NpzDataset(tmp_path / "gone.npz").load()

    assert str(caught.value) == f"{tmp_path / 'gone.npz'}: no such file; check the path"


def test_other_files_are_named(tmp_path: Path) -> None:
    """Text, cut archives, single arrays and pickled objects are no archives of plain arrays."""
    whole = write(tmp_path / "set.npz").read_bytes()
    single, objects = io.BytesIO(), io.BytesIO()
    np.save(single, IMAGES)
    np.savez(objects, images=np.array([object()]))
    path = tmp_path / "other.npz"

    for content in (b"", b"text", whole[:200], single.getvalue(), objects.getvalue()):
        path.write_bytes(content)
        with pytest.raises(UnreadableFileError, match=f"^{path}: this is no .npz archive of plain"):
            NpzDataset(path, labels="").load()


def test_superclasses_need_labels(tmp_path: Path) -> None:
    """Refused when the option is given, before any file is read."""
    with pytest.raises(ValueError, match="superclasses need `labels`"):
        NpzDataset(tmp_path / "set.npz", labels="", superclasses={"animal": ("cat",)})
