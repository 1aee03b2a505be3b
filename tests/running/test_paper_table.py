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
from le_bench.concepts.imagenet import (
    imagenet_classes,
    imagenet_superclasses,
    imagenet_wnids,
)

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


def run_table_2(folder: Path, models: list[str], words: list[str], settings: list[str]) -> Path:
    """Run LE(Label) and LE(SigLIP) of Table 2's file with random weights; the folder of boards."""
    weights = write_weights(folder, [MODELS[model] for model in models])
    (folder / "words.txt").write_text("\n".join(words))
    settings = [
        *settings,
        *(f"models.{model}.checkpoint={weights[MODELS[model]]}" for model in models),
        f"concepts.paper.file={folder / 'words.txt'}",
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
            *("--cache", str(folder / "cache"), "--out", str(folder / "boards")),
        ]
    )
    assert code == 0
    return folder / "boards"


def published_figures(boards: Path) -> dict[tuple[str, str], float]:
    """The figure beside each cell of Table 2's board."""
    board = json.loads((boards / "paper-table2.json").read_text())
    return {(cell["model"], cell["explainer"]): cell["published"] for cell in board["cells"]}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_table_2_comes_to_its_board(tmp_path: Path) -> None:
    """On a few classes, with a seeded split; published figures stand beside ours."""
    images = write_images(tmp_path / "val", FEW, 4)
    dataset = f'dataset={{use = "image-folder", id = "some ImageNet", folder = "{images}"}}'
    words = ["dog", "bird", "machine", "food", "redness"]

    boards = run_table_2(tmp_path, ["ResNet-50"], words, [dataset])

    expected = {place: value for place, value in PUBLISHED.items() if place[0] == "ResNet-50"}
    assert published_figures(boards) == expected


@pytest.mark.slow
@pytest.mark.timeout(7200)  # took 26 minutes of one thread
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_table_2_with_all_classes(tmp_path: Path) -> None:
    """The file's own source and split files: 1,000 classes with names and superclasses."""
    images = write_images(tmp_path / "val", ALL, 2)
    rows = np.random.default_rng(0).permutation(2 * len(ALL))
    parts = np.split(rows, [int(0.7 * len(rows)), int(0.8 * len(rows))])
    settings = [f"dataset.folder={images}", "dataset.per_class=2"]
    for split, part in zip(("train", "val", "test"), parts, strict=True):
        path = tmp_path / f"{split}_ids.pt"
        torch.save(part.tolist(), path)
        settings.append(f"dataset.{split}_ids={path}")
    words = list(dict.fromkeys((*imagenet_classes(), *imagenet_superclasses())))

    boards = run_table_2(tmp_path, ["ResNet-50", "ViT-B-16"], words, settings)

    assert published_figures(boards) == PUBLISHED
