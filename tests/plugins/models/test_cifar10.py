"""Real images and real weights: CIFAR-10 through `npz` and `factory`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from le_bench.networks.recording import record_activations
from le_bench.types import Activations, Layer, ProbeDataset, TargetModel
from le_bench_plugins.datasets.npz import NpzDataset
from le_bench_plugins.models.factory import FactoryModel

pytestmark = pytest.mark.realdata
FACTORY = Path("leaderboards/experiments/cifar10/resnet20.py")
LOGITS = Layer("linear", "none")
LAYERS = (Layer("layer1"), Layer("layer2"), Layer("layer3"), Layer("avgpool"), LOGITS)


@pytest.fixture(scope="module")
def dataset(real_data: Path) -> ProbeDataset:
    """The 10,000 test images."""
    return NpzDataset(real_data / "cifar10" / "test.npz").load()


@pytest.fixture(scope="module")
def model(real_data: Path) -> TargetModel:
    """The ResNet-20 with its trained weights."""
    return FactoryModel(
        Path(__file__).parents[3] / FACTORY,
        "resnet20",
        checkpoint=real_data / "cifar10" / "resnet20.safetensors",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ).load(torch.device("cpu"))


@pytest.fixture(scope="module")
def recorded(model: TargetModel, dataset: ProbeDataset) -> dict[Layer, Activations]:
    """All layers from one pass over all images."""
    return record_activations(model, dataset.images, LAYERS)


def test_accuracy_is_that_of_the_weights(
    dataset: ProbeDataset, recorded: dict[Layer, Activations]
) -> None:
    """91.73% of the test images are classified rightly, so images and weights are loaded right."""
    guesses = recorded[LOGITS].values.argmax(1)

    assert dataset.labels is not None
    assert int((guesses == dataset.labels).sum()) == 9173


def test_layers_have_their_units(recorded: dict[Layer, Activations]) -> None:
    """One row an image, one column a unit; the pooled last layer feeds the classifier."""
    shapes = {str(layer): tuple(given.values.shape) for layer, given in recorded.items()}

    assert shapes == {
        "layer1": (10_000, 16),
        "layer2": (10_000, 32),
        "layer3": (10_000, 64),
        "avgpool": (10_000, 64),
        "linear:none": (10_000, 10),
    }
    assert torch.allclose(
        recorded[Layer("layer3")].values, recorded[Layer("avgpool")].values, atol=1e-6
    )


def test_one_pass_equals_separate_hooks(
    model: TargetModel, dataset: ProbeDataset, recorded: dict[Layer, Activations]
) -> None:
    """For 500 images, plain hooks in passes of their own see the very same activations."""
    images = model.preprocess(dataset.images.read(range(500)))
    for layer in LAYERS[:3]:
        kept: list[Tensor] = []

        def keep(
            _module: nn.Module, _inputs: object, output: Tensor, kept: list[Tensor] = kept
        ) -> None:
            kept.append(output.clone())

        handle = model.module.get_submodule(layer.path).register_forward_hook(keep)
        with torch.no_grad():
            model.module(images)
        handle.remove()

        assert torch.allclose(
            recorded[layer].values[:500], kept[0].mean((2, 3)), rtol=1e-4, atol=1e-5
        )
