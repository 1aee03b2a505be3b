"""What the options of components may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from le_bench.errors import ExperimentError
from le_bench.planning.options import another_path
from le_bench.planning.reading import build_experiment
from le_bench.planning.tables import read_table
from le_bench.plugins import Plugins

TOY = Path(__file__).parent.parent / "toy" / "toy.toml"
HUGE = "1" + "0" * 400


@pytest.mark.parametrize(
    ("where", "setting"),
    [
        ("dataset", "dataset.file=PATH"),
        ("encoders.eye", "encoders.eye.file=PATH"),
        ("models 2 (net)", "models.net.file=PATH"),
        ("models 2 (net 1.5)", "models.2.file=PATH"),
        ("explainers 1 (LE(SigLIP))", "'explainers.LE(SigLIP).file=PATH'"),
    ],
)
def test_the_setting_that_names_another_file(where: str, setting: str) -> None:
    """As a shell takes it; a row goes by its number where its id holds a dot."""
    advice = another_path(where, "file")

    assert advice == (f"give another path with --set {setting} (relative to the experiment file)")


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (
            '[[scorers]]\nuse = "iou"\nthreshold = nan',
            "scorers 2 (iou), threshold: input should be a finite number, not nan",
        ),
        (
            '[[scorers]]\nuse = "ablation"\ntemperature = inf',
            "scorers 2 (ablation), temperature: input should be a finite number, not inf",
        ),
        (
            f'[[scorers]]\nuse = "wpmi"\nweight = -{HUGE}',
            f"scorers 2 (wpmi), weight: input should be a finite number, not -{HUGE}",
        ),
        (
            '[[models]]\nuse = "factory"\nfactory = "toy.py"\nfunction = "build"\n'
            'layers = ["first"]\noptions = { width = -inf }',
            "models 2 (factory), options: input should be a finite number, not {'width': -inf}",
        ),
        (
            "[impact]\ntemperature = inf",
            "impact: temperature: input should be a finite number, not inf",
        ),
    ],
)
def test_numbers_that_are_not_finite_are_faults(
    plugins: Plugins, tmp_path: Path, row: str, fault: str
) -> None:
    """No option is NaN or infinite, be it a number or a table of them."""
    path = tmp_path / "x.toml"
    path.write_text(f"{TOY.read_text()}\n{row}\n")
    (tmp_path / "toy.py").write_text("")

    with pytest.raises(ExperimentError) as caught:
        build_experiment(read_table(path), path, plugins)

    assert str(caught.value) == f"{path}: 1 fault, nothing was run:\n  - {fault}"
