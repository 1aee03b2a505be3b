"""Recording against plain hooks, and everything that a forward pass can do to a recorder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from le_bench.networks.recording import record_activations
from le_bench.probing.images import ArrayImages
from le_bench.types import Layer, TargetModel

from .small_network import NUM_IMAGES, draw_images, make_model, num_hooks


def plain_hook(model: TargetModel, path: str, images: ArrayImages) -> Tensor:
    """The oracle: a copy of one module's output from a forward pass of its own."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
        first = output[0] if isinstance(output, tuple) else output
        kept.append(first.detach().clone())

    handle = model.module.get_submodule(path).register_forward_hook(keep)
    with torch.no_grad():
        model.module(model.preprocess(images.read(range(len(images)))))
    handle.remove()
    return kept[0]


def test_one_pass_records_what_separate_hooks_see() -> None:
    """Maps, tokens of a tuple and vectors, each pooling, equal plain hooks pooled afterwards."""
    model, images = make_model(), draw_images()
    conv = plain_hook(model, "conv", images)
    tokens = plain_hook(model, "attention", images)
    hidden = plain_hook(model, "classifier.0", images)
    expected = {
        Layer("conv"): conv.mean((2, 3)),
        Layer("conv", "max"): conv.amax((2, 3)),
        Layer("attention"): tokens.mean(1),
        Layer("attention", "max"): tokens.amax(1),
        Layer("attention", "first"): tokens[:, 0],
        Layer("classifier.0", "none"): hidden,
        Layer("classifier.0"): hidden,
        Layer("classifier.0", "max"): hidden,
    }

    recorded = record_activations(model, images, list(expected), batch_size=4)

    assert list(recorded) == list(expected)
    for layer, values in expected.items():
        assert recorded[layer].layer == layer
        assert torch.allclose(recorded[layer].values, values, atol=1e-6)


def test_in_place_layer_behind_does_not_reach_the_record() -> None:
    """A linear layer in front of an in-place ReLU is recorded with its negative values."""
    model, images = make_model(), draw_images()

    recorded = record_activations(model, images, [Layer("classifier.0", "none")])

    assert float(recorded[Layer("classifier.0", "none")].values.min()) < 0


@pytest.mark.parametrize("batch_size", [1, 3, NUM_IMAGES, 100])
def test_batch_size_does_not_matter(batch_size: int) -> None:
    """Any batch size gives the same activations, in the order of the images."""
    model, images = make_model(), draw_images()
    layer = Layer("conv")
    expected = record_activations(model, images, [layer], batch_size=5)[layer].values

    recorded = record_activations(model, images, [layer], batch_size)[layer].values

    assert torch.allclose(recorded, expected, atol=1e-6)


def test_reference_spelling_is_an_alias() -> None:
    """`classifier[0]` records `classifier.0`, under the spelling that was asked for."""
    model, images = make_model(), draw_images()
    alias, path = Layer("classifier[0]"), Layer("classifier.0")

    recorded = record_activations(model, images, [alias, path])

    assert torch.equal(recorded[alias].values, recorded[path].values)


def test_half_precision_is_pooled_in_float32() -> None:
    """A mean over positions whose sum overflows float16 is finite, and float32."""

    class Bright(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.full((len(images), 2, 8, 8), 6e4, dtype=torch.float16)

    model, images = make_model(nn.Sequential(Bright())), draw_images()

    recorded = record_activations(model, images, [Layer("0")])[Layer("0")].values

    assert recorded.dtype == torch.float32
    assert recorded.unique().tolist() == [60_000.0]


def test_nan_is_kept() -> None:
    """NaN activations are recorded for scorers to see."""

    class Broken(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.full((len(images), 2), float("nan"))

    model, images = make_model(nn.Sequential(Broken())), draw_images()

    recorded = record_activations(model, images, [Layer("0")])[Layer("0")].values

    assert bool(recorded.isnan().all())


def test_gradients_can_flow_through_what_is_recorded() -> None:
    """The record is an ordinary tensor that an explainer may optimise against."""
    model, images = make_model(), draw_images()
    weight = torch.ones(5, requires_grad=True)

    recorded = record_activations(model, images, [Layer("conv")])[Layer("conv")].values
    (recorded * weight).sum().backward()

    assert torch.allclose(weight.grad, recorded.sum(0), atol=1e-5)


def test_pass_ends_behind_the_last_layer() -> None:
    """After the first batch nothing behind the recorded layers is computed."""
    model, images = make_model(), draw_images()
    runs: list[int] = []
    handle = model.module.get_submodule("classifier").register_forward_hook(
        lambda *_: runs.append(1)
    )

    record_activations(model, images, [Layer("conv")], batch_size=3)

    handle.remove()
    assert len(runs) == 1


def test_progress_is_told_after_each_batch() -> None:
    """Progress counts images and ends at their number."""
    told: list[tuple[int, int]] = []

    record_activations(
        make_model(), draw_images(), [Layer("conv")], 4, lambda *done: told.append(done)
    )

    assert told == [(4, 11), (8, 11), (11, 11)]


def test_no_layers_give_nothing() -> None:
    """An empty request runs no pass."""
    assert record_activations(make_model(nn.Sequential()), draw_images(), []) == {}


def test_weights_images_and_hooks_are_left_alone() -> None:
    """Recording changes neither the network nor the images."""
    model, images = make_model(), draw_images()
    weights = {name: value.clone() for name, value in model.module.state_dict().items()}
    pixels = images.values.copy()

    record_activations(model, images, [Layer("conv"), Layer("classifier")])

    assert num_hooks(model.module) == 0
    assert all(torch.equal(weights[name], v) for name, v in model.module.state_dict().items())
    assert np.array_equal(pixels, images.values)


class Gives(nn.Module):
    """Gives whatever it is told, for any input."""

    def __init__(self, output: object) -> None:
        super().__init__()
        self.output = output

    def forward(self, images: Tensor) -> object:
        return self.output


@pytest.mark.parametrize(
    "output",
    [
        (None, torch.ones(NUM_IMAGES, 2)),
        [torch.ones(NUM_IMAGES, 2), torch.zeros(NUM_IMAGES, 3)],
        {"hidden": torch.ones(NUM_IMAGES, 2), "weights": torch.zeros(1)},
    ],
)
def test_first_tensor_of_a_container_counts(output: Sequence[object]) -> None:
    """Tuples, lists and mappings are recorded by their first tensor."""
    model = make_model(nn.Sequential(Gives(output)))

    recorded = record_activations(model, draw_images(), [Layer("0")])

    assert torch.equal(recorded[Layer("0")].values, torch.ones(NUM_IMAGES, 2))
