"""Content hashes: what makes two values the same value, whatever machine or folder they are in."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from le_bench.components import Component
from le_bench.digests import FileDigests
from le_bench.errors import PluginError, UnreadableFileError
from le_bench.folders import files_below
from le_bench.types import ConceptSet

DIGESTS = FileDigests()  # of this process


def keep_digests(cache: Path) -> None:
    """Keep digests beside the finished steps of a cache, so that no process reads files again.

    What was digested before this may have been read again; call it first.
    """
    DIGESTS.folder = cache / "digests"


def digest(content: Any) -> str:
    """SHA-256 in hex of JSON-able content, whatever the order of its keys.

    >>> digest({"a": 1, "b": [0.5]}) == digest({"b": [0.5], "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def path_digest(path: Path, digests: FileDigests = DIGESTS) -> str:
    """SHA-256 of a file, or of the sorted relative names and contents of all files in a folder.

    Of a folder's files those count that `files_below` gives: not hidden ones. The name and place
    of `path` itself do not matter. Unchanged files (same place, size, times of change and inode)
    are not read again.

    Raises UnreadableFileError if there is nothing or it cannot be read.
    """
    if path.is_dir():
        files = [file for file in files_below(path) if file.is_file()]
        found = digest(
            [[file.relative_to(path).as_posix(), _file_digest(file, digests)] for file in files]
        )
    else:
        found = _file_digest(path, digests)
    digests.keep()
    return found


def _file_digest(path: Path, digests: FileDigests) -> str:
    try:
        return digests.of(path)
    except FileNotFoundError:
        raise UnreadableFileError(f"{path}: no such file or folder; check the path") from None
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be read ({error.strerror})") from error


def fingerprint(component: Component, origins: Mapping[type[Component], str]) -> dict[str, Any]:
    """Everything that decides what a component computes, as JSON-able content.

    Kind, name, version and all fields; files by content, nested components by their own
    fingerprint. `origins` adds, for classes that come from other distributions or from single
    files, what identifies their code (see `Plugins.origins`). Raises PluginError for an option of a
    type that has no content.
    """
    return {
        "kind": component.kind,
        "name": component.name,
        "version": component.version,
        "identity": component.identity(),
        "origin": origins.get(type(component), ""),
        "options": {
            option.name: _content(component, option.name, origins) for option in fields(component)
        },
    }


def _content(component: Component, option: str, origins: Mapping[type[Component], str]) -> Any:
    def stands_for(value: Component | ConceptSet | Path) -> Any:
        if isinstance(value, Component):
            return fingerprint(value, origins)
        return value.content if isinstance(value, ConceptSet) else path_digest(value)

    try:
        return as_json(getattr(component, option), stands_for)
    except TypeError as error:
        raise PluginError(
            f"{component.kind} '{component.name}', option '{option}': {error}; take numbers, "
            "texts, paths, encoders and tuples of these as options"
        ) from error


def as_json(value: Any, stands_for: Callable[[Component | ConceptSet | Path], Any]) -> Any:
    """An option's value as JSON-able content; `stands_for` gives that of what lies elsewhere.

    Sets are sorted, and of a member of an enumeration, a dataclass or a mapping the content counts.
    Raises TypeError for any other type.
    """
    if isinstance(value, Component | ConceptSet | Path):
        return stands_for(value)
    if isinstance(value, Enum):
        return as_json(value.value, stands_for)
    if is_dataclass(value):
        value = {f.name: getattr(value, f.name) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(item, stands_for) for key, item in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        items = [as_json(item, stands_for) for item in value]
        return sorted(items, key=repr) if isinstance(value, set | frozenset) else items
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(float(value))]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"a {type(value).__name__} cannot enter a cache key")
