"""The experiment on photographs of ImageNet and a real network, where they are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from le_bench.boards.results import read_results
from le_bench.cli import call

EXPERIMENT = Path(__file__).parents[3] / "leaderboards" / "experiments" / "imagenet-sample.toml"


@pytest.mark.realdata
@pytest.mark.timeout(900)
def test_a_part_of_the_experiment_runs_to_its_board(real_data: Path, tmp_path: Path) -> None:
    """torchvision's MobileNetV2 with a file of weights: the last layer, 32 units, two scorers."""
    data = real_data / "imagenet-sample"
    settings = {
        "dataset.file": data / "images.npz",
        "models.MobileNetV2.checkpoint": data / "mobilenet_v2.fp16.safetensors",
    }

    code = call(
        [
            *("run", str(EXPERIMENT), "--layer", "features.18", "--limit-units", "32"),
            *("--explainer", "LE(Label) top-5", "--explainer", "random", "--batch-size", "16"),
            *("--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "boards")),
            *(word for key, path in settings.items() for word in ("--set", f"{key}={path}")),
        ]
    )

    found = read_results(tmp_path / "boards" / "results")
    means = {(each.cell.explainer, each.cell.scorer): each.score.mean for each in found}
    assert code == 0
    assert len(means) == 6
    assert (means["LE(Label) top-5", "correlation"] or 0.0) > 0.05
    assert abs(means["random", "correlation"] or 0.0) < 0.05
    assert (means["LE(Label) top-5", "ablation (norm)"] or 0.0) < 0.5
