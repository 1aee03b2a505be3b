"""Layers that do not give what is asked of them: told before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

if TYPE_CHECKING:
    from conftest import Bench

NONE_FITS = (
    "layer 'first' gives shape (1, 6, 6, 6) (images first), which pooling '{}' does not fit; the "
    "poolings that fit are: avg, max"
)


def test_every_unfit_layer_is_told_before_anything_runs(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with its own message, and none of the layers that fit."""
    save_file({"weight": torch.ones(3, 5)}, bench.folder / "axes.safetensors")
    bench.edit(
        lambda text: text.replace(
            '["first",',
            '["first", { path = "first", pooling = "none" }, '
            '{ path = "first", pooling = "first" }, '
            '{ path = "first", directions = "axes.safetensors" },',
        )
    )

    code = bench.run()

    assert code == 2
    assert capsys.readouterr().err.splitlines()[-4:] == [
        "error: nothing was run:",
        f"  - {NONE_FITS.format('none')}",
        f"  - {NONE_FITS.format('first')}",
        "  - layer 'first' has 6 units, but axes.safetensors holds directions over 5; give the "
        "layer that they were made for",
    ]
    assert not (bench.folder / "leaderboards").exists()
