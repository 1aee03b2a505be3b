"""SHA-256 of files, read again only if they changed; remembered between runs if told where."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from le_bench.atomic import write_whole

SETTLED_NS = 2 * 10**9  # a file changed later than this before hashing may change unnoticed
Stamp = tuple[int, int, int, int]


@dataclass(eq=False)
class FileDigests:
    """Digests by file and by what the file system says of it: size, times and inode.

    With a `folder`, those of each folder of files are kept there in one JSON file, so that the
    next run need not read them again. A book that cannot be read or written is done without.
    """

    folder: Path | None = None
    _books: dict[Path, dict[str, tuple[Stamp, str]]] = field(default_factory=dict)
    _changed: set[Path] = field(default_factory=set)

    def of(self, path: Path) -> str:
        """SHA-256 of a file in hex. Raises OSError."""
        status = path.stat()
        stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        place = path.absolute().parent
        book = self._book(place)
        known = book.get(path.name)
        if known is not None and known[0] == stamp:
            return known[1]
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > SETTLED_NS:
            book[path.name] = (stamp, digest)
            self._changed.add(place)
        return digest

    def keep(self) -> None:
        """Write what is new to the folder, if there is one."""
        if self.folder is None:
            return
        for place in self._changed:
            content = {
                name: [list(stamp), sha] for name, (stamp, sha) in self._books[place].items()
            }
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                write_whole(self._file(place), json.dumps(content).encode())
            except OSError:
                return
        self._changed.clear()

    def _book(self, place: Path) -> dict[str, tuple[Stamp, str]]:
        if place not in self._books:
            self._books[place] = self._read(place)
        return self._books[place]

    def _read(self, place: Path) -> dict[str, tuple[Stamp, str]]:
        if self.folder is None:
            return {}
        try:
            content = json.loads(self._file(place).read_bytes())
            return {
                str(name): ((size, modified, changed, inode), str(sha))
                for name, ((size, modified, changed, inode), sha) in content.items()
            }
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _file(self, place: Path) -> Path:
        if self.folder is None:
            raise ValueError("these digests are not kept")
        name = hashlib.sha256(str(place).encode("utf-8", "surrogateescape")).hexdigest()
        return self.folder / f"{name[:32]}.json"
