"""Layer paths, their spellings, and the list of a model's layers."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from le_bench.errors import LayerError
from le_bench.networks.layers import ListedLayer, canonical_path, list_layers, resolve_layers
from le_bench.networks.preprocessing import Preprocessing
from le_bench.probing.images import ArrayImages
from le_bench.types import Layer, TargetModel


def make_network() -> nn.Sequential:
    """Nested modules, the blocks named as torchvision's vision transformer names them."""
    blocks = OrderedDict(block_0=nn.Linear(4, 4), block_1=nn.Sequential(nn.Linear(4, 2), nn.ReLU()))
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, 4, 3),
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            layers=nn.Sequential(blocks),
        )
    )


@pytest.mark.parametrize(
    ("spelling", "path"),
    [
        ("conv", "conv"),
        ("layers.block_1.0", "layers.block_1.0"),
        ("layers.block_1[0]", "layers.block_1.0"),
        ("layers[1][0]", "layers.block_1.0"),
        ("layers[1].0", "layers.block_1.0"),
        ("layers[-1][-2]", "layers.block_1.0"),
        ("layers[-1][-1]", "layers.block_1.1"),
    ],
)
def test_spellings_of_a_layer(spelling: str, path: str) -> None:
    """An index in brackets counts children as in Python; the module path is what it means."""
    network = make_network()

    found = resolve_layers(network, [Layer(spelling)])

    assert found == [network.get_submodule(path)]
    assert canonical_path(network, spelling) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "conv.",
        ".conv",
        "layers..block_0",
        "layers[2]",
        "layers[-3]",
        "layers[1]0",
        "layers[block_0]",
        "layers[",
        "conv.weight",
        "forward",
        "__class__",
        "conv;training",
        "__import__('os').system('true')",
    ],
)
def test_other_texts_name_no_layer(path: str) -> None:
    """Attributes, malformed paths and code are not layers; nothing is evaluated."""
    with pytest.raises(LayerError, match=r"^Sequential: there is no layer '"):
        resolve_layers(make_network(), [Layer(path)])


def test_every_unknown_layer_is_named_with_the_three_nearest() -> None:
    """One message for all faults, each with three near misses, however far."""
    with pytest.raises(LayerError) as caught:
        resolve_layers(make_network(), [Layer("conv"), Layer("cnov"), Layer("layers.block_2")])

    assert str(caught.value) == (
        "Sequential: there is no layer 'cnov'; did you mean 'conv', 'pool' or 'layers.block_1'?; "
        "there is no layer 'layers.block_2'; did you mean 'layers.block_1', 'layers.block_0' or "
        "'layers.block_1.1'?; list them with `le-bench layers MODEL`"
    )


def test_one_module_under_two_names_is_found_by_both() -> None:
    """A shared module has two paths."""
    network = make_network()
    network.add_module("alias", network.get_submodule("conv"))

    found = resolve_layers(network, [Layer("conv"), Layer("alias")])

    assert found[0] is found[1]


class Odd(nn.Module):
    """Runs one module twice, another never, and one that gives no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Flatten(2)
        self.twice = nn.Identity()
        self.never = nn.Identity()
        self.words = Words()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.words(images)
        result: torch.Tensor = self.twice(self.twice(self.tokens(images)))
        return result


class Words(nn.Module):
    """Gives a text."""

    def forward(self, images: torch.Tensor) -> str:
        return "words"


def list_all(module: nn.Module) -> tuple[ListedLayer, ...]:
    """The layers of a network for images of 5 x 5 pixels."""
    model = TargetModel("network", module.eval(), Preprocessing(), torch.device("cpu"))
    return list_layers(model, ArrayImages(np.zeros((2, 5, 5, 3), np.uint8)))


def test_layers_are_listed_with_shapes_units_and_poolings() -> None:
    """Each module in order, with the shape for one image."""
    listed = list_all(make_network())

    maps, vectors = ("avg", "max"), ("avg", "max", "none")
    assert listed == (
        ListedLayer("conv", "Conv2d", (4, 3, 3), 4, maps),
        ListedLayer("pool", "AdaptiveAvgPool2d", (4, 1, 1), 4, maps),
        ListedLayer("flat", "Flatten", (4,), 4, vectors),
        ListedLayer("layers", "Sequential", (2,), 2, vectors),
        ListedLayer("layers.block_0", "Linear", (4,), 4, vectors),
        ListedLayer("layers.block_1", "Sequential", (2,), 2, vectors),
        ListedLayer("layers.block_1.0", "Linear", (2,), 2, vectors),
        ListedLayer("layers.block_1.1", "ReLU", (2,), 2, vectors),
    )


def test_layers_that_cannot_be_recorded_are_listed_with_the_reason() -> None:
    """Nothing is hidden, and hooks are gone afterwards."""
    module = Odd()

    listed = list_all(module)

    assert listed == (
        ListedLayer("tokens", "Flatten", (3, 25), 25, ("avg", "max", "first")),
        ListedLayer("twice", "Identity", None, None, (), "ran 2 times in one pass"),
        ListedLayer("never", "Identity", None, None, (), "did not run"),
        ListedLayer("words", "Words", None, None, (), "gives no tensor"),
    )
    assert not any(part._forward_hooks for part in module.modules())
