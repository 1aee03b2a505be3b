"""Impacts of whole layers against hooks, and units without any."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from le_bench.formulas.impact import top_impact, unit_impacts
from le_bench.networks.ablating import make_ablator
from le_bench.running.losses import zeroed_impacts
from le_bench.testing.networks import small_losses, small_model, small_pictures
from le_bench.types import Layer

PLACES = [
    ("cnn", Layer("first")),
    ("cnn", Layer("second")),
    ("vit", Layer("blocks.0", "first")),
    ("vit", Layer("blocks.1.act")),
]


@pytest.mark.parametrize(("kind", "layer"), PLACES)
def test_impacts_equal_hooks_and_whole_passes(kind: Literal["cnn", "vit"], layer: Layer) -> None:
    """Each unit 0 everywhere in its map; TI from them to 1e-5."""
    model = small_model(kind)
    images, labels = small_pictures()
    judged = small_losses(model, layer).judged["test"]
    rows = judged.rows.tolist()
    ablator = make_ablator(model, layer, images, rows, everywhere=True)

    impacts = zeroed_impacts(ablator, images, judged)

    batch, own = model.preprocess(images.read(rows)), labels[rows]

    def logits() -> Tensor:
        with torch.no_grad():
            return model.module(batch)

    def loss(given: Tensor) -> Tensor:
        return nn.functional.cross_entropy(given / 1.3, own, reduction="none")

    before, expected = logits(), torch.empty_like(impacts)
    for unit in range(impacts.shape[1]):

        def zero(_m: nn.Module, _i: object, output: Tensor, unit: int = unit) -> Tensor:
            output = output.clone()
            output[(slice(None), unit) if output.ndim == 4 else (..., unit)] = 0.0
            return output

        handle = model.module.get_submodule(layer.path).register_forward_hook(zero)
        after = logits()
        handle.remove()
        expected[:, unit] = unit_impacts(
            before.argmax(1) == own,
            loss(before),
            (after.argmax(1) == own)[:, None],
            loss(after)[:, None],
        )[:, 0]
    torch.testing.assert_close(impacts, expected, rtol=1e-6, atol=1e-9)
    fractions = [0.02, 0.1, 0.5]
    given, right = (top_impact(each, judged.activations, fractions) for each in (impacts, expected))
    torch.testing.assert_close(given, right, rtol=0, atol=1e-5)


def test_dead_unit_has_no_impact_at_all() -> None:
    """Not even rounding."""
    model = small_model("cnn")
    with torch.no_grad():
        model.module.get_parameter("first.1.weight")[2] = 0.0
        model.module.get_parameter("first.1.bias")[2] = -1.0
    judged = small_losses(model, Layer("first")).judged["test"]
    images, _ = small_pictures()

    ablator = make_ablator(model, Layer("first"), images, range(9), everywhere=True)
    impacts = zeroed_impacts(ablator, images, judged)

    assert bool((impacts[:, 2] == 0).all())
    assert bool((impacts[:, [0, 1, 3, 4, 5]].abs().sum(0) > 0).all())
