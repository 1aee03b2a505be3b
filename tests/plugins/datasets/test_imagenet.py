"""ImageNet's validation images in every layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from le_bench.concepts.imagenet import imagenet_superclasses, imagenet_wnids
from le_bench.errors import BenchError, MissingFileError, UnreadableFileError
from le_bench.fingerprint import fingerprint
from le_bench_plugins.datasets.imagenet import IMAGES, TRUTH, ImageNetDataset

from .layouts import imagenet_files, write_imagenet, write_jpeg

COUNT = 2


@pytest.fixture(scope="module")
def by_class(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a class, two images each."""
    return write_imagenet(tmp_path_factory.mktemp("imagenet"), COUNT)


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same images in one folder."""
    return write_imagenet(tmp_path_factory.mktemp("flat"), COUNT, flat=True)


@pytest.fixture
def some(by_class: Path, tmp_path: Path) -> Path:
    """A copy to spoil, by links."""
    folder = tmp_path / "val"
    shutil.copytree(by_class, folder, copy_function=lambda a, b: Path(b).hardlink_to(a))
    return folder


def devkit(folder: Path) -> Path:
    """A development kit whose numbers are not the order of the classes."""
    order = np.random.default_rng(0).permutation(1000)
    wnids = [*np.array(imagenet_wnids())[order], "n00001740", "n00001930"]
    synsets = np.zeros(
        len(wnids), dtype=[("ILSVRC2012_ID", object), ("WNID", object), ("num_children", object)]
    )
    synsets["ILSVRC2012_ID"] = range(1, len(wnids) + 1)
    synsets["WNID"] = wnids
    folder.mkdir()
    savemat(folder / "meta.mat", {"synsets": synsets})
    numbers = {int(label): place + 1 for place, label in enumerate(order)}
    path = folder / "ILSVRC2012_validation_ground_truth.txt"
    path.write_text("".join(f"{numbers[label]}\n" for label, _ in imagenet_files(COUNT)))
    return path


def written(path: Path, line: str, first: str = "") -> Path:
    """A list of the images, one a line in this form, shuffled."""
    wnids = imagenet_wnids()
    lines = [
        line.format(name=name, stem=name[:-5], wnid=wnids[label], label=label)
        for label, name in imagenet_files(COUNT)
    ]
    np.random.default_rng(1).shuffle(lines)
    path.write_text(first + "\n".join(lines) + "\n")
    return path


def test_a_folder_a_class(by_class: Path) -> None:
    """Classes by WordNet number, images by class and name, presence of classes and superclasses."""
    dataset = ImageNetDataset(by_class, per_class=COUNT).load()

    assert dataset.labels is not None
    assert dataset.labels.tolist() == [label for label in range(1000) for _ in range(COUNT)]
    assert dataset.classes[0] == "tench"
    presence = dataset.label_presence
    assert presence is not None
    assert presence.values.shape == (1000 * COUNT, 1400)
    assert presence.values[:, :1000].sum(0).tolist() == [COUNT] * 1000
    for column, (name, classes) in enumerate(imagenet_superclasses().items(), start=1000):
        assert presence.concepts[column] == name
        assert torch.equal(
            presence.values[:, column].bool(), torch.isin(dataset.labels, torch.tensor(classes))
        )


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("{name} {label}", ""),
        ("{name}\t{wnid}", ""),
        ("val/{name} {wnid}", ""),
        ("{name}  {label}", "\ufeff"),
        ("{stem},{wnid} 1 2 3 4", "ImageId,PredictionString\n"),
    ],
)
def test_all_images_in_one_folder(
    by_class: Path, flat: Path, tmp_path: Path, line: str, first: str
) -> None:
    """Lists of several forms give the very images and labels of the other layout, in its order."""
    truth = written(tmp_path / "val.txt", line, first)
    one = ImageNetDataset(by_class, per_class=COUNT).load()

    other = ImageNetDataset(flat, truth, per_class=COUNT).load()

    assert one.labels is not None
    assert other.labels is not None
    assert torch.equal(one.labels, other.labels)
    for row in (0, 777, 1999):
        assert np.array_equal(one.images.read([row])[0], other.images.read([row])[0])
    assert torch.equal(one.splits["test"], other.splits["test"])


def test_labels_of_the_development_kit(by_class: Path, flat: Path, tmp_path: Path) -> None:
    """Its numbers are turned into classes by meta.mat, which is part of the source's key."""
    truth = devkit(tmp_path / "data")
    source = ImageNetDataset(flat, truth, per_class=COUNT)
    one = ImageNetDataset(by_class, per_class=COUNT).load()

    other = source.load()

    assert one.labels is not None
    assert other.labels is not None
    assert torch.equal(one.labels, other.labels)
    assert np.array_equal(one.images.read([42])[0], other.images.read([42])[0])
    assert len(source.identity().split()) == 1000


def test_split_files_of_the_authors(by_class: Path, tmp_path: Path) -> None:
    """Sorted id tensors, as their repository has them."""
    rows = torch.randperm(2000, generator=torch.Generator().manual_seed(0))
    for name, ids in zip(("train", "val", "test"), rows.split([1400, 200, 400]), strict=True):
        torch.save(ids.sort().values, tmp_path / f"{name}_ids.pt")
    ids = {f"{name}_ids": tmp_path / f"{name}_ids.pt" for name in ("train", "val", "test")}

    dataset = ImageNetDataset(by_class, per_class=COUNT, **ids).load()

    assert dataset.splits["val"].tolist() == sorted(rows[1400:1600].tolist())


def test_a_changed_image_changes_the_key(some: Path) -> None:
    """Not its name, size or place: its content."""
    source = ImageNetDataset(some, per_class=COUNT)
    before = fingerprint(source, {})
    path = next((some / "n01440764").iterdir())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)

    assert fingerprint(source, {}) != before


def test_damaged_images_are_left_out_by_consent(some: Path) -> None:
    """Named and counted; labels and splits stay with their images."""
    whole = ImageNetDataset(some, per_class=COUNT).load()
    damaged = sorted((some / "n01443537").iterdir())[0]
    content = damaged.read_bytes()
    damaged.unlink()
    damaged.write_bytes(content[: len(content) // 2])

    dataset = ImageNetDataset(some, per_class=COUNT, skip_unreadable=True).load()

    assert dataset.unreadable == (str(damaged),)
    assert len(dataset.images) == 1999
    assert dataset.labels is not None
    assert dataset.labels[:4].tolist() == [0, 0, 1, 2]
    for split, rows in whole.splits.items():
        stay = [row - (row > 2) for row in rows.tolist() if row != 2]
        assert dataset.splits[split].tolist() == stay
    with pytest.raises(UnreadableFileError, match="leave it out with `skip_unreadable"):
        ImageNetDataset(some, per_class=COUNT).load().images.read([2])


def test_one_image_too_few(some: Path) -> None:
    """A data set that is half there is refused with the class at fault."""
    next((some / imagenet_wnids()[7]).iterdir()).unlink()

    with pytest.raises(BenchError) as caught:
        ImageNetDataset(some, per_class=COUNT).load()

    assert str(caught.value) == (
        f"{some}: 1,999 images, but each of its 1000 classes must have 2 (2,000 in all); "
        f"{imagenet_wnids()[7]} has 1; complete the data set, or say with `per_class` how many "
        "images of each class it has (0 for any number)"
    )


def test_the_usual_number_of_images_is_expected(by_class: Path) -> None:
    """Without `per_class` it is 50,000."""
    with pytest.raises(
        BenchError, match=r"must have 50 \(50,000 in all\); n01440764 has 2, n01443537 h"
    ):
        ImageNetDataset(by_class).load()


def test_a_class_too_few(some: Path) -> None:
    """Even where any number of images is fine."""
    shutil.rmtree(some / "n01440764")

    with pytest.raises(BenchError) as caught:
        ImageNetDataset(some, per_class=0).load()

    assert str(caught.value) == (
        f"{some}: 1 of 1,000 classes have no folder with images, the first: n01440764; complete "
        "the data set"
    )


def test_a_foreign_folder(some: Path) -> None:
    """A class of another data set is no class of this one."""
    write_jpeg(some / "n00000001" / "x.JPEG", 0)

    with pytest.raises(BenchError) as caught:
        ImageNetDataset(some, per_class=COUNT).load()

    assert str(caught.value) == (
        f"{some}: 'n00000001' is not the WordNet number of one of ImageNet's 1,000 classes, such "
        "as n01440764; 1 such entries; give the folder that holds the classes of the validation "
        "images and nothing else"
    )


def test_missing_things_say_how_to_get_them(tmp_path: Path, flat: Path) -> None:
    """One message each: images, labels, and the kit's table."""
    kit = tmp_path / "ILSVRC2012_validation_ground_truth.txt"
    kit.write_text("1\n")
    sources = [
        (
            ImageNetDataset(tmp_path / "no"),
            f"{tmp_path / 'no'}: no such folder; {IMAGES}, or give another path with "
            "--set dataset.folder=PATH",
        ),
        (
            ImageNetDataset(flat),
            f"{flat}: the images are not in folders of their classes; name the file of their "
            f"labels with --set dataset.ground_truth=PATH: {TRUTH}",
        ),
        (ImageNetDataset(flat, kit), f"{tmp_path / 'meta.mat'}: no such file; {TRUTH}"),
    ]

    for source, message in sources:
        with pytest.raises(MissingFileError) as caught:
            source.load()
        assert str(caught.value) == message


def test_faulty_lists(flat: Path, tmp_path: Path) -> None:
    """Lines that name no class, twice the same image, or too few images."""
    path = tmp_path / "val.txt"
    for text, message in [
        (
            "a.JPEG 1000\n",
            ", line 1: 'a.JPEG 1000' is not a file and a class (a WordNet number such as "
            "n01440764, or a place from 0 to 999 in the order of these numbers)",
        ),
        ("a.JPEG 1\na.JPEG 2\n", ", line 2: a.JPEG is listed before"),
    ]:
        path.write_text(text)
        with pytest.raises(UnreadableFileError) as caught:
            ImageNetDataset(flat, path).load()
        assert str(caught.value) == f"{path}{message}"
    path.write_text("ILSVRC2012_val_00000001.JPEG 0\n")
    with pytest.raises(BenchError) as other:
        ImageNetDataset(flat, path).load()
    assert str(other.value) == (
        f"{flat}: 2,000 images, but {path} tells of 1: 1999 images are not in the list, such as "
        "ILSVRC2012_val_00000002.JPEG; complete the data set or give the list of these images"
    )


@pytest.mark.parametrize("line", ["{name} {label}", "{stem} {label}"])
def test_a_file_that_is_gone_is_named(flat: Path, tmp_path: Path, line: str) -> None:
    """Whether or not the list has suffixes."""
    folder = tmp_path / "val"
    shutil.copytree(flat, folder, copy_function=lambda a, b: Path(b).hardlink_to(a))
    (folder / "ILSVRC2012_val_00000007.JPEG").unlink()
    path = written(tmp_path / "val.txt", line)

    with pytest.raises(BenchError, match=r": 1 are not there, such as ILSVRC2012_val_00000007"):
        ImageNetDataset(folder, path, per_class=COUNT).load()


def test_images_of_one_name(flat: Path, tmp_path: Path) -> None:
    """A list without suffixes cannot tell them apart."""
    folder = tmp_path / "val"
    shutil.copytree(flat, folder, copy_function=lambda a, b: Path(b).hardlink_to(a))
    write_jpeg(folder / "ILSVRC2012_val_00000007.jpg", 0)
    path = written(tmp_path / "val.txt", "{stem} {label}")

    with pytest.raises(BenchError) as caught:
        ImageNetDataset(folder, path, per_class=0).load()

    assert str(caught.value) == (
        f"{folder}: 2,001 images, but {path} tells of 2,000: several differ in their suffix alone; "
        "complete the data set or give the list of these images"
    )


def test_images_beside_folders_of_classes(some: Path) -> None:
    """A stray image, or those that an interrupted sorting has left."""
    write_jpeg(some / "x.JPEG", 0)

    with pytest.raises(BenchError) as caught:
        ImageNetDataset(some, per_class=COUNT).load()

    assert str(caught.value) == (
        f"{some}: 1 images lie beside folders of images, such as x.JPEG; move each into the folder "
        "of its class, or all into this one"
    )
