"""What lies below a folder: the same for what reads it and for what enters its digest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from le_bench.errors import UnreadableFileError

Place = tuple[int, int]  # device and inode


def files_below(folder: Path) -> list[Path]:
    """All files below a folder, sorted, in folders that are links too.

    Files and folders whose names begin with a dot are left out. So are folders that are links to
    one they lie in. A link that leads nowhere counts as a file. Raises UnreadableFileError if a
    folder cannot be listed.
    """
    try:
        return sorted(_visit(folder, frozenset()))
    except OSError as error:
        raise UnreadableFileError(
            f"{error.filename or folder}: cannot be read ({error.strerror})"
        ) from error


def _visit(folder: Path, above: frozenset[Place]) -> Iterator[Path]:
    status = folder.stat()
    own = (status.st_dev, status.st_ino)
    if own in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                yield from _visit(folder / entry.name, above | {own})
            else:
                yield folder / entry.name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
