"""Released checkpoints: read whole, without spaCy, and without running what a file may hold."""

from __future__ import annotations

import os
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from le_bench.errors import BenchError, MissingFileError, UnreadableFileError
from le_bench_plugins.explainers.milan.captioner import (
    Captioner,
    Description,
    load_captioner,
    save_captioner,
)
from le_bench_plugins.explainers.milan.decoder import DecoderSizes, LanguageModelSizes
from le_bench_plugins.explainers.milan.decoding import Decoding
from le_bench_plugins.explainers.milan.exemplars import View
from le_bench_plugins.explainers.milan.plain_pickle import Blank, read_plain
from le_bench_plugins.explainers.milan.released import read_released
from le_bench_plugins.explainers.milan.vocabulary import Vocabulary

TOKENS = ("the", "of", "dogs", "red")


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> type[dict[str, Any]]:
    """A dictionary class with state, in a module named like the one of spaCy's configuration."""
    module = ModuleType("thinc.config")

    class Config(dict[str, Any]):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.is_interpolated = True

    Config.__module__, Config.__qualname__ = "thinc.config", "Config"
    module.Config = Config  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "thinc", ModuleType("thinc"))
    monkeypatch.setitem(sys.modules, "thinc.config", module)
    return Config


def make_released(config: type[dict[str, Any]], language: bool = True) -> dict[str, Any]:
    """What the authors save: properties, children, and the root's state_dict alone."""
    torch.manual_seed(0)
    sizes = DecoderSizes(embedding=6, hidden=8, attention=8, dropout=0.5)
    small = LanguageModelSizes(5, 7, 2) if language else None
    sizes = DecoderSizes(1024, 6, 8, 8, 0.5, small)
    captioner = Captioner(Description(Vocabulary(TOKENS), "resnet18", sizes))
    state: OrderedDict[str, torch.Tensor] = OrderedDict()
    for name, value in captioner.state_dict().items():
        part, rest = name.split(".", 1)
        if part == "encoder":
            rest = f"encoder.{rest}" if rest in ("mean", "std") else f"encoder.encoder.{rest}"
        state[rest] = value
    state._metadata = OrderedDict({"": {"version": 1}})  # type: ignore[attr-defined]
    nlp = (config({"nlp": {"lang": "en"}, "paths": {"train": None}}), b"\x00vocab\xff" * 3)
    indexer = {
        "properties": {
            "vocab": {"properties": {"tokens": TOKENS}, "children": {}},
            "tokenize": {"properties": {"nlp": nlp, "lemmatize": False}, "children": {}},
            "start": True,
            "length": 15,
        },
        "children": {},
    }
    lm = {
        "properties": {
            "indexer": indexer,
            "embedding_size": 5,
            "hidden_size": 7,
            "layers": 2,
            "dropout": 0.5,
        },
        "children": {},
    }
    return {
        "properties": {
            "indexer": indexer,
            "encoder": {"properties": {"config": "resnet18", "pretrained": True}, "children": {}},
            "lm": lm if language else None,
            "embedding_size": 6,
            "hidden_size": 8,
            "attention_hidden_size": None,
            "dropout": 0.5,
            "length": 12,
            "strategy": "rerank" if language else None,
            "temperature": 0.3,
            "beam_size": 20,
        },
        "children": {"encoder": "PyramidConvEncoder"},
        "state_dict": state,
    }


def test_released_checkpoints_load_with_every_tensor_used(
    config: type[dict[str, Any]], tmp_path: Path
) -> None:
    """Words, sizes, settings and each tensor are the file's, though spaCy is not there."""
    content = make_released(config)
    path = tmp_path / "milan-base.pth"
    torch.save(content, path)
    with pytest.raises(pickle.UnpicklingError):  # torch's own reader cannot
        torch.load(path, weights_only=True)

    captioner = read_released(path)

    assert captioner.description == Description(
        Vocabulary(TOKENS),
        "resnet18",
        DecoderSizes(3904, 6, 8, 8, 0.5, LanguageModelSizes(5, 7, 2)),
        Decoding("rerank", 0.3, 20, 12),
        View(224, 256),
    )
    ours = captioner.state_dict()
    theirs = content["state_dict"]
    assert len(ours) == len(theirs)
    for value, expected in zip(ours.values(), theirs.values(), strict=True):
        assert torch.equal(value, expected)
    assert not captioner.training


def test_checkpoints_without_a_language_model_search_beams(
    config: type[dict[str, Any]], tmp_path: Path
) -> None:
    """They cannot rerank."""
    path = tmp_path / "milan.pth"
    torch.save(make_released(config, language=False), path)

    assert read_released(path).description.decoding == Decoding("beam", 0.0, 20, 12)


SPOILT: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "missing": (
        lambda c: c["state_dict"].pop("init_h.0.bias"),
        "1 missing (decoder.init_h.0.bias)",
    ),
    "left over": (
        lambda c: c["state_dict"].update(surprise=torch.ones(2)),
        "1 unexpected (decoder.surprise)",
    ),
    "misshapen": (
        lambda c: c["state_dict"].update({"embedding.weight": torch.ones(3, 6)}),
        "1 of another shape (decoder.embedding.weight (3, 6) for (8, 6))",
    ),
    "no tensor": (
        lambda c: c["state_dict"].update({"embedding.weight": 3}),
        "decoder.embedding.weight is no tensor",
    ),
    "no words": (
        lambda c: c["properties"]["indexer"]["properties"].pop("vocab"),
        "this is no checkpoint of MILAN (KeyError: 'vocab')",
    ),
    "other encoder": (
        lambda c: c["properties"]["encoder"]["properties"].update(config="vit"),
        "encoder 'vit' is none of resnet18, resnet50, resnet101, alexnet",
    ),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_checkpoints_that_do_not_fit_are_refused(
    fault: str, config: type[dict[str, Any]], tmp_path: Path
) -> None:
    """Every tensor has to find its place, and every place its tensor."""
    content = make_released(config)
    spoil, message = SPOILT[fault]
    spoil(content)
    path = tmp_path / "milan.pth"
    torch.save(content, path)

    with pytest.raises(UnreadableFileError) as caught:
        read_released(path)

    assert message in str(caught.value)


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


def test_captioners_are_saved_and_loaded(tmp_path: Path) -> None:
    """One safetensors file holds the description and half-precision numbers."""
    torch.manual_seed(0)
    sizes = DecoderSizes(312, 6, 8, 5, 0.5, LanguageModelSizes(5, 7, 1))
    description = Description(
        Vocabulary(TOKENS), "small", sizes, Decoding("beam", 0.1, 9, 7), View(64, None)
    )
    captioner = Captioner(description)
    path = tmp_path / "mine.safetensors"

    save_captioner(captioner, path)

    loaded = load_captioner(path)
    assert loaded.description == description
    for name, value in loaded.state_dict().items():
        expected = captioner.state_dict()[name]
        expected = expected.half().float() if expected.is_floating_point() else expected
        assert torch.equal(value, expected)


def test_what_is_no_captioner_is_refused(tmp_path: Path) -> None:
    """Missing files, other safetensors and other files each have their message."""
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"no")

    with pytest.raises(MissingFileError, match="no such file; check the path"):
        load_captioner(tmp_path / "none.safetensors")
    with pytest.raises(MissingFileError, match="no such file; check the path"):
        read_released(tmp_path / "none.pth")
    with pytest.raises(BenchError, match="this is no captioner in a safetensors file"):
        load_captioner(other)
