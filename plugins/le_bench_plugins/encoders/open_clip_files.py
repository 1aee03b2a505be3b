"""The files that open_clip looks for on a server: weights and what tokenizers need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download

from le_bench.networks.hosted import AddressedFile, HostedFile, HubFile, require_online

WEIGHTS_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
VOCABULARIES = (
    "tokenizer.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.txt",
    "vocab.json",
)
SETTINGS = (
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
)


def weights_of(tag: Mapping[str, Any]) -> HostedFile:
    """The file of weights of a pretrained tag, by the names under which open_clip looks for it."""
    if "file" in tag:
        return LocalFile(Path(tag["file"]))
    repository, _, name = str(tag.get("hf_hub", "")).rpartition("/")
    if not repository:
        return AddressedFile(str(tag["url"]))
    names = (str(Path(name).with_suffix(".safetensors")), name) if name else WEIGHTS_NAMES
    return HubFile(repository, names)


@dataclass(frozen=True)
class LocalFile:
    """A file of weights that a tag of open_clip names itself."""

    place: Path

    def path(self) -> Path | None:
        """Its place, if it lies there."""
        return self.place if self.place.is_file() else None

    def fetch(self) -> None:
        """Nobody knows where it comes from."""
        raise OSError("it has no address")

    def advice(self) -> str:
        """Where to put it."""
        return f"put it at {self.place}"


@dataclass(frozen=True)
class TokenizerFiles:
    """The vocabulary and the settings of a tokenizer on Hugging Face."""

    repository: str

    def path(self) -> Path | None:
        """The vocabulary, if it lies in that library's cache."""
        return HubFile(self.repository, VOCABULARIES).path()

    def fetch(self) -> None:
        """Download them, without the weights that may lie beside them."""
        require_online()
        snapshot_download(self.repository, allow_patterns=[*VOCABULARIES, *SETTINGS])

    def advice(self) -> str:
        """How to get them onto a machine without network."""
        return HubFile(self.repository).advice()
