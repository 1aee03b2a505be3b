"""What lies below a folder, for those who read it and for its digest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from le_bench.digests import FileDigests
from le_bench.errors import UnreadableFileError
from le_bench.fingerprint import path_digest
from le_bench.folders import files_below


def write(path: Path, text: str = "") -> Path:
    """A file in its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_links_are_followed_and_hidden_files_left_out(tmp_path: Path) -> None:
    """Files come by the path they have below the folder."""
    folder = tmp_path / "data"
    write(folder / "b" / "1.txt")
    write(folder / ".hidden" / "2.txt")
    write(folder / ".DS_Store")
    write(tmp_path / "elsewhere" / "deep" / "3.txt")
    (folder / "a").symlink_to(tmp_path / "elsewhere")
    (folder / "c").symlink_to(folder / "b")
    (folder / "gone.txt").symlink_to(tmp_path / "nowhere")

    found = [path.relative_to(folder).as_posix() for path in files_below(folder)]

    assert found == ["a/deep/3.txt", "b/1.txt", "c/1.txt", "gone.txt"]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    """A folder within itself holds nothing new, and a link to itself is no folder."""
    file = write(tmp_path / "a" / "b" / "1.txt")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "b" / "top").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")

    found = files_below(tmp_path)

    assert found == [file, tmp_path / "self"]


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    """What it holds would be missing without a word."""
    with pytest.raises(UnreadableFileError) as caught:
        files_below(tmp_path / "gone")

    assert str(caught.value) == f"{tmp_path / 'gone'}: cannot be read (No such file or directory)"


def test_the_digest_of_plain_files(tmp_path: Path) -> None:
    """It is the hash of sorted relative names and contents, whatever else lies hidden there."""
    write(tmp_path / "a" / "2.txt", "two")
    write(tmp_path / "a-b.txt", "one")
    write(tmp_path / ".nfs0001", "passing")
    shas = [hashlib.sha256(text).hexdigest() for text in (b"two", b"one")]
    content = json.dumps([["a/2.txt", shas[0]], ["a-b.txt", shas[1]]], separators=(",", ":"))

    found = path_digest(tmp_path, FileDigests())

    assert found == hashlib.sha256(content.encode()).hexdigest()


def test_the_digest_sees_behind_links(tmp_path: Path) -> None:
    """A changed file in a linked folder, and another folder in its place, are other content."""
    folder = tmp_path / "data"
    folder.mkdir()
    file = write(tmp_path / "one" / "1.txt", "one")
    write(tmp_path / "two" / "1.txt", "two")
    (folder / "class").symlink_to(tmp_path / "one")
    first = path_digest(folder, FileDigests())
    file.write_text("changed")
    second = path_digest(folder, FileDigests())
    (folder / "class").unlink()
    (folder / "class").symlink_to(tmp_path / "two")

    third = path_digest(folder, FileDigests())

    assert len({first, second, third}) == 3
