"""Probe datasets in folders of image files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from le_bench.errors import BenchError, MissingFileError, UnreadableFileError
from le_bench.fingerprint import fingerprint
from le_bench.probing.images import FileImages
from le_bench_plugins.datasets.image_folder import ImageFolderDataset


def draw(path: Path, shade: int) -> None:
    """One grey picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((3, 4, 3), shade, np.uint8)).save(path)


def shades(folder: ImageFolderDataset) -> list[int]:
    """The shade of each image in order."""
    images = folder.load().images
    return [int(pixels[0, 0, 0]) for pixels in images.read(range(len(images)))]


@pytest.fixture
def by_class(tmp_path: Path) -> Path:
    """Ten images in two folders, one with a folder inside, and files that are no images."""
    for number in range(6):
        draw(tmp_path / "n02" / f"{number}.png", number)
    for number in range(4):
        draw(tmp_path / "n01" / "more" / f"{number}.PNG", 10 + number)
    (tmp_path / "README.txt").write_text("no image")
    draw(tmp_path / ".thumbnails" / "0.png", 99)
    return tmp_path


def test_folder_per_class(by_class: Path) -> None:
    """Classes are sorted folder names, images sorted paths; hidden and other files are left out."""
    dataset = ImageFolderDataset(by_class).load()

    assert dataset.name == by_class.name
    assert dataset.classes == ("n01", "n02")
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [0] * 4 + [1] * 6
    assert shades(ImageFolderDataset(by_class)) == [10, 11, 12, 13, 0, 1, 2, 3, 4, 5]


def test_better_names_and_superclasses(by_class: Path) -> None:
    """Class names replace folder names, and superclasses speak of them."""
    dataset = ImageFolderDataset(
        by_class,
        class_names={"n01": "cat", "n02": "dog"},
        superclasses={"animal": ("cat", "dog")},
    ).load()

    assert dataset.classes == ("cat", "dog")
    assert dataset.vocabulary == ("cat", "dog", "animal")
    assert dataset.label_presence is not None
    assert dataset.label_presence.values[:, 2].tolist() == [1.0] * 10


def test_flat_folder_has_no_labels(tmp_path: Path) -> None:
    """Images alone are a dataset too."""
    for number in range(10):
        draw(tmp_path / f"{number}.png", number)

    dataset = ImageFolderDataset(tmp_path).load()

    assert dataset.labels is None
    assert dataset.classes == ()
    assert len(dataset.images) == 10


def write_list(folder: Path, text: str) -> Path:
    """A folder of ten images with a list."""
    for number in range(10):
        draw(folder / "all" / f"{number}.png", number)
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    return folder


def test_list_of_labels(tmp_path: Path) -> None:
    """The list says which images, in which order, of which class; further columns are ignored."""
    rows = [f'all/{number}.png,x,"dog, big"\n' for number in range(9, 1, -1)]
    text = "\ufefffile,source,label\n" + "".join(rows) + "all/0.png,x,cat\n"

    dataset = ImageFolderDataset(write_list(tmp_path, text)).load()

    assert dataset.classes == ("cat", "dog, big")
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [1] * 8 + [0]
    assert shades(ImageFolderDataset(tmp_path)) == [9, 8, 7, 6, 5, 4, 3, 2, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name,label\nall/0.png,cat\n",
            "column 'file' missing; the first line must name the columns: file,label",
        ),
        ("", "column 'file' and 'label' missing; the first line must name the columns: file,label"),
        ("file,label\n", "no image is listed; mend the list"),
        (
            "file,label\nall/0.png,cat\nall/77.png,cat\nall/1.png,\n",
            "line 3: there is no file 'all/77.png'; line 4: file or label is empty; mend the list",
        ),
        (
            "file,label\nall/0.png,tench, Tinca tinca\nall/1.png, \n",
            "line 2: too many cells; put a label that has commas in double quotes; line 3: file or "
            "label is empty; mend the list",
        ),
        (
            "file,label\n\nall/0.png,cat\nall/1.png,cat\n./all/0.png,dog\n",
            "line 5: './all/0.png' is listed before, in line 3; mend the list",
        ),
        (
            "file,label\n" + "x,cat\n" * 7,
            "; ".join(f"line {n}: there is no file 'x'" for n in range(2, 7))
            + "; and 2 more; mend the list",
        ),
    ],
)
def test_faulty_lists_are_refused_as_a_whole(tmp_path: Path, text: str, message: str) -> None:
    """Every fault with its line, in one message."""
    folder = write_list(tmp_path, text)

    with pytest.raises(BenchError) as caught:
        ImageFolderDataset(folder).load()

    assert str(caught.value) == f"{folder / 'labels.csv'}: {message}"


def test_every_image_is_in_the_key(tmp_path: Path) -> None:
    """Whatever the folder and its list lead to, also by links, changes the key if it changes."""
    for number in range(10):
        draw(tmp_path / "elsewhere" / f"{number}.png", number)
        draw(tmp_path / "data" / "plain" / f"{number}.png", number)
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "plain" / "x.png").symlink_to(tmp_path / "elsewhere" / "0.png")
    source = ImageFolderDataset(tmp_path / "data")
    rows = [f"./plain/{number}.png,cat\n" for number in range(10)]
    text = "file,label\nlinked/0.png,dog\nplain/x.png,dog\n" + "".join(rows)

    for _ in ("a folder a class", "a list"):
        before = fingerprint(source, {})
        images = source.load().images
        assert isinstance(images, FileImages)
        for path in images.paths:
            content = path.read_bytes()
            path.write_bytes(content[:-1])
            assert fingerprint(source, {}) != before, path
            path.write_bytes(content)
        (tmp_path / "data" / "labels.csv").write_text(text)


def test_listed_images_beyond_the_key_are_refused(tmp_path: Path) -> None:
    """Hidden files and files outside enter no key."""
    folder = write_list(tmp_path / "data", "file,label\n../x.png,cat\nall/.x.png,dog\n")
    draw(tmp_path / "x.png", 0)
    draw(folder / "all" / ".x.png", 0)

    with pytest.raises(BenchError) as caught:
        ImageFolderDataset(folder).load()

    assert str(caught.value) == (
        f"{folder / 'labels.csv'}: line 2: '../x.png' is hidden or no plain path below the folder, "
        "so that its changes would go unnoticed; line 3: 'all/.x.png' is hidden or no plain path "
        "below the folder, so that its changes would go unnoticed; mend the list"
    )


def test_list_in_another_encoding_is_named(tmp_path: Path) -> None:
    """Text that is not UTF-8 would give mojibake as concepts."""
    write_list(tmp_path, "")
    (tmp_path / "labels.csv").write_bytes("file,label\nall/0.png,jalapeño\n".encode("latin-1"))

    with pytest.raises(UnreadableFileError, match=r"labels\.csv: cannot be read \('utf-8' codec"):
        ImageFolderDataset(tmp_path).load()


def test_damaged_image_is_named_when_read(by_class: Path) -> None:
    """One message with the file and what to do."""
    path = by_class / "n02" / "3.png"
    path.write_bytes(path.read_bytes()[:40])
    images = ImageFolderDataset(by_class).load().images

    with pytest.raises(UnreadableFileError) as caught:
        images.read(range(10))

    assert str(caught.value).startswith(f"cannot read {path} (")
    assert str(caught.value).endswith(
        "); replace or remove what is damaged, or leave it out with `skip_unreadable = true`"
    )


def test_a_split_of_damaged_images(by_class: Path) -> None:
    """Leaving images out may leave none in a split, which says so."""
    damaged = by_class / "n01" / "more" / "0.PNG"
    damaged.write_bytes(b"")
    for split, rows in {"train": "1 2 3 4 5", "val": "0", "test": "6 7 8 9"}.items():
        (by_class / f"{split}.txt").write_text(rows)
    ids = {f"{split}_ids": by_class / f"{split}.txt" for split in ("train", "val", "test")}

    with pytest.raises(UnreadableFileError) as caught:
        ImageFolderDataset(by_class, skip_unreadable=True, **ids).load()

    assert str(caught.value) == (
        f"{by_class.name}: no image of split val can be read; 1 of all 10 images are damaged, such "
        f"as {damaged}; replace them, or split the images otherwise"
    )


def test_spaces_around_names_make_no_class(tmp_path: Path) -> None:
    """In a list as in names of folders and better names."""
    rows = [f"all/{number}.png,{'cat ' if number % 2 else ' cat'}\n" for number in range(10)]
    folder = write_list(tmp_path, "file,label\n" + "".join(rows))
    listed = ImageFolderDataset(folder, class_names={"cat": " tomcat "}).load()
    (folder / "labels.csv").unlink()
    (folder / "all").rename(folder / " cat")

    by_folder = ImageFolderDataset(folder).load()

    assert listed.classes == listed.vocabulary == ("tomcat",)
    assert by_folder.classes == ("cat",)


def test_folders_without_images_are_refused(by_class: Path) -> None:
    """An empty class would be none, and the numbers of all others would move."""
    for name in ("n03", "n04", ".git"):
        (by_class / name).mkdir()
    (by_class / "n03" / "notes.txt").write_text("")

    with pytest.raises(BenchError) as caught:
        ImageFolderDataset(by_class).load()

    assert str(caught.value) == (
        f"{by_class}: 2 folders have no image, the first: 'n03'; complete the data set or move "
        "away what is no class"
    )


def test_images_beside_folders_are_refused(by_class: Path) -> None:
    """An image without a class among classes is a slip."""
    draw(by_class / "stray.png", 0)

    with pytest.raises(BenchError) as caught:
        ImageFolderDataset(by_class).load()

    assert str(caught.value) == (
        f"{by_class}: 1 images lie beside folders of images, such as stray.png; move them into a "
        "folder of their class or list all images in labels.csv"
    )


def test_unknown_class_in_class_names(by_class: Path) -> None:
    """A name for a folder that does not exist is a slip."""
    with pytest.raises(BenchError) as caught:
        ImageFolderDataset(by_class, class_names={"n03": "cat"}).load()

    assert str(caught.value) == (
        f"{by_class}: `class_names` has an unknown class 'n03'; did you mean 'n02' or 'n01'?"
    )


def test_superclasses_of_unlabelled_images(tmp_path: Path) -> None:
    """Options that need labels say so."""
    for number in range(10):
        draw(tmp_path / f"{number}.png", number)

    with pytest.raises(BenchError) as caught:
        ImageFolderDataset(tmp_path, superclasses={"animal": ("cat",)}).load()

    assert str(caught.value) == (
        f"{tmp_path}: `class_names` and `superclasses` need labels; put the images of each class "
        "into a folder of its own or write labels.csv"
    )


def test_folder_without_images(tmp_path: Path) -> None:
    """Nothing found is reported with what would be."""
    with pytest.raises(MissingFileError) as caught:
        ImageFolderDataset(tmp_path).load()

    assert str(caught.value) == (
        f"{tmp_path}: no image in this folder; images end in .bmp, .gif, .jpeg, .jpg, .png, .ppm, "
        ".tif, .tiff, .webp"
    )


def test_missing_folder(tmp_path: Path) -> None:
    """A wrong path is reported as such."""
    with pytest.raises(MissingFileError) as caught:
        ImageFolderDataset(tmp_path / "gone").load()

    assert str(caught.value) == f"{tmp_path / 'gone'}: no such folder; check the path"
