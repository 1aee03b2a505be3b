"""Layers of directions in a run: their key, their rows, and scorers that cannot judge them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

from le_bench.boards.results import read_results

if TYPE_CHECKING:
    from conftest import Bench


def use_directions(bench: Bench, weight: torch.Tensor) -> None:
    """Give the toy experiment a layer of directions over its first layer of 6 units."""
    save_file({"weight": weight}, bench.folder / "axes.safetensors")
    if "axes" not in (bench.folder / "toy.toml").read_text():
        bench.edit(
            lambda text: text.replace(
                '["first",', '["first", { path = "first", directions = "axes.safetensors" },'
            )
        )


def test_units_of_directions_are_scored_and_follow_their_file(bench: Bench) -> None:
    """One unit a direction under a name of its own; a changed file never meets a stale value."""
    use_directions(bench, torch.eye(6)[:3])
    bench.run()
    root = bench.folder / "leaderboards" / "results"
    layers = {r.cell.layer: r for r in read_results(root) if r.cell.explainer == "toy-label"}

    use_directions(bench, -torch.eye(6)[:3])
    bench.run()

    changed = {r.cell.layer: r for r in read_results(root) if r.cell.explainer == "toy-label"}
    units = layers["first"].values
    assert layers["first via axes"].values == pytest.approx(units[:3], abs=1e-5)
    assert changed["first via axes"].values == pytest.approx([-u for u in units[:3]], abs=1e-5)
    assert changed["first"] == layers["first"]


def test_scorers_that_replace_units_do_not_apply(bench: Bench) -> None:
    """Inside the network there is no direction to replace; its other layers are scored."""
    use_directions(bench, torch.eye(6))
    bench.edit(lambda text: text + '\n[[scorers]]\nuse = "ablation"\n')

    code = bench.run()

    results = read_results(bench.folder / "leaderboards" / "results")
    scored = {r.cell.layer for r in results if r.cell.scorer == "ablation"}
    board = (bench.folder / "leaderboards" / "toy.md").read_text()
    assert code == 0
    assert scored == {"first", "second:max"}
    assert (
        "replacing units changes them inside the network, where the directions of "
        "axes.safetensors do not exist" in board
    )


def test_malformed_directions_end_a_run_before_it_starts(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of directions is read with the model, before any time is spent."""
    use_directions(bench, torch.eye(6))
    save_file({"rotation": torch.eye(6)}, bench.folder / "axes.safetensors")

    code = bench.run()

    assert code == 2
    assert "it has neither `weight` (a linear map) nor `W_enc`" in capsys.readouterr().err
    assert not (bench.folder / "leaderboards").exists()
