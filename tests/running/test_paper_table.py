"""Table 2 of the paper from its own file with random weights: small, and with all 1,000 classes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import get_model

from le_bench.cli import call
from le_bench.concepts.imagenet import imagenet_wnids

PAPER = Path(__file__).parent.parent.parent / "leaderboards" / "experiments" / "paper"
FEW, ALL = range(0, 1000, 200), range(1000)  # classes of ImageNet
SMALL_CLIP = "ViT-S-32-alt"
MODELS = {"ResNet-50": "resnet50", "ViT-B-16": "vit_b_16"}
PUBLISHED = {
    ("ResNet-50", "LE(Label)"): 0.2924,
    ("ResNet-50", "LE(SigLIP)"): 0.3772,
    ("ViT-B-16", "LE(Label)"): 0.3243,
    ("ViT-B-16", "LE(SigLIP)"): 0.3489,
}


def write_images(folder: Path, classes: range, per_class: int) -> Path:
    """JPEG files in ImageNet's layout: each class has a colour, each image noise."""
    wnids = imagenet_wnids()
    for label in classes:
        (folder / wnids[label]).mkdir(parents=True)
        for number in range(per_class):
            random = np.random.default_rng([label, number])
            colour = np.random.default_rng(label).integers(0, 200, 3)
            pixels = colour + random.integers(0, 56, (12, 16, 3))
            picture = Image.fromarray(pixels.astype(np.uint8)).resize((256, 240))
            picture.save(folder / wnids[label] / f"ILSVRC2012_val_{number:08d}.JPEG")
    return folder


def write_weights(folder: Path, models: Iterable[str]) -> dict[str, Path]:
    """Random weights of target models and of two small CLIPs."""
    paths = {}
    for name in models:
        torch.manual_seed(0)
        paths[name] = folder / f"{name}.safetensors"
        save_file(get_model(name, weights=None).state_dict(), paths[name])
    for seed, name in enumerate(("explainer", "simulator")):
        torch.manual_seed(seed)
        paths[name] = folder / f"{name}.safetensors"
        save_file(open_clip.create_model(SMALL_CLIP).state_dict(), paths[name])
    return paths


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("models", "classes", "per_class"),
    [
        pytest.param(["ResNet-50"], FEW, 4, id="few classes"),
        pytest.param(
            ["ResNet-50", "ViT-B-16"],
            ALL,
            2,
            id="all",
            marks=[pytest.mark.slow, pytest.mark.timeout(7200)],  # half an hour on two cores
        ),
    ],
)
def test_table_2_comes_to_its_board(
    tmp_path: Path, models: list[str], classes: range, per_class: int
) -> None:
    """LE(Label) and LE(SigLIP) of whole networks; published figures stand beside ours."""
    weights = write_weights(tmp_path, [MODELS[model] for model in models])
    words = tmp_path / "words.txt"
    words.write_text("dog\nbird\nmachine\nfood\nredness\n")
    dataset = (
        f'dataset={{use = "image-folder", id = "some ImageNet", '
        f'folder = "{write_images(tmp_path / "val", classes, per_class)}"}}'
    )
    settings = [
        dataset,
        *(f"models.{model}.checkpoint={weights[MODELS[model]]}" for model in models),
        f"concepts.paper.file={words}",
    ]
    for row, name in (("siglip-l", "explainer"), ("siglip-so400m", "simulator")):
        settings.append(
            f'encoders.{row}={{use = "open-clip", model = "{SMALL_CLIP}", '
            f'checkpoint = "{weights[name]}", a = 10.0, b = 0.0, mean = [0.5, 0.5, 0.5], '
            "std = [0.5, 0.5, 0.5]}"
        )

    code = call(
        [
            "run",
            str(PAPER / "table2.toml"),
            *(part for setting in settings for part in ("--set", setting)),
            *(part for model in models for part in ("--model", model)),
            *("--explainer", "LE(Label)", "--explainer", "LE(SigLIP)"),
            *("--limit-units", "16", "--batch-size", "8"),
            *("--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "boards")),
        ]
    )

    board = json.loads((tmp_path / "boards" / "paper-table2.json").read_text())
    assert code == 0
    published = {(cell["model"], cell["explainer"]): cell["published"] for cell in board["cells"]}
    assert published == {place: value for place, value in PUBLISHED.items() if place[0] in models}
