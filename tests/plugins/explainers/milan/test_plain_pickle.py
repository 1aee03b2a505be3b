"""Torch files are read as plain data: nothing that a file names is run."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from le_bench.errors import UnreadableFileError
from le_bench_plugins.explainers.milan.plain_pickle import Blank, read_plain


class Hostile:
    """Pickles as a call of a function with arguments."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def _attack(opcodes: bytes) -> Callable[[Path], None]:
    """An archive like torch's around hand-written opcodes."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", opcodes)

    return write


def _saved(content: Callable[[], Any]) -> Callable[[Path], None]:
    return lambda path: torch.save(content(), path)


CANARY = "touched"
STORAGE = torch.ones(3)._typed_storage()  # type: ignore[no-untyped-call]


BEYOND = (torch._utils._rebuild_tensor_v2, STORAGE, 0, (9,), (1,), False, OrderedDict())
GLOBAL_SPACY = b"cspacy.util\nload\n"


ATTACKS: dict[str, tuple[Callable[[Path], None], str]] = {
    "os.system": (
        _saved(lambda: {"x": Hostile(os.system, f"touch {CANARY}")}),
        "system, which is not data",
    ),
    "eval": (_saved(lambda: Hostile(eval, f"open('{CANARY}', 'w')")), "which is not data"),
    "getattr chain": (
        _saved(lambda: Hostile(getattr, nn.Linear, "__init__")),
        "getattr, which is not data",
    ),
    "a module of ours": (
        _saved(lambda: Hostile(read_plain, Path(CANARY))),
        "which is not data",
    ),
    "torch function": (_saved(lambda: Hostile(torch.load, CANARY)), "which is not data"),
    "codecs": (_attack(b"\x80\x02c_codecs\ndecode\n."), "it names _codecs.decode"),
    "dotted name": (
        _attack(b"\x80\x04\x8c\x05torch\x8c\x0bhub.os.path\x93."),
        "it uses STACK_GLOBAL, which plain data does not need",
    ),
    "call of a foreign function": (
        _attack(b"\x80\x02" + GLOBAL_SPACY + b"X\x02\x00\x00\x00en\x85R."),
        "a foreign object would be called",
    ),
    "foreign instance by INST": (
        _attack(b"(S'en'\nispacy.util\nload\n."),
        "which plain data does not need",
    ),
    "foreign instance by OBJ": (
        _attack(b"\x80\x02(" + GLOBAL_SPACY + b"X\x02\x00\x00\x00eno."),
        "it uses OBJ, which plain data does not need",
    ),
    "call of a foreign instance": (
        _attack(b"\x80\x02" + GLOBAL_SPACY + b")\x81)R."),
        "not callable",
    ),
    "change of a function": (
        _attack(b"\x80\x02c_codecs\nencode\n}X\x01\x00\x00\x00aK\x01sb."),
        "a function would be changed",
    ),
    "extension code": (_attack(b"\x80\x02\x82\x01."), "it uses EXT1"),
    "tensor beyond its storage": (
        _saved(lambda: Hostile(*BEYOND)),
        "out of bounds",
    ),
    "bare pickle": (
        lambda path: path.write_bytes(pickle.dumps(Hostile(os.system, f"touch {CANARY}"))),
        "File is not a zip file",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_files_are_refused(
    attack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that a file names is called, however it is written."""
    monkeypatch.chdir(tmp_path)
    write, message = ATTACKS[attack]
    path = tmp_path / "milan.pth"
    write(path)

    with pytest.raises(UnreadableFileError) as caught:
        read_plain(path)

    assert message in str(caught.value)
    assert "this is no torch file of plain data" in str(caught.value)
    assert not (tmp_path / CANARY).exists()


def test_storages_that_lie_about_their_size_are_refused(tmp_path: Path) -> None:
    """A tensor cannot reach beyond the bytes that the archive holds."""
    path, spoilt = tmp_path / "good.pth", tmp_path / "bad.pth"
    torch.save({"x": torch.arange(100.0)}, path)
    with zipfile.ZipFile(path) as good, zipfile.ZipFile(spoilt, "w") as bad:
        for name in good.namelist():
            content = good.read(name)
            bad.writestr(name, content[:40] if name.endswith("data/0") else content)

    with pytest.raises(UnreadableFileError, match="storage 0 has not 100 numbers"):
        read_plain(spoilt)


def test_plain_data_comes_back_as_it_was(config: type[dict[str, Any]], tmp_path: Path) -> None:
    """Views, types and containers come back; foreign objects are blanks that keep nothing."""
    base = torch.arange(24.0).reshape(4, 6)
    content = {
        "view": base[1:3, ::2],
        "base": base,
        "half": torch.ones(2).half(),
        "whole": torch.tensor([1, 2**40]),
        "truth": torch.tensor([True]),
        "nothing": torch.empty(0, 3),
        "parameter": nn.Parameter(torch.ones(2)),
        "plain": [1, 2.5, "ü", b"\x00\xff", None, True, (3, {"a": -1}), 2**70],
        "foreign": config({"a": 1}),
    }
    path = tmp_path / "plain.pt"
    torch.save(content, path)

    read = read_plain(path)

    for name, value in content.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(read[name], value.detach())
            assert read[name].dtype == value.dtype
    assert read["plain"] == content["plain"]
    assert isinstance(read["foreign"], Blank)
