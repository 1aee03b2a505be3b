"""Records to JSON text and back: strict decoding, migration, and folders read with all faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from le_bench.boards.files import (
    RESTORE,
    ResultError,
    dump_json,
    faults_message,
    load_json,
    write_text,
)
from le_bench.boards.records import SCHEMA

R = TypeVar("R")

Migration = Callable[[dict[str, Any]], dict[str, Any]]

_SHOWN = 10


@dataclass(frozen=True)
class RecordKind(Generic[R]):
    """One kind of record on disk: what it is called, its type and where each one lies.

    `migrations` turn a document of schema n into one of schema n + 1.
    """

    what: str
    record: type[R]
    place: Callable[[Path, R], Path]
    migrations: Mapping[int, Migration] = field(default_factory=dict)

    @cached_property
    def adapter(self) -> TypeAdapter[R]:
        """What decodes and checks a record; made once for a thousand files."""
        return TypeAdapter(self.record)


def encode(record: object) -> str:
    """A record as the JSON text that is committed."""
    return dump_json(TypeAdapter(type(record)).dump_python(record, mode="json"))


def decode(text: str, kind: RecordKind[R]) -> R:
    """The record of a JSON text of any known schema.

    Raises ValueError with every fault of the document.
    """
    try:
        document = load_json(text)
    except ValueError as error:
        raise ValueError(f"{error}; {RESTORE}") from None
    if not isinstance(document, dict):
        raise ValueError(f"not a JSON object; {RESTORE}")
    current = _migrate(document, kind.migrations)
    current_text = text if current is document else json.dumps(current)
    try:
        return kind.adapter.validate_json(current_text, strict=True)
    except ValidationError as error:
        raise ValueError(f"{say_faults(error)}; {RESTORE}") from None


def say_faults(error: ValidationError) -> str:
    """The first faults of a record in plain words, in one line."""
    details = error.errors(include_url=False)
    lines = [_say(detail["loc"], detail["msg"]) for detail in details[:_SHOWN]]
    if len(details) > _SHOWN:
        lines.append(f"and {len(details) - _SHOWN} more")
    return "; ".join(lines)


def _say(place: Sequence[int | str], message: str) -> str:
    """One fault in plain words, such as `score.mean: input should be a valid number`."""
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    text = message.removeprefix("Value error, ")
    text = {
        "Unexpected keyword argument": "unknown field",
        "Field required": "field is missing",
        "Missing required argument": "field is missing",
    }.get(text, text[:1].lower() + text[1:])
    return f"{where.lstrip('.')}: {text}" if where else text


def _migrate(document: dict[str, Any], migrations: Mapping[int, Migration]) -> dict[str, Any]:
    """The document brought to the current schema, one version at a time."""
    while True:
        schema = document.get("schema")
        if type(schema) is not int:
            raise ValueError(f"schema is {schema!r}, not a whole number; {RESTORE}")
        if schema == SCHEMA:
            return document
        if schema > SCHEMA:
            raise ValueError(
                f"schema {schema} is newer than this le_bench knows ({SCHEMA}); upgrade le_bench"
            )
        if schema not in migrations:
            raise ValueError(
                f"schema {schema} is older than this le_bench can migrate; delete the file and "
                "run `le-bench run` again"
            )
        document = migrations[schema](document)
        if document.get("schema") != schema + 1:
            raise TypeError(f"the migration of schema {schema} does not give {schema + 1}")


def read_records(
    folder: Path,
    paths: Iterable[Path],
    kind: RecordKind[R],
    together: Callable[[list[R]], list[str]] = lambda _: [],
) -> list[R]:
    """The records of these files, by path; `together` finds faults of all of them as a set.

    Raises ResultError with every fault of every file.
    """
    records, faults = [], []
    for path in sorted(paths):
        try:
            record = decode(path.read_text(encoding="utf-8"), kind)
        except UnicodeDecodeError:
            fault = f"not UTF-8 text; {RESTORE}"
        except ValueError as error:
            fault = str(error)
        except OSError as error:
            fault = f"cannot be read ({error.strerror}); {RESTORE}"
        else:
            records.append(record)
            belongs = kind.place(folder, record)
            if belongs == path:
                continue
            right = belongs.relative_to(folder).as_posix()
            fault = f"its content belongs in {right}; move it or delete it"
        faults.append(f"{path.relative_to(folder).as_posix()}: {fault}")
    faults += together(records)
    if faults:
        raise ResultError(faults_message(kind.what, folder, faults))
    return records


def read_if_sound(path: Path, kind: RecordKind[R]) -> R | None:
    """The record of a file, or None if there is none that can be used."""
    try:
        return decode(path.read_text(encoding="utf-8"), kind)
    except (OSError, ValueError):  # it is about to be replaced, so what ails it does not matter
        return None


def write_record(folder: Path, record: R, kind: RecordKind[R]) -> bool:
    """Write a record where it belongs, atomically; say whether the file changed."""
    return write_text(kind.place(folder, record), encode(record))


def remove(path: Path) -> bool:
    """Delete a file if it is there; say whether it was."""
    gone = partial(path.unlink, missing_ok=True)
    existed = path.is_file()
    try:
        gone()
    except OSError as error:
        raise ResultError(
            f"cannot delete {path}: {error.strerror}; delete it by hand, then run the same "
            "command again"
        ) from error
    return existed
