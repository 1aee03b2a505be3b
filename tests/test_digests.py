"""Digests of files, remembered as long as the files are the same."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from le_bench.digests import FileDigests
from le_bench.fingerprint import path_digest

LONG_AGO = 10**9


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "a.bin"
    path.parent.mkdir()
    path.write_bytes(b"one")
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files count as old enough to be trusted."""
    monkeypatch.setattr("le_bench.digests.SETTLED_NS", -(10**18))


def reading_counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read from here on."""
    read: list[str] = []
    real = hashlib.file_digest

    def counted(file: object, kind: str) -> object:
        read.append(Path(getattr(file, "name", "")).name)
        return real(file, kind)  # type: ignore[arg-type]

    monkeypatch.setattr("le_bench.digests.hashlib.file_digest", counted)
    return read


def test_the_next_run_reads_no_file_again(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same digest from a folder of digests, without reading the file."""
    settled(monkeypatch)
    read = reading_counted(monkeypatch)
    first = path_digest(file.parent, FileDigests(tmp_path / "digests"))

    second = path_digest(file.parent, FileDigests(tmp_path / "digests"))

    assert read == ["a.bin"]
    assert first == second == path_digest(file.parent, FileDigests())


def test_a_changed_file_of_the_same_size_and_time(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time of change cannot be set back, and a file in its place has another inode."""
    settled(monkeypatch)
    path_digest(file.parent, FileDigests(tmp_path / "digests"))
    file.write_bytes(b"two")
    os.utime(file, (LONG_AGO, LONG_AGO))

    assert FileDigests(tmp_path / "digests").of(file) == hashlib.sha256(b"two").hexdigest()


def test_a_file_that_just_changed_is_not_trusted(file: Path, tmp_path: Path) -> None:
    """Within the clock's grain it might change again unseen."""
    path_digest(file.parent, FileDigests(tmp_path / "digests"))

    assert not list((tmp_path / "digests").glob("*.json"))


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"a.bin": 3}', b'{"a.bin": [[1], "x"]}', b"\xff"]
)
def test_spoilt_books_are_done_without(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """The file is read instead."""
    settled(monkeypatch)
    path_digest(file.parent, FileDigests(tmp_path / "digests"))
    (book,) = (tmp_path / "digests").glob("*.json")
    book.write_bytes(content)

    assert FileDigests(tmp_path / "digests").of(file) == hashlib.sha256(b"one").hexdigest()
