"""A tiny model with random weights that open_clip builds and saves."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import pytest
import torch
from open_clip import pretrained
from safetensors.torch import save_file

from .tiny_clip import CONFIGURATION, HALF


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as open_clip saves it; its model is also registered by name, as `tiny-clip`."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "tiny-clip.json").write_text(json.dumps(CONFIGURATION))
    open_clip.add_model_config(folder / "tiny-clip.json")
    torch.manual_seed(0)
    model = open_clip.create_model("tiny-clip")
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    preprocess = {"mean": HALF, "std": HALF, "interpolation": "bicubic", "resize_mode": "squash"}
    saved = {"model_cfg": CONFIGURATION, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(saved))
    return folder


@pytest.fixture
def weights(folder: Path) -> Path:
    """The weights file of `tiny-clip`."""
    return folder / "open_clip_model.safetensors"


@pytest.fixture
def tag(weights: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A pretrained tag of `tiny-clip` that open_clip knows, its weights already on this machine."""
    known = {
        "file": str(weights),
        "mean": HALF,
        "std": HALF,
        "interpolation": "bicubic",
        "resize_mode": "squash",
        "quick_gelu": True,
    }
    monkeypatch.setitem(pretrained._PRETRAINED, "tiny-clip", {"made_up": known})
    return "made_up"
