"""Probe images in memory and in files."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from le_bench.errors import UnreadableFileError
from le_bench.types import require

DECODE_FAILURES = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    IndexError,
    Image.DecompressionBombError,
)
LISTED = 10
REPLACE = "replace or remove what is damaged"
REPLACE_OR_SKIP = f"{REPLACE}, or leave it out with `skip_unreadable = true`"


@dataclass(frozen=True, eq=False)
class ArrayImages:
    """Images of one size held in memory: `values` (N, height, width, 3) uint8 RGB."""

    values: np.ndarray

    def __post_init__(self) -> None:
        require(
            self.values.dtype == np.uint8 and self.values.ndim == 4 and self.values.shape[3] == 3,
            f"images are {self.values.dtype} of shape {self.values.shape}, "
            "not uint8 (images, height, width, 3)",
        )

    def __len__(self) -> int:
        """Number of images."""
        return len(self.values)

    def read(self, rows: Sequence[int]) -> list[np.ndarray]:
        """Copies of these rows."""
        return list(self.values[list(rows)])


@dataclass(frozen=True, eq=False)
class EncodedImages:
    """Image files (JPEG, PNG) back to back in `blob`; the i-th is blob[offsets[i]:offsets[i+1]].

    `origin` is named in errors.
    """

    blob: np.ndarray
    offsets: np.ndarray
    origin: str

    def __len__(self) -> int:
        """Number of images."""
        return len(self.offsets) - 1

    def read(self, rows: Sequence[int]) -> list[np.ndarray]:
        """These rows, decoded. Raises UnreadableFileError that names the damaged ones."""

        def decode(row: int) -> np.ndarray:
            start, end = self.offsets[row : row + 2]
            return decode_image(io.BytesIO(self.blob[start:end].tobytes()))

        return read_each(rows, decode, lambda row: f"{self.origin}, image {row}")


@dataclass(frozen=True, eq=False)
class FileImages:
    """Image files, read when needed, whatever their mode, as RGB; `advice` ends errors."""

    paths: tuple[Path, ...]
    advice: str = REPLACE

    def __len__(self) -> int:
        """Number of images."""
        return len(self.paths)

    def read(self, rows: Sequence[int]) -> list[np.ndarray]:
        """These rows, decoded. Raises UnreadableFileError that names the damaged ones."""
        return read_each(rows, lambda row: decode_image(self.paths[row]), self.title, self.advice)

    def title(self, row: int) -> str:
        """The file of an image."""
        return str(self.paths[row])

    def take(self, rows: Sequence[int]) -> FileImages:
        """Some of the images, numbered anew."""
        return FileImages(tuple(self.paths[row] for row in rows), self.advice)


def decode_image(source: Path | io.BytesIO) -> np.ndarray:
    """The first frame as (height, width, 3) uint8 RGB.

    Orientation tags are not obeyed, as in torchvision's ImageFolder; transparency is dropped.
    """
    with Image.open(source) as picture:
        return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))


def read_each(
    rows: Sequence[int],
    decode: Callable[[int], np.ndarray],
    title: Callable[[int], str],
    advice: str = REPLACE,
) -> list[np.ndarray]:
    """These rows, decoded one by one.

    Raises one UnreadableFileError with the titles of all for which `decode` raises one of
    DECODE_FAILURES, and `advice`.
    """
    pixels: list[np.ndarray] = []
    faults: list[str] = []
    cause: Exception | None = None
    for row in rows:
        try:
            pixels.append(decode(row))
        except DECODE_FAILURES as error:
            cause = error
            reason = str(error).strip().splitlines() or [type(error).__name__]
            faults.append(f"{title(row)} ({reason[0]})")
    if faults:
        rest = f"; and {len(faults) - LISTED} more" if len(faults) > LISTED else ""
        raise UnreadableFileError(
            f"cannot read {'; '.join(faults[:LISTED])}{rest}; {advice}"
        ) from cause
    return pixels
