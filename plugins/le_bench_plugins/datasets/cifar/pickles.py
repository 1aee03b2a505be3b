"""The pickles of CIFAR, read without running any code that a file may hold."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from le_bench.errors import MissingFileError, UnreadableFileError

BYTES = ("u1", b"u1", "|u1")


class _Dtype:
    """Stands for a numpy dtype; only bytes are understood."""

    def __init__(self, name: object, *_options: object) -> None:
        if name not in BYTES:
            raise pickle.UnpicklingError(f"an array of {name!r} instead of bytes")

    def __setstate__(self, _state: object) -> None:
        """Byte order and the like mean nothing to bytes."""


class _Array:
    """Stands for a numpy array of bytes; `values` once it is filled."""

    values: np.ndarray

    def __init__(self, *_arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        """Take shape and content."""
        match state:
            case (int(), tuple() as shape, _Dtype(), bool() | int() as by_column, bytes() as raw):
                if not all(isinstance(n, int) and n >= 0 for n in shape) or prod(shape) != len(raw):
                    raise pickle.UnpicklingError("an array whose shape is not that of its bytes")
                flat = np.frombuffer(raw, np.uint8)
                self.values = flat.reshape(shape, order="F" if by_column else "C")
            case _:
                raise pickle.UnpicklingError("an array in an unknown form")


class _Encoded:
    """Stands for the call by which Python 3 writes bytes in old pickles; gives the bytes."""

    def __new__(cls, text: object, encoding: object) -> Any:
        """The bytes of a text of characters up to 255."""
        if not isinstance(text, str) or encoding != "latin1":
            raise pickle.UnpicklingError("text in an unknown encoding")
        return text.encode("latin1")

    def __setstate__(self, _state: object) -> None:
        """Found when a file tries to change the class itself, and then called wrongly."""


class _Nothing:
    """Stands for the class of arrays, which is named but not called."""

    def __setstate__(self, _state: object) -> None:
        """Found when a file tries to change the class itself, and then called wrongly."""


STAND_INS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Nothing,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Encoded,
}


class _Plain(pickle.Unpickler):
    """Knows four names, none of which leads to code outside this module."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in of a name; any other name is refused."""
        if (module, name) not in STAND_INS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return STAND_INS[module, name]


def read_pickle(path: Path) -> dict[str, Any]:
    """A dictionary of texts, numbers, lists and uint8 arrays; byte strings become text.

    Raises MissingFileError or UnreadableFileError, also for a file that holds anything else.
    """
    try:
        content = _Plain(BytesIO(path.read_bytes()), encoding="bytes").load()
        plain = _plain(content)
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file; unpack the archive again") from None
    except Exception as error:  # a damaged pickle raises whatever its opcodes stumble over
        raise UnreadableFileError(
            f"{path}: this is no file of CIFAR ({str(error) or type(error).__name__}); unpack the "
            "archive again"
        ) from error
    if not isinstance(plain, dict):
        raise UnreadableFileError(f"{path}: this is no file of CIFAR; unpack the archive again")
    return plain


def _plain(value: Any) -> Any:
    match value:
        case bytes():
            return value.decode("utf-8")
        case dict():
            return {_plain(key): _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case _Array():
            return value.values
        case str() | int() | float() | None:
            return value
        case _:
            raise pickle.UnpicklingError(f"a {type(value).__name__}")
