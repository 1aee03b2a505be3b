"""What the open_clip encoder needs from elsewhere: weights, tokenizers, and a package."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import huggingface_hub.constants
import pytest
import torch

from le_bench.errors import MissingFileError
from le_bench_plugins.encoders.open_clip import OpenCLIPEncoder

from .tiny_clip import TEXTS, draw_images

CPU = torch.device("cpu")
SIGLIP = OpenCLIPEncoder("ViT-L-16-SigLIP-384", "webli")
NO_PACKAGE = (
    "its tokenizer needs the package transformers; install it with `pip install 'le-bench[hf]'`"
)
HERE = "where there is network and copy its cache folder here (`HF_HOME` names it, else "
HERE += "~/.cache/huggingface)"
FETCHED = "not on this machine; `le-bench run` fetches them if it has network; by hand: "
WEIGHTS = f"run `hf download timm/ViT-L-16-SigLIP-384` {HERE}"
TOKENIZER = f"run `hf download timm/ViT-B-16-SigLIP` {HERE}"
OR_CHECKPOINT = "; or give the file of weights as `checkpoint`"


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache of Hugging Face without network, and the package transformers."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    package = ModuleType("transformers")
    package.__spec__ = ModuleSpec("transformers", None)
    monkeypatch.setitem(sys.modules, "transformers", package)
    return tmp_path


def keep(cache: Path, repository: str, name: str) -> None:
    """Put an empty file of a repository into the cache."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0" * 40)
    (folder / "snapshots" / ("0" * 40)).mkdir(parents=True)
    (folder / "snapshots" / ("0" * 40) / name).write_bytes(b"")


def messages(encoder: OpenCLIPEncoder) -> list[str]:
    """What fetching, images and texts each complain of."""
    found: list[str] = []
    for call in (
        encoder.fetch,
        lambda: encoder.encode_images(draw_images(), CPU),
        lambda: encoder.encode_texts(TEXTS, CPU),
    ):
        with pytest.raises(MissingFileError) as caught:
            call()
        found.append(str(caught.value))
    return found


def test_weights_that_cannot_be_fetched() -> None:
    """The message says what to fetch, how, what to do otherwise, and why it failed."""
    encoder = OpenCLIPEncoder("ViT-B-32", "laion2b_s34b_b79k")

    missing, failed = encoder.missing(), messages(encoder)

    assert missing == (
        f"open-clip ViT-B-32/laion2b_s34b_b79k: its weights are {FETCHED}run `hf download "
        f"laion/CLIP-ViT-B-32-laion2B-s34B-b79K` {HERE}{OR_CHECKPOINT}"
    )
    assert failed == [f"{missing} (the download failed: HF_HUB_OFFLINE is set)"] * 3


def test_everything_that_is_missing_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package that reads the tokenizer nothing is downloaded."""
    monkeypatch.setitem(sys.modules, "transformers", None)

    missing, failed = SIGLIP.missing(), messages(SIGLIP)

    assert missing == (
        f"open-clip ViT-L-16-SigLIP-384/webli: {NO_PACKAGE}; its weights and tokenizer's files "
        f"are {FETCHED}{WEIGHTS}, and {TOKENIZER}{OR_CHECKPOINT}"
    )
    assert failed == [missing] * 3


def test_a_tokenizer_that_is_missing(cache: Path) -> None:
    """It lies in a repository of its own, and is needed beside a checkpoint too."""
    weights = cache / "weights.safetensors"
    weights.write_bytes(b"")
    keep(cache, "timm/ViT-L-16-SigLIP-384", "open_clip_model.safetensors")

    by_tag = SIGLIP.missing()
    by_file = OpenCLIPEncoder(SIGLIP.model, "webli", checkpoint=weights).missing()

    assert by_tag == by_file
    assert by_tag == (
        f"open-clip ViT-L-16-SigLIP-384/webli: its tokenizer's files are {FETCHED}{TOKENIZER}"
    )


@pytest.mark.parametrize("name", ["tokenizer.json", "spiece.model"])
def test_nothing_is_missing(cache: Path, name: str) -> None:
    """Weights and a vocabulary in the cache are enough; nothing is fetched then."""
    keep(cache, "timm/ViT-L-16-SigLIP-384", "open_clip_pytorch_model.bin")
    keep(cache, "timm/ViT-B-16-SigLIP", name)

    SIGLIP.fetch()

    assert SIGLIP.missing() == ""


def test_weights_under_a_name_of_their_own(cache: Path) -> None:
    """Some tags name the file, or its safer form lies beside it."""
    encoder = OpenCLIPEncoder("ViTamin-S", "datacomp1b")
    keep(cache, "jienengchen/ViTamin-S", "pytorch_model.bin")

    missing = encoder.missing()

    assert missing == ""


def test_a_missing_package_of_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of SigLIP needs it too; its files lie in the folder."""
    monkeypatch.setitem(sys.modules, "transformers", None)

    missing = OpenCLIPEncoder("my siglip", checkpoint=folder).missing()

    assert missing == f"open-clip my siglip: {NO_PACKAGE}"
