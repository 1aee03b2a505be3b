"""What the open_clip encoder refuses, and in which words."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from le_bench.errors import BenchError, UnreadableFileError
from le_bench_plugins.encoders.open_clip import OpenCLIPEncoder

from .tiny_clip import CONFIGURATION, TEXTS, draw_images

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"a": 3.0}, "give both `a` and `b`, or neither"),
        ({"a": 0.0, "b": 1.0}, "a is 0.0; it must be a number other than 0"),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        (
            {"template": "a photo"},
            "template is 'a photo'; it must hold {} once, where the text goes",
        ),
        (
            {"pretrained": ""},
            "ViT-B-32 would have random weights; give `pretrained` (a tag of open_clip) or "
            "`checkpoint` (a file or folder)",
        ),
    ],
)
def test_senseless_options_are_refused(options: dict[str, object], message: str) -> None:
    """Each option is checked when it is given."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole message is asserted
        OpenCLIPEncoder(**{"model": "ViT-B-32", "pretrained": "openai"} | options)

    assert str(caught.value) == message


def message_of(encoder: OpenCLIPEncoder, error: type[BenchError]) -> str:
    """What the encoder complains of, the same for images and texts."""
    with pytest.raises(error) as of_images:
        encoder.encode_images(draw_images(), CPU)
    with pytest.raises(error) as of_texts:
        encoder.encode_texts(TEXTS, CPU)
    assert str(of_images.value) == str(of_texts.value)
    return str(of_texts.value)


def test_unknown_model_has_near_misses() -> None:
    """open_clip's names are compared."""
    message = message_of(OpenCLIPEncoder("ViT-S0400M-14-SigLIP-384", "webli"), BenchError)

    assert message.startswith(
        "unknown open_clip model 'ViT-S0400M-14-SigLIP-384'; did you mean "
        "'ViT-SO400M-14-SigLIP-384' or "
    )


def test_unknown_tag_has_near_misses(tag: str) -> None:
    """The model's own tags are compared, or listed."""
    close = message_of(OpenCLIPEncoder("tiny-clip", "made-app"), BenchError)
    far = message_of(OpenCLIPEncoder("tiny-clip", "webli"), BenchError)

    assert close == "unknown pretrained tag of tiny-clip 'made-app'; did you mean 'made_up'?"
    assert far == "unknown pretrained tag of tiny-clip 'webli'; there are: made_up"


@pytest.mark.parametrize("model", ["hf-hub:timm/ViT-B-16-SigLIP", "local-dir:somewhere"])
def test_addresses_are_refused(model: str) -> None:
    """What may change under its name cannot enter a cache key."""
    message = message_of(OpenCLIPEncoder(model, "webli"), BenchError)

    assert message == (
        f"open-clip {model}/webli: what lies behind this address may change; download it (for "
        'instance `hf download ORG/NAME --local-dir FOLDER`) and give `checkpoint = "FOLDER"`'
    )


def test_checkpoint_without_preprocessing_is_refused(weights: Path) -> None:
    """open_clip would quietly take the mean and std of OpenAI's CLIP."""
    message = message_of(OpenCLIPEncoder("tiny-clip", checkpoint=weights), BenchError)

    assert message == (
        "open-clip tiny-clip: which preprocessing its weights need is not known; give "
        "`pretrained` (the open_clip tag that they belong to) or `mean` and `std`"
    )


@pytest.mark.parametrize("content", [b"", b"text"])
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_damaged_checkpoint_is_named(tag: str, tmp_path: Path, suffix: str, content: bytes) -> None:
    """Whatever the file holds, the message names it."""
    path = tmp_path / f"broken.{suffix}"
    path.write_bytes(content)

    message = message_of(OpenCLIPEncoder("tiny-clip", tag, checkpoint=path), UnreadableFileError)

    assert message.startswith(f"{path}: these are not the weights of open-clip tiny-clip/made_up (")
    assert message.endswith(
        "); give a file that was saved from this model, or remove it to have it fetched again"
    )


def test_checkpoint_of_another_model_is_named(tag: str, tmp_path: Path) -> None:
    """Loading is strict."""
    path = tmp_path / "other.safetensors"
    save_file(nn.Linear(2, 2).state_dict(), path)

    message = message_of(OpenCLIPEncoder("tiny-clip", tag, checkpoint=path), UnreadableFileError)

    assert message.startswith(f"{path}: these are not the weights of open-clip tiny-clip/made_up (")


def test_folder_without_weights_or_configuration(folder: Path, tmp_path: Path) -> None:
    """A folder never leaves an encoder with random weights."""
    bare, empty = tmp_path / "bare", tmp_path / "empty"
    bare.mkdir()
    empty.mkdir()
    (bare / "open_clip_config.json").write_bytes((folder / "open_clip_config.json").read_bytes())

    without_weights = message_of(OpenCLIPEncoder("x", checkpoint=bare), UnreadableFileError)
    without_all = message_of(OpenCLIPEncoder("x", checkpoint=empty), UnreadableFileError)

    assert without_weights.startswith(f"{bare}: these are not the weights of open-clip x (")
    assert without_all == (
        f"{empty}: no open_clip_config.json can be read in this folder; give a folder saved by "
        "open_clip or a weights file"
    )


def test_tokenizer_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    """Without its own merges a small model would get the tokenizer of 49,408 tokens."""
    small = {**CONFIGURATION, "text_cfg": {**CONFIGURATION["text_cfg"], "vocab_size": 600}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": small}))
    model = open_clip.create_model(f"local-dir:{tmp_path}")
    save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")

    message = message_of(OpenCLIPEncoder("small", checkpoint=tmp_path), BenchError)

    assert message == (
        "encoder open-clip small: its tokenizer has 49408 tokens but its text encoder 600; name "
        "the tokenizer that it was trained with in its open_clip configuration "
        "(`hf_tokenizer_name`, or `bpe_path` in `tokenizer_kwargs`)"
    )
