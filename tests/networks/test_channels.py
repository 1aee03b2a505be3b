"""Layers whose units come last: everything that is read or replaced agrees with units second."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from le_bench.errors import LayerError
from le_bench.networks.ablating import Ablator, make_ablator
from le_bench.networks.layers import ListedLayer, list_layers
from le_bench.networks.maps import LayerMaps
from le_bench.networks.preprocessing import Preprocessing
from le_bench.networks.recording import record_activations
from le_bench.networks.rest import whole_cut
from le_bench.testing.networks import small_pictures
from le_bench.types import Channels, Layer, Pooling, TargetModel

FIRST, LAST = Layer("maps"), Layer("turned", channels="last")


class Turn(nn.Module):
    """Moves the units of a map to another axis."""

    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, maps: Tensor) -> Tensor:
        return maps.permute(self.axes)


def make_model() -> TargetModel:
    """A network that gives the same maps of 5 units twice, channels first and then last."""
    torch.manual_seed(0)
    module = nn.Sequential(
        OrderedDict(
            maps=nn.Conv2d(3, 5, 3),
            turned=Turn(0, 2, 3, 1),
            act=nn.GELU(),
            back=Turn(0, 3, 1, 2),
            tokens=nn.Flatten(2),
            pool=nn.AdaptiveAvgPool1d(1),
            flat=nn.Flatten(),
            head=nn.Linear(5, 4),
        )
    )
    return TargetModel("turning", module.eval(), Preprocessing(), torch.device("cpu"))


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_units_that_come_last_are_recorded_as_those_that_come_second(pooling: Pooling) -> None:
    """One number for each unit and image, whichever axis the units have."""
    images, _ = small_pictures(7)
    first, last = Layer("maps", pooling), Layer("turned", pooling, channels="last")

    recorded = record_activations(make_model(), images, [first, last], batch_size=3)

    assert recorded[last].values.shape == (7, 5)
    torch.testing.assert_close(recorded[last].values, recorded[first].values)


def test_directions_over_units_that_come_last(tmp_path: Path) -> None:
    """Latents and their maps are those of the units, whichever axis they have."""
    path = tmp_path / "map.safetensors"
    save_file({"weight": torch.randn(9, 5)}, path, metadata={"activation": "relu"})
    images, _ = small_pictures(4)
    first = Layer("maps", directions=path)
    last = Layer("turned", directions=path, channels="last")
    model = make_model()

    recorded = record_activations(model, images, [first, last])
    maps = [LayerMaps(model, images, layer, 0, 9) for layer in (first, last)]

    torch.testing.assert_close(recorded[last].values, recorded[first].values)
    given, right = (next(each.blocks(torch.arange(4)))[1] for each in reversed(maps))
    torch.testing.assert_close(given, right)


def test_maps_of_units_that_come_last() -> None:
    """Explainers see units, height and width in this order, and the first units as limited."""
    images, _ = small_pictures(4)
    model = make_model()
    maps = LayerMaps(model, images, LAST, 0, 2)

    _, given = next(maps.blocks(torch.arange(4)))

    _, right = next(LayerMaps(model, images, FIRST, 0, 2).blocks(torch.arange(4)))
    assert maps.shape == (2, 6, 6)
    torch.testing.assert_close(given, right)


@pytest.mark.parametrize("whole", [False, True])
def test_units_that_come_last_are_replaced_on_their_axis(whole: bool) -> None:
    """Logits are those of the same unit replaced where units come second, on every way."""
    images, _ = small_pictures(6)
    model = make_model()
    values = torch.randn(6, 5, 2)

    given, right = (
        next(iter(ablator_of(model, layer, whole).replaced(images, range(6), range(5), values)))
        for layer in (LAST, FIRST)
    )

    torch.testing.assert_close(given.logits, right.logits, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(given.logits[:, 0], given.logits[:, 1])


def ablator_of(model: TargetModel, layer: Layer, whole: bool) -> Ablator:
    """The shortest way to replace units, or that by whole passes."""
    if whole:
        return Ablator(model, layer, 256, False, "whole", whole_cut(model.module, layer))
    images, _ = small_pictures(6)
    return make_ablator(model, layer, images, range(6))


def test_units_that_come_last_are_affine_too() -> None:
    """The shortest way is found where only a mean and a linear head lie behind the layer."""
    images, _ = small_pictures(6)

    ablator = make_ablator(make_model(), Layer("act", channels="last"), images, range(6))

    assert ablator.how == "logits, which are affine in the layer's means"


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            Layer("turned"),
            "layer 'turned' gives shape (7, 6, 6, 5) (images first), which looks as if channels "
            'came last; say channels = "last" (or "first") for it, as in { path = "turned", '
            'channels = "last" }',
        ),
        (
            Layer("tokens", channels="first"),
            "layer 'tokens' gives shape (7, 5, 36) (images first), which are tokens: their units "
            'always come last; leave out channels = "first"',
        ),
    ],
)
def test_channels_that_do_not_fit_are_refused(layer: Layer, message: str) -> None:
    """No axis is guessed: what looks odd is asked for."""
    model = make_model()
    images, _ = small_pictures(7)

    with pytest.raises(LayerError) as refused:
        record_activations(model, images, [layer])

    assert str(refused.value) == message


def test_a_square_map_may_be_said_to_come_units_first() -> None:
    """Whoever says so has the second axis for units, as wherever nothing is in doubt."""
    images, _ = small_pictures(3)
    layer = Layer("turned", channels="first")

    recorded = record_activations(make_model(), images, [layer])

    assert recorded[layer].values.shape == (3, 6)


@pytest.mark.parametrize("channels", [None, "last"])
def test_channels_are_no_part_of_a_layer_name(channels: Channels | None) -> None:
    """Boards name a layer by path and pooling."""
    assert str(Layer("turned", "max", channels=channels)) == "turned:max"


def test_layers_are_listed_with_what_they_seem_to_need() -> None:
    """Units are counted on the last axis, and the remark is what to write."""
    images, _ = small_pictures(1)

    listed = list_layers(make_model(), images)

    assert listed[:2] == (
        ListedLayer("maps", "Conv2d", (5, 6, 6), 5, ("avg", "max")),
        ListedLayer("turned", "Turn", (6, 6, 5), 5, ("avg", "max"), 'channels = "last"'),
    )
