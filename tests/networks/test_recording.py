"""Recording against plain hooks, and everything that a forward pass can do to a recorder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from le_bench.errors import LayerError
from le_bench.networks.preprocessing import Preprocessing
from le_bench.networks.recording import record_activations
from le_bench.probing.images import ArrayImages
from le_bench.types import Layer, Pooling, TargetModel

NUM_IMAGES = 11
SIDE = 6


class Attention(nn.Module):
    """Gives a tuple, as nn.MultiheadAttention does: values first, then weights."""

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return tokens * 2, tokens.mean(1)


class Network(nn.Module):
    """A map, an in-place layer behind it, tokens, a tuple, a reused and a bypassed module."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)
        self.relu = nn.ReLU(inplace=True)
        self.attention = Attention()
        self.shared = nn.Tanh()
        self.idle = nn.Linear(1, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Linear(5, 4), nn.ReLU(inplace=True), nn.Linear(4, 3))

    def forward(self, images: Tensor) -> Tensor:
        maps = self.relu(self.conv(images))
        tokens, _ = self.attention(maps.flatten(2).transpose(1, 2))
        mixed = self.shared(self.shared(tokens))
        return self.classifier(self.pool(maps).flatten(1) + mixed.mean(1))


def draw_images(seed: int = 0) -> ArrayImages:
    """Noise images."""
    random = np.random.default_rng(seed)
    return ArrayImages(random.integers(0, 256, (NUM_IMAGES, SIDE, SIDE, 3), dtype=np.uint8))


def make_model(module: nn.Module | None = None) -> TargetModel:
    """A target model on the CPU with seeded random weights."""
    torch.manual_seed(0)
    module = module or Network()
    return TargetModel("network", module.eval(), Preprocessing(), torch.device("cpu"))


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


def num_hooks(module: nn.Module) -> int:
    """Hooks left on a module and all below it."""
    return sum(len(part._forward_hooks) for part in module.modules())


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


def test_batch_size_must_be_positive() -> None:
    """A batch of nothing is refused."""
    with pytest.raises(ValueError, match="batch_size is 0; it must be at least 1"):
        record_activations(make_model(), draw_images(), [Layer("conv")], batch_size=0)
