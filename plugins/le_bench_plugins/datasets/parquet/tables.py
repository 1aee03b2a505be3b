"""What stands in parquet files of images: columns, labels, and the names of classes."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from le_bench.errors import BenchError, MissingFileError, UnreadableFileError, unknown_name

if TYPE_CHECKING:
    import pyarrow as pa

REWRITE = "write it with `datasets.Dataset.to_parquet`, or name another column"


@dataclass(frozen=True, eq=False)
class Part:
    """One parquet file: its footer and its columns."""

    path: Path
    footer: Any
    schema: pa.Schema


def require_pyarrow() -> None:
    """Refuse early what would fail as an ImportError."""
    if importlib.util.find_spec("pyarrow") is None:
        raise BenchError(
            "parquet files are read by the package pyarrow, which is not installed; install it "
            "with `pip install 'le-bench[datasets]'`"
        )


def open_parts(paths: Sequence[Path]) -> list[Part]:
    """The footers of these files. Raises UnreadableFileError for one that is no parquet file."""
    require_pyarrow()
    import pyarrow as pa  # noqa: PLC0415  # an extra
    from pyarrow import parquet  # noqa: PLC0415  # an extra

    parts = []
    for path in paths:
        try:
            with parquet.ParquetFile(path) as file:
                parts.append(Part(path, file.metadata, file.schema_arrow))
        except FileNotFoundError:
            raise MissingFileError(f"{path}: no such file; check the path") from None
        except (pa.ArrowException, OSError) as error:
            raise _damaged(path, error) from error
    return parts


def require_images(part: Part, column: str) -> None:
    """Refuse a column that holds no image files: neither bytes nor a struct with `bytes`."""
    import pyarrow as pa  # noqa: PLC0415  # an extra

    kind = _column_type(part, column, "image")
    if pa.types.is_struct(kind):
        names = [kind.field(number).name for number in range(kind.num_fields)]
        if "bytes" not in names:
            raise BenchError(
                f"{part.path}: column '{column}' has {', '.join(names)} instead of the bytes of "
                f"image files; {REWRITE} as `image`"
            )
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise BenchError(
            f"{part.path}: column '{column}' holds {kind}, not the bytes of image files; {REWRITE} "
            "as `image`"
        )


def read_labels(parts: Sequence[Part], column: str) -> np.ndarray:
    """Labels (N,) of all rows: int64, or text as objects.

    Raises BenchError for another type or an empty cell.
    """
    import pyarrow as pa  # noqa: PLC0415  # an extra
    from pyarrow import parquet  # noqa: PLC0415  # an extra

    collected = []
    for part in parts:
        kind = _column_type(part, column, "label")
        number, text = pa.types.is_integer(kind), pa.types.is_string(kind)
        if not (number or text or pa.types.is_large_string(kind)):
            raise BenchError(
                f"{part.path}: column '{column}' holds {kind}, not a class's number or name; "
                'name another column as `label`, or give `label = ""` for images without labels'
            )
        try:
            with parquet.ParquetFile(part.path) as file:
                cells = file.read(columns=[column]).column(0)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(part.path, error) from error
        if cells.null_count:
            raise BenchError(
                f"{part.path}: column '{column}' is empty in {cells.null_count} rows; label them "
                "or leave them out"
            )
        values = cells.to_numpy()
        collected.append(values.astype(np.int64) if number else values.astype(object))
    return np.concatenate(collected)


def class_names(parts: Sequence[Part], column: str) -> tuple[str, ...]:
    """The names that Hugging Face's metadata gives to the numbers in a column; empty without any.

    Raises BenchError if files name the classes differently.
    """
    names = [_class_names(part, column) for part in parts]
    for part, own in zip(parts, names, strict=True):
        if own != names[0]:
            raise BenchError(
                f"{part.path}: names other classes than {parts[0].path}; keep the parts of one "
                "writing"
            )
    return names[0]


def _class_names(part: Part, column: str) -> tuple[str, ...]:
    text = (part.schema.metadata or {}).get(b"huggingface")
    if text is None:
        return ()
    try:
        feature = json.loads(text)["info"]["features"].get(column) or {}
        if feature.get("_type") != "ClassLabel":
            return ()
        names = feature["names"]
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise TypeError("names of classes are no list of texts")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableFileError(
            f"{part.path}: its metadata of Hugging Face cannot be read ({error}); write the file "
            "anew"
        ) from error
    return tuple(names)


def _column_type(part: Part, column: str, option: str) -> pa.DataType:
    if column not in part.schema.names:
        raise BenchError(
            f"{part.path}: {unknown_name('column', column, part.schema.names)}; name it as "
            f"`{option}`"
        )
    return part.schema.field(column).type


def _damaged(path: Path, error: Exception) -> UnreadableFileError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return UnreadableFileError(
        f"{path}: this is no whole parquet file ({reason}); fetch or write it again"
    )
