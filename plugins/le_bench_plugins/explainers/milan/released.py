"""The checkpoints that the authors published, milan-*.pth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from le_bench.errors import UnreadableFileError
from le_bench_plugins.explainers.milan.backbones import BackboneName
from le_bench_plugins.explainers.milan.captioner import Captioner, Description, fill
from le_bench_plugins.explainers.milan.decoder import DecoderSizes, LanguageModelSizes
from le_bench_plugins.explainers.milan.decoding import Decoding
from le_bench_plugins.explainers.milan.plain_pickle import read_plain
from le_bench_plugins.explainers.milan.vocabulary import Vocabulary

BACKBONE = "encoder.encoder.model."  # where the authors' wrapper of hooks puts the network
KNOWN_BACKBONES = tuple(name for name in get_args(BackboneName) if name != "small")


def read_released(path: Path) -> Captioner:
    """The captioner of a released checkpoint, in eval mode.

    The vocabulary, the sizes and every tensor come from the file; spaCy's part, which only
    training needs, is skipped and no code of the file runs (`plain_pickle`). Raises
    MissingFileError, or UnreadableFileError if a tensor is missing, left over or misshapen.
    """
    content = read_plain(path)
    try:
        description = _describe(content["properties"])
        tensors = {_renamed(name): value for name, value in content["state_dict"].items()}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnreadableFileError(
            f"{path}: this is no checkpoint of MILAN ({type(error).__name__}: {error}); it needs "
            "properties and a state_dict, as in the authors' milan-*.pth"
        ) from error
    for name, value in tensors.items():
        if not isinstance(value, Tensor):
            raise UnreadableFileError(f"{path}: {name} is no tensor; fetch the file again")
    return fill(Captioner(description), tensors, path)


def _describe(properties: Mapping[str, Any]) -> Description:
    tokens = properties["indexer"]["properties"]["vocab"]["properties"]["tokens"]
    backbone = properties["encoder"]["properties"]["config"]
    if backbone not in KNOWN_BACKBONES:
        raise ValueError(f"encoder {backbone!r} is none of {', '.join(KNOWN_BACKBONES)}")
    language = properties["lm"]
    hidden = properties["hidden_size"]
    sizes = DecoderSizes(
        embedding=properties["embedding_size"],
        hidden=hidden,
        attention=properties["attention_hidden_size"] or hidden,
        dropout=properties["dropout"],
        language_model=None if language is None else _language_sizes(language["properties"]),
    )
    decoding = Decoding(
        properties["strategy"] or ("beam" if language is None else "rerank"),
        properties["temperature"] if language is not None else 0.0,
        properties["beam_size"],
        properties["length"],
    )
    return Description(Vocabulary(tuple(tokens)), backbone, sizes, decoding)


def _language_sizes(properties: Mapping[str, Any]) -> LanguageModelSizes:
    return LanguageModelSizes(
        properties["embedding_size"], properties["hidden_size"], properties["layers"]
    )


def _renamed(name: str) -> str:
    """The authors' name of a tensor as one of `Captioner`."""
    if name.startswith(BACKBONE):
        return f"encoder.model.{name.removeprefix(BACKBONE)}"
    return name if name.startswith("encoder.") else f"decoder.{name}"
