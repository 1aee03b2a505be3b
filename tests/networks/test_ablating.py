"""Replacing units: whole forward passes with hooks are the oracle of every shorter way."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from le_bench.networks.ablating import Ablator, make_ablator
from le_bench.networks.preprocessing import Preprocessing
from le_bench.testing.networks import small_model, small_pictures
from le_bench.types import Layer, TargetModel

PLACES = [
    ("cnn", "first", "avg", "the rest of the network"),
    ("cnn", "first.0", "max", "the rest of the network"),
    ("cnn", "inner", "avg", "the rest of the network"),
    ("cnn", "second", "avg", "logits, which are affine in the layer's means"),
    ("cnn", "second", "max", "logits, which are affine in the layer's means"),
    ("vit", "blocks.0", "avg", "the rest of the network"),
    ("vit", "blocks.0", "first", "the rest of the network"),
    ("vit", "blocks.0.act", "avg", "the rest of the network"),
    ("vit", "blocks.1.act", "first", "the network behind "),
    ("vit", "norm", "first", "logits, which are affine in the layer's means"),
]


def hooked(model: TargetModel, layer: Layer, batch: Tensor, unit: int, value: Tensor) -> Tensor:
    """Logits with a unit replaced by one value an image, the obvious way."""

    def replace(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        output = output.clone()
        if output.ndim == 4:
            output[:, unit] = value[:, None, None]
        elif layer.pooling == "first":
            output[:, 0, unit] = value
        else:
            output[:, :, unit] = value[:, None]
        return output

    handle = model.module.get_submodule(layer.path).register_forward_hook(replace)
    try:
        with torch.no_grad():
            return model.module(batch)
    finally:
        handle.remove()


@pytest.mark.parametrize(("kind", "path", "pooling", "how"), PLACES)
def test_logits_equal_hooks_and_whole_passes(
    kind: Literal["cnn", "vit"], path: str, pooling: Literal["avg", "max", "first"], how: str
) -> None:
    """For every unit and a value of its own for each image, in small blocks."""
    model, layer = small_model(kind), Layer(path, pooling)
    images, _ = small_pictures(7)
    ablator = make_ablator(model, layer, images, range(7), runs=10)
    num_units = ablator.state(images.read([0]))[2].shape[1]
    values = torch.randn(
        7, num_units, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )

    given = torch.full((7, num_units, 2, 4), torch.nan, dtype=torch.float64)
    for block in ablator.replaced(images, range(7), range(num_units), values):
        given[block.images, block.units] = block.logits

    batch = model.preprocess(images.read(range(7)))
    for unit in range(num_units):
        for g in range(2):
            right = hooked(model, layer, batch, unit, values[:, unit, g])
            torch.testing.assert_close(
                given[:, unit, g], right, rtol=1e-5, atol=1e-5, check_dtype=False
            )
    assert ablator.how.startswith(how)
    assert ablator.rank_one == (how.startswith("logits"))


def test_everywhere_replaces_all_tokens() -> None:
    """Top Impact sets a whole map to 0, even where the pooling reads one token."""
    model, layer = small_model("vit"), Layer("blocks.0", "first")
    images, _ = small_pictures(5)

    ablator = make_ablator(model, layer, images, range(5), everywhere=True)
    given = next(iter(ablator.replaced(images, range(5), [3], torch.zeros(1, 1, 1)))).logits

    batch = model.preprocess(images.read(range(5)))
    right = hooked(model, Layer("blocks.0"), batch, 3, torch.zeros(5).double())
    torch.testing.assert_close(given[:, 0, 0], right, rtol=1e-5, atol=1e-5, check_dtype=False)


class Moody(nn.Module):
    """Takes another path through its code for bright pictures, which no trace can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)
        self.head = nn.Linear(5, 4)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        if float(images.mean()) > 0:
            maps = maps.abs()
        logits: Tensor = self.head(maps.mean((2, 3)))
        return logits


def test_network_that_cannot_be_traced_takes_whole_passes(caplog: pytest.LogCaptureFixture) -> None:
    """The slow way is right for any network, and a warning says that it is taken."""
    torch.manual_seed(0)
    model = TargetModel("moody", Moody().eval(), Preprocessing(), torch.device("cpu"))
    images, _ = small_pictures(6)

    ablator = make_ablator(model, Layer("conv"), images, range(6))

    values = torch.rand(6, 5, 1)
    given = next(iter(ablator.replaced(images, range(6), range(5), values))).logits
    batch = model.preprocess(images.read(range(6)))
    for unit in range(5):
        right = hooked(model, Layer("conv"), batch, unit, values[:, unit, 0])
        torch.testing.assert_close(
            given[:, unit, 0], right, rtol=1e-5, atol=1e-5, check_dtype=False
        )
    assert ablator.how == "whole passes"
    assert caplog.messages == [
        "layer 'conv': the network cannot be cut behind it, so every replaced unit takes a whole "
        "pass"
    ]


class Sized(nn.Module):
    """Uses the number of images of the first layer's input behind the second."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)
        self.head = nn.Linear(5, 4)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.conv(images).mean((2, 3)))
        return logits * images.shape[0]


def test_a_cut_that_gives_other_logits_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    """The check against whole passes notices what tracing got wrong."""
    torch.manual_seed(0)
    model = TargetModel("sized", Sized().eval(), Preprocessing(), torch.device("cpu"))
    images, _ = small_pictures(6)

    ablator = make_ablator(model, Layer("conv"), images, range(6))

    assert ablator.how == "whole passes"
    assert "gives other logits than whole passes" in caplog.text


def test_model_is_left_without_hooks() -> None:
    """And with the weights it had."""
    model = small_model("cnn")
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    images, _ = small_pictures(6)

    ablator: Ablator = make_ablator(model, Layer("first"), images, range(6))
    list(ablator.replaced(images, range(6), [0], torch.zeros(1, 1, 1)))

    assert not any(part._forward_hooks for part in model.module.modules())
    assert all(torch.equal(before[name], v) for name, v in model.module.state_dict().items())
