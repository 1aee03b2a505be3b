"""Torch files that hold foreign objects, read without running any code that they may hold.

`torch.load(weights_only=True)` runs no code either, but refuses a whole file for one foreign
object, and objects that are dictionaries, such as spaCy's configuration, even if they are allowed.
Here what a file says about a foreign object is skipped: an inert blank takes its place.
"""

from __future__ import annotations

import pickle
import pickletools
import zipfile
from collections import OrderedDict
from io import BytesIO
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from le_bench.errors import MissingFileError, UnreadableFileError

FOREIGN = ("spacy", "thinc", "confection")  # the packages whose objects become blanks
DTYPES = {
    f"{name}Storage": dtype
    for name, dtype in {
        "Float": torch.float32,
        "Half": torch.float16,
        "BFloat16": torch.bfloat16,
        "Double": torch.float64,
        "Long": torch.int64,
        "Int": torch.int32,
        "Byte": torch.uint8,
        "Bool": torch.bool,
    }.items()
}
_BY_LETTER = (  # how opcodes of plain data, and of calls that `_Reader` judges, begin
    "PROTO MARK STOP POP EMPTY_ NONE NEWTRUE NEWFALSE BININT LONG BINFLOAT BINUNICODE "
    "SHORT_BINUNICODE SHORT_BINSTRING BINSTRING SHORT_BINBYTES BINBYTES TUPLE APPEND SETITEM "
    "BINGET BINPUT MEMOIZE FRAME GLOBAL BINPERSID REDUCE BUILD NEWOBJ"
)
OPCODES = tuple(_BY_LETTER.split())
REFUSED_OPCODES = ("NEWOBJ_EX", "STACK_GLOBAL")


class _Refusal(type):
    """Makes classes that cannot be called."""

    def __call__(cls, *_arguments: object, **_options: object) -> NoReturn:
        """Refuse, whatever the arguments."""
        raise pickle.UnpicklingError("a foreign object would be called")


class Blank(metaclass=_Refusal):
    """What stands for a foreign object. It keeps nothing and can do nothing."""

    __slots__ = ()

    def __new__(cls, *_arguments: object) -> Blank:
        """A blank, whatever the arguments."""
        return object.__new__(cls)

    def __setstate__(self, _state: object) -> None:
        """Forget what the object held."""

    def __setitem__(self, _key: object, _value: object) -> None:
        """Forget an entry of a dictionary."""

    def append(self, _value: object) -> None:
        """Forget an item of a list."""

    def extend(self, _values: object) -> None:
        """Forget items of a list."""


class _Call:
    """A function that the file may call; nothing else can be done to it."""

    __slots__ = ("_function",)

    def __init__(self, function: Any) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        """What the function gives."""
        return self._function(*arguments)

    def __setstate__(self, _state: object) -> NoReturn:
        raise pickle.UnpicklingError("a function would be changed")


def read_plain(path: Path) -> Any:
    """What `torch.save` wrote: plain containers, numbers, texts, bytes and dense tensors.

    Objects of the packages `FOREIGN` become `Blank`; any other class or function, and any call but
    those that make tensors, ordered dictionaries and bytes, makes the file unreadable. Tensors
    come on the CPU. Raises MissingFileError or UnreadableFileError.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; check the path")
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive)
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise UnreadableFileError(
            f"{path}: this is no torch file of plain data ({lines[0] if lines else error!r}); "
            "fetch it again from where it was published"
        ) from error


def _read(archive: zipfile.ZipFile) -> Any:
    names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(names) != 1 or any(entry.compress_type for entry in archive.infolist()):
        raise pickle.UnpicklingError("not an archive by torch.save")
    content = archive.read(names[0])
    for opcode, _, _ in pickletools.genops(content):
        known = opcode.name.startswith(OPCODES) and opcode.name not in REFUSED_OPCODES
        if not known:
            raise pickle.UnpicklingError(f"it uses {opcode.name}, which plain data does not need")
    root = names[0].removesuffix("data.pkl")
    return _Reader(content, archive, root).load()


class _Reader(pickle.Unpickler):
    """The unpickler of one archive's data."""

    def __init__(self, content: bytes, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(BytesIO(content))
        self._archive, self._root = archive, root
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        """One of the few things that a file may name."""
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _Call(_tensor),
            ("torch._utils", "_rebuild_parameter"): _Call(lambda data, *_: data),
            ("_codecs", "encode"): _Call(_bytes),
        }
        if (module, name) in known:
            return known[module, name]
        if module.split(".", maxsplit=1)[0] in FOREIGN:
            return Blank
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is not data")

    def persistent_load(self, pid: Any) -> Tensor:
        """The numbers (n,) of a storage, read once."""
        kind, dtype, key, _device, count = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or not isinstance(key, str):
            raise pickle.UnpicklingError(f"it refers to {pid!r}")
        if key not in self._storages:
            content = bytearray(self._archive.read(f"{self._root}data/{key}"))
            if len(content) != count * dtype.itemsize:
                raise pickle.UnpicklingError(f"storage {key} has not {count} numbers")
            empty = torch.empty(0, dtype=dtype)
            self._storages[key] = torch.frombuffer(content, dtype=dtype) if count else empty
        return self._storages[key]


def _tensor(
    storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_rest: object
) -> Tensor:
    """A tensor over a storage; torch refuses one that reaches beyond it."""
    return torch.as_strided(storage, size, stride, offset).clone()


def _bytes(text: str, encoding: str) -> bytes:
    """How protocol 2 writes bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes come as latin1, not {encoding}")
    return text.encode("latin1")
