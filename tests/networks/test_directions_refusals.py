"""Files of directions that are refused, with what is wrong and how to save them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from le_bench.errors import UnreadableFileError
from le_bench.networks.directions import read_directions

ENCODER = {
    "W_enc": torch.ones(5, 9),
    "b_enc": torch.ones(9),
    "b_dec": torch.ones(5),
}
FAULTY: dict[str, tuple[dict[str, Tensor], dict[str, str], str]] = {
    "nothing known": (
        {"decoder": torch.ones(2)},
        {},
        "it has neither `weight` (a linear map) nor `W_enc` (an encoder); there are: decoder",
    ),
    "no activation": (
        ENCODER,
        {},
        "its metadata does not say the activation of the encoder; save it with "
        "metadata={'activation': ...}, one of none, relu, topk, jumprelu",
    ),
    "unknown activation": (
        ENCODER,
        {"activation": "rely", "apply_b_dec_to_input": "true"},
        "unknown activation 'rely'; did you mean 'relu'?",
    ),
    "silent decoder bias": (
        ENCODER,
        {"activation": "relu"},
        "it has `b_dec`, but its metadata does not say whether that is subtracted from the input; "
        "save it with metadata={'apply_b_dec_to_input': 'true'} or 'false'",
    ),
    "gated encoder": (
        {"b_gate": torch.ones(9), "r_mag": torch.ones(9)} | ENCODER,
        {"activation": "relu", "apply_b_dec_to_input": "true"},
        "it has tensors that are no part of such directions and may change what they mean: b_gate, "
        "r_mag; save only what there is of W_enc, b_enc, b_dec, threshold, W_dec",
    ),
    "tensors of both layouts": (
        {"weight": torch.ones(2, 2), "b_enc": torch.ones(2)},
        {},
        "it has tensors that are no part of such directions and may change what they mean: b_enc; "
        "save only what there is of weight, bias, b_dec, threshold",
    ),
    "no bias": (
        {"W_enc": torch.ones(2, 3)},
        {"activation": "relu"},
        "it has `W_enc` without `b_enc`; save the encoder's bias, zeros if none",
    ),
    "infinite weights": (
        {"weight": torch.full((2, 3), torch.inf), "bias": torch.full((2,), torch.nan)},
        {},
        "there are numbers that are not finite in bias, weight; save the tensors again",
    ),
    "no k": (
        {"W_enc": torch.ones(2, 3), "b_enc": torch.ones(3)},
        {"activation": "topk", "k": "4"},
        "topk needs a `k` from 1 to 3 in the metadata, not '4'",
    ),
    "no threshold": (
        {"W_enc": torch.ones(2, 3), "b_enc": torch.ones(3)},
        {"activation": "jumprelu"},
        "jumprelu needs `threshold`",
    ),
    "bias of another size": (
        {"weight": torch.ones(3, 2), "bias": torch.ones(2)},
        {},
        "bias has shape (2,), not (3,)",
    ),
    "no matrix": ({"weight": torch.ones(3)}, {}, "weight has shape (3,), not two axes"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_malformed_files_are_refused(tmp_path: Path, fault: str) -> None:
    """What is missing or wrong, and how to save it; nothing is guessed."""
    tensors, metadata, message = FAULTY[fault]
    file = tmp_path / "x.safetensors"
    save_file(tensors, file, metadata)

    with pytest.raises(UnreadableFileError) as raised:
        read_directions(file)

    assert str(raised.value) == f"{file}: {message}"


def test_pickles_are_refused(tmp_path: Path) -> None:
    """Only safetensors are read."""
    file = tmp_path / "x.safetensors"
    torch.save({"weight": torch.ones(2, 2)}, file)

    with pytest.raises(UnreadableFileError, match="this is no safetensors file"):
        read_directions(file)
