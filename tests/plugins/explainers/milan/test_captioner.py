"""Captioners in files of our own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from le_bench.errors import BenchError, MissingFileError
from le_bench_plugins.explainers.milan.captioner import (
    Captioner,
    Description,
    load_captioner,
    save_captioner,
)
from le_bench_plugins.explainers.milan.decoder import DecoderSizes, LanguageModelSizes
from le_bench_plugins.explainers.milan.decoding import Decoding
from le_bench_plugins.explainers.milan.exemplars import View
from le_bench_plugins.explainers.milan.released import read_released
from le_bench_plugins.explainers.milan.vocabulary import Vocabulary

TOKENS = ("the", "of", "dogs", "red")


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
