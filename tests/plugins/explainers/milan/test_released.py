"""Released checkpoints: read whole, without spaCy, and without running what a file may hold."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from le_bench.errors import UnreadableFileError
from le_bench_plugins.explainers.milan.captioner import (
    Captioner,
    Description,
)
from le_bench_plugins.explainers.milan.decoder import DecoderSizes, LanguageModelSizes
from le_bench_plugins.explainers.milan.decoding import Decoding
from le_bench_plugins.explainers.milan.exemplars import View
from le_bench_plugins.explainers.milan.released import read_released
from le_bench_plugins.explainers.milan.vocabulary import Vocabulary

TOKENS = ("the", "of", "dogs", "red")


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
