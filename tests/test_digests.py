"""Digests of files, remembered as long as the files are the same."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from le_bench.cli import call
from le_bench.digests import FileDigests
from le_bench.fingerprint import path_digest
from le_bench.planning.tables import read_table
from le_bench.running.executors import Recipe

if TYPE_CHECKING:
    from conftest import Bench

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


def test_a_file_alone_is_remembered_too(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint needs no folder to be digested with."""
    settled(monkeypatch)
    read = reading_counted(monkeypatch)

    for _ in range(2):
        path_digest(file, FileDigests(tmp_path / "digests"))

    assert read == ["a.bin"]


@pytest.mark.parametrize("command", ["run", "plan", "impact"])
def test_commands_keep_digests_beside_the_steps(
    bench: Bench, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of plugin and checkpoint alike, which lie in one folder; a plan makes no cache for it."""
    settled(monkeypatch)
    (bench.folder / "cache").mkdir()
    bench.edit(lambda text: text.replace('id = "net"', 'id = "net"\ncheckpoint = "w.txt"'))
    (bench.folder / "w.txt").write_text("0.0")
    plugin = bench.folder / "plugin.py"
    plugin.write_bytes(bench.plugin.read_bytes())

    call([command, "toy.toml", "--plugin", str(plugin)])

    read = reading_counted(monkeypatch)
    kept = FileDigests(bench.folder / "cache" / "digests")
    assert [kept.of(path) for path in (bench.folder / "w.txt", plugin)] == [
        hashlib.sha256(path.read_bytes()).hexdigest() for path in (bench.folder / "w.txt", plugin)
    ]
    assert read == []


def test_worker_processes_share_the_digests(
    bench: Bench, toy_plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They make the same plan, for which they would have to read every file again."""
    settled(monkeypatch)
    file = bench.folder / "w.txt"
    file.write_text("0.0")
    bench.edit(lambda text: text.replace('id = "net"', 'id = "net"\ncheckpoint = "w.txt"'))
    source, cache = Path("toy.toml"), bench.folder / "elsewhere"

    Recipe(read_table(source), source, (toy_plugin,), cache, "cpu", 8, 2**20).workspace()

    read = reading_counted(monkeypatch)
    assert FileDigests(cache / "digests").of(file) == hashlib.sha256(b"0.0").hexdigest()
    assert read == []


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
