"""Maps before pooling: convolutional layers, tokens on a grid, and layers without positions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from le_bench.errors import NotApplicableError
from le_bench.networks.kept_maps import KeptMaps
from le_bench.networks.maps import LayerMaps, positions
from le_bench.networks.preprocessing import Preprocessing
from le_bench.networks.recording import record_activations
from le_bench.probing.guarded import OwnImages
from le_bench.probing.images import ArrayImages
from le_bench.types import Layer, TargetModel


class Network(nn.Module):
    """A map with an in-place layer behind it, then one number a unit."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(5, 2)

    def forward(self, images: Tensor) -> Tensor:
        pooled: Tensor = self.head(self.pool(self.relu(self.conv(images))).flatten(1))
        return pooled


def make_maps(layer: str, rows: Sequence[int] = range(10), num_units: int = 5) -> LayerMaps:
    """Maps of a seeded network over ten noise images, of which `rows` may be seen."""
    torch.manual_seed(0)
    pixels = np.random.default_rng(0).integers(0, 256, (10, 6, 7, 3), dtype=np.uint8)
    model = TargetModel("network", Network().eval(), Preprocessing(), torch.device("cpu"))
    own = OwnImages(ArrayImages(pixels), torch.tensor(list(rows)))
    return LayerMaps(model, own, Layer(layer), rows[0], num_units, batch_size=3)


def test_maps_are_what_the_layer_gives_before_pooling() -> None:
    """In blocks and in any order of rows; their means are the recorded activations."""
    maps = make_maps("conv")
    recorded = record_activations(maps.model, maps.images, [Layer("conv")])

    blocks = list(maps.blocks(torch.tensor([9, 0, 4, 2])))

    assert maps.shape == (5, 4, 5)
    assert [rows.tolist() for rows, _ in blocks] == [[9, 0, 4], [2]]
    values = torch.cat([block for _, block in blocks])
    expected = recorded[Layer("conv")].values[[9, 0, 4, 2]]
    torch.testing.assert_close(values.mean((2, 3)), expected)
    assert bool((values < 0).any())  # the in-place layer behind has not run


def test_maps_leave_no_hook_behind_and_hold_the_first_units() -> None:
    """Also when the reader stops half-way; units are limited as in the experiment."""
    maps = make_maps("conv", num_units=2)

    rows, block = next(maps.blocks(torch.arange(10)))

    assert block.shape == (3, 2, 4, 5)
    assert rows.tolist() == [0, 1, 2]
    assert not any(part._forward_hooks for part in maps.model.module.modules())


def test_hidden_images_are_refused() -> None:
    """Rows of another split cannot be run through the network."""
    maps = make_maps("conv", rows=[0, 1, 2])

    with pytest.raises(ValueError, match="row 5 is not among the 3 images that may be seen here"):
        next(maps.blocks(torch.tensor([1, 5])))


@pytest.mark.parametrize(
    ("layer", "shape"), [("head", "shape (2,) an image"), ("pool", "shape (5, 1, 1) an image")]
)
def test_layers_without_positions_are_not_applicable(layer: str, shape: str) -> None:
    """One number a unit and image is no map."""
    with pytest.raises(NotApplicableError) as refused:
        _ = make_maps(layer).shape

    assert str(refused.value) == (
        f"layer '{layer}' has no map of positions ({shape}): only convolutional layers and tokens "
        "on a square grid have"
    )


@pytest.mark.parametrize("class_token", [False, True])
def test_tokens_lie_row_by_row_on_a_square_grid(class_token: bool) -> None:
    """Nine tokens, or ten with a class token, are a map of 3 x 3; the class token has no place."""
    tokens = torch.randn(2, 9, 4)
    given = torch.cat([torch.full((2, 1, 4), 7.0), tokens], 1) if class_token else tokens

    maps = positions(given, Layer("block"))

    assert maps.shape == (2, 4, 3, 3)
    assert torch.equal(maps[1, 2, 1, 2], tokens[1, 5, 2])


@pytest.mark.parametrize("output", [None, torch.zeros(2, 7, 4), torch.zeros(2, 1, 4)])
def test_other_outputs_have_no_map(output: Tensor | None) -> None:
    """No tensor, tokens that fill no square, a single token."""
    with pytest.raises(NotApplicableError, match="has no map of positions"):
        positions(output, Layer("block"))


def count_passes(maps: LayerMaps) -> list[int]:
    """Images of each forward pass from now on."""
    seen: list[int] = []

    def note(_module: nn.Module, inputs: tuple[Tensor]) -> None:
        seen.append(len(inputs[0]))

    maps.model.module.register_forward_pre_hook(note)
    return seen


@pytest.mark.parametrize(("limit", "passes"), [(10**6, [1, 3, 3, 1]), (100, [1, 3, 3, 1, 3, 3, 1])])
def test_maps_are_kept_if_they_fit(limit: int, passes: list[int]) -> None:
    """Kept or computed anew, all rows or some of them, the maps are the same."""
    maps = make_maps("conv")
    rows = torch.tensor([8, 1, 2, 3, 4, 5, 9])
    expected = torch.cat([block for _, block in maps.blocks(rows)])
    kept = KeptMaps(maps, torch.arange(10), limit)
    seen = count_passes(maps)

    first = torch.cat([block for _, block in kept.blocks(rows)])
    second = torch.cat([block for _, block in kept.blocks(rows)])

    assert torch.equal(first, expected)
    assert torch.equal(second, expected)
    assert seen == passes
    if limit > 100:
        assert torch.equal(next(kept.blocks(torch.tensor([5, 8])))[1], expected[[5, 0]])
        assert seen == passes


def test_kept_maps_cannot_be_changed_by_their_reader() -> None:
    """What is handed out is a copy."""
    kept = KeptMaps(make_maps("conv"), torch.arange(10), 10**6)
    rows = torch.arange(3)
    first = next(kept.blocks(rows))[1].clone()

    for _ in range(2):
        next(kept.blocks(rows))[1].zero_()

    assert torch.equal(next(kept.blocks(rows))[1], first)


def test_who_finds_maps_ready_is_charged_for_them_once() -> None:
    """Whoever computes them pays by the clock; later explainers pay what that took, once each."""
    kept = KeptMaps(make_maps("conv"), torch.arange(10), 10**6)
    rows = torch.arange(6)

    list(kept.blocks(rows))
    own = kept.spared
    kept.begin()
    list(kept.blocks(rows))
    once = kept.spared
    list(kept.blocks(rows))

    assert own == 0.0
    assert once > 0.0
    assert kept.spared == once


def test_kept_maps_hide_images_of_other_splits() -> None:
    """Rows that must not be seen are refused whether or not others are kept."""
    kept = KeptMaps(make_maps("conv", rows=[0, 1, 2]), torch.tensor([0, 1, 2]), 10**6)
    list(kept.blocks(torch.tensor([0, 1])))

    with pytest.raises(ValueError, match="row 5 is not among the 3 images that may be seen here"):
        list(kept.blocks(torch.tensor([0, 5])))
