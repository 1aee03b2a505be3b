"""The CIFAR-10 experiment on real images, where they are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from le_bench.boards.results import read_results
from le_bench.cli import call

EXPERIMENT = Path(__file__).parents[3] / "leaderboards" / "experiments" / "cifar10.toml"


@pytest.mark.realdata
def test_the_order_of_explainers_on_real_images(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On every layer LE(Label) is at least as good as the best label, and that beats random."""
    monkeypatch.setenv("LE_BENCH_HOME", str(tmp_path / "cache"))
    data = real_data / "cifar10"

    settings = {
        "dataset.file": data / "test.npz",
        "models.ResNet-20.checkpoint": data / "resnet20.safetensors",
        "impact.images": 20,
    }

    code = call(
        [
            *("run", str(EXPERIMENT), "--out", str(tmp_path / "boards")),
            *(word for key, path in settings.items() for word in ("--set", f"{key}={path}")),
        ]
    )

    means: dict[str, dict[str, float]] = {}
    for result in read_results(tmp_path / "boards" / "results"):
        means.setdefault(result.cell.layer, {})[result.cell.explainer] = result.score.mean or 0.0
    assert code == 0
    assert sorted(means) == ["avgpool", "layer1", "layer2", "layer3"]
    for layer in means.values():
        assert layer["LE(Label)"] >= layer["best label"] > layer["random"]
