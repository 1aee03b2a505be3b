"""What a recorder refuses: unfit layers, odd outputs, networks that break."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from le_bench.errors import LayerError
from le_bench.networks.recording import record_activations
from le_bench.types import Layer, Pooling

from .small_network import NUM_IMAGES, draw_images, make_model, num_hooks


class Fails(nn.Module):
    """Breaks on the second batch."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Identity()
        self.passes = 0

    def forward(self, images: Tensor) -> Tensor:
        self.passes += 1
        result: Tensor = self.first(images)
        if self.passes == 2:
            raise RuntimeError("out of memory")
        return result


def test_hooks_are_removed_after_an_exception() -> None:
    """A network that breaks half-way is left without hooks, and its error comes through."""

    class Twice(nn.Sequential):
        def forward(self, images: Tensor) -> Tensor:
            return self[1](self[0](images))

    model = make_model(Twice(Fails(), nn.Identity()))

    with pytest.raises(RuntimeError, match="out of memory"):
        record_activations(model, draw_images(), [Layer("0"), Layer("1")], batch_size=4)

    assert num_hooks(model.module) == 0


@pytest.mark.parametrize(
    ("path", "pooling", "message"),
    [
        (
            "conv",
            "first",
            "layer 'conv' gives shape (11, 5, 4, 4) (images first), which pooling 'first' does not "
            "fit; the poolings that fit are: avg, max",
        ),
        (
            "conv",
            "none",
            "layer 'conv' gives shape (11, 5, 4, 4) (images first), which pooling 'none' does not "
            "fit; the poolings that fit are: avg, max",
        ),
        (
            "attention",
            "none",
            "layer 'attention' gives shape (11, 16, 5) (images first), which pooling 'none' does "
            "not fit; the poolings that fit are: avg, max, first",
        ),
        (
            "classifier.0",
            "first",
            "layer 'classifier.0' gives shape (11, 4) (images first), which pooling 'first' does "
            "not fit; the poolings that fit are: avg, max, none",
        ),
        (
            "shared",
            "avg",
            "layer 'shared' runs more than once in a forward pass, so its activations are "
            "ambiguous; choose a layer that runs once: list them with `le-bench layers MODEL`",
        ),
        (
            "idle",
            "avg",
            "the forward pass does not run 'idle' (the network may use a shortcut that bypasses "
            "the module); choose another layer: list them with `le-bench layers MODEL`",
        ),
    ],
)
def test_unfit_layers_are_refused(path: str, pooling: Pooling, message: str) -> None:
    """What cannot be recorded is named with its shape and what would fit; hooks are removed."""
    model = make_model()

    with pytest.raises(LayerError) as caught:
        record_activations(model, draw_images(), [Layer("conv", "max"), Layer(path, pooling)])

    assert str(caught.value) == message
    assert num_hooks(model.module) == 0


class Gives(nn.Module):
    """Gives whatever it is told, for any input."""

    def __init__(self, output: object) -> None:
        super().__init__()
        self.output = output

    def forward(self, images: Tensor) -> object:
        return self.output


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            "text",
            "layer '0' gives str without a tensor; choose another layer: list them with "
            "`le-bench layers MODEL`",
        ),
        (
            torch.zeros(16, NUM_IMAGES, 5),
            "layer '0' gives shape (16, 11, 5) for 11 images, which do not come first; choose "
            "another layer: list them with `le-bench layers MODEL`",
        ),
        (
            torch.zeros(NUM_IMAGES),
            "layer '0' gives shape (11,) (images first), which pooling 'avg' does not fit; the "
            "poolings that fit are: none at all",
        ),
    ],
)
def test_odd_outputs_are_refused(output: object, message: str) -> None:
    """Outputs without a tensor, with images elsewhere or without units are named."""
    model = make_model(nn.Sequential(Gives(output)))

    with pytest.raises(LayerError) as caught:
        record_activations(model, draw_images(), [Layer("0")])

    assert str(caught.value) == message


def test_batch_size_must_be_positive() -> None:
    """A batch of nothing is refused."""
    with pytest.raises(ValueError, match="batch_size is 0; it must be at least 1"):
        record_activations(make_model(), draw_images(), [Layer("conv")], batch_size=0)
