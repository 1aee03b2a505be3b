"""The content-addressed cache: one record a step, tensors beside it, nothing ever half-written.

`<root>/<stage>/<ab>/<key>.json` holds the record and says in words what it is;
`<key>.safetensors` beside it holds the tensors. The record is written last and carries the
digest of the tensors, so a value exists only when it is whole. A value that does not match its
digests is moved to `<root>/quarantine` and counts as absent.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from le_bench.atomic import write_whole
from le_bench.errors import BenchError
from le_bench.fingerprint import digest

SCHEMA = 1
CACHE_TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n# Finished steps of le_bench.\n"
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, OSError, SafetensorError)
logger = logging.getLogger(__name__)


class StoreError(BenchError):
    """The cache cannot be used; nothing more of a run can be kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Artifact:
    """What a step gives: named tensors and a JSON-able record; `seconds` is what it cost."""

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


class Store:
    """A folder of artifacts by stage and key. Safe with any number of readers and writers."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            root.mkdir(parents=True, exist_ok=True)
            write_whole(root / "CACHEDIR.TAG", CACHE_TAG)
        except OSError as error:
            raise BenchError(
                f"--cache {root}: cannot be made or written ({error.strerror}); give another folder"
            ) from error

    def write(self, stage: str, key: str, artifact: Artifact, about: str) -> None:
        """Keep an artifact; readers see it whole or not at all. Raises StoreError if it cannot."""
        try:
            self._write(stage, key, artifact, about)
        except OSError as error:
            raise StoreError(
                f"the cache {self.root} cannot be written ({error.strerror}: "
                f"{error.filename}); make room or give another folder with --cache"
            ) from error

    def _write(self, stage: str, key: str, artifact: Artifact, about: str) -> None:
        path = self._path(stage, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, Any] | None = None
        if artifact.tensors:
            content = save({name: t.contiguous() for name, t in artifact.tensors.items()})
            write_whole(path.with_suffix(".safetensors"), content)
            tensors = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        document = {
            "schema": SCHEMA,
            "stage": stage,
            "key": key,
            "about": about,
            "seconds": round(artifact.seconds, 3),
            "tensors": tensors,
            "record": artifact.record,
        }
        document["digest"] = digest(document)
        write_whole(path, json.dumps(document, sort_keys=True).encode())

    def read(self, stage: str, key: str) -> Artifact | None:
        """The artifact, every byte of it checked; None if it is absent or was damaged."""
        path = self._path(stage, key)
        try:
            try:
                return _read(path, key)
            except DAMAGE:  # or a writer was faster: the old record, the new tensors
                return _read(path, key)
        except FileNotFoundError:
            return None
        except DAMAGE as error:
            self._quarantine(path, str(error))
            return None

    def reread(self, stage: str, key: str, title: str) -> Artifact:
        """The artifact of a step that has ended well. Raises BenchError if it is there no more."""
        artifact = self.read(stage, key)
        if artifact is None:
            raise BenchError(
                f"{stage} {title} vanished from the cache {self.root} during the run; run the "
                "same command again to make it again"
            )
        return artifact

    def has(self, stage: str, key: str) -> bool:
        """Whether the artifact seems whole: its record checked, its tensors by size alone."""
        path = self._path(stage, key)
        try:
            tensors = _checked(path, key)["tensors"]
            if tensors is None:
                return True
            return bool(path.with_suffix(".safetensors").stat().st_size == tensors["bytes"])
        except (FileNotFoundError, *DAMAGE):
            return False

    def entries(self) -> Iterator[tuple[str, str]]:
        """Stage and key of every record, sorted, without checking it."""
        for path in sorted(self.root.glob("*/??/*.json")):
            yield path.parent.parent.name, path.stem

    def _path(self, stage: str, key: str) -> Path:
        return self.root / stage / key[:2] / f"{key}.json"

    def _quarantine(self, path: Path, reason: str) -> None:
        folder = self.root / "quarantine"
        logger.warning("%s is damaged (%s); moved to %s, made again", path, reason, folder)
        folder.mkdir(exist_ok=True)
        for file in (path, path.with_suffix(".safetensors")):
            with suppress(FileNotFoundError):
                file.replace(folder / f"{uuid4().hex}-{file.name}")


def _read(path: Path, key: str) -> Artifact:
    """The artifact. Raises one of DAMAGE if it is not what was written."""
    document = _checked(path, key)
    tensors: dict[str, Tensor] = {}
    if document["tensors"] is not None:
        content = path.with_suffix(".safetensors").read_bytes()
        if hashlib.sha256(content).hexdigest() != document["tensors"]["sha256"]:
            raise ValueError("the tensors do not match their digest")
        tensors = load(content)
    return Artifact(tensors, document["record"], document["seconds"])


def _checked(path: Path, key: str) -> dict[str, Any]:
    """The record's document. Raises one of DAMAGE if it is not what was written."""
    document = json.loads(path.read_bytes())
    claimed = document.pop("digest")
    if claimed != digest(document) or document["key"] != key:
        raise ValueError("the record does not match its digest")
    return dict(document)
