"""Two small target models with labelled pictures: what ablation is tried on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from le_bench.formulas.temperature import tempered
from le_bench.networks.ablating import make_ablator
from le_bench.networks.preprocessing import Preprocessing
from le_bench.networks.recording import record_activations
from le_bench.probing.images import ArrayImages
from le_bench.running.judged import Judged
from le_bench.running.losses import LayerLosses, loss_tensors
from le_bench.types import AblationOptions, Layer, Split, TargetModel

CLASSES = 4
OPTIONS = AblationOptions(temperature=1.3)


class SmallCNN(nn.Module):
    """Two residual stages, `first` and `second`, mean pooling and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.inner = nn.Conv2d(6, 6, 3, padding=1)
        self.second = nn.Sequential(nn.Conv2d(6, 8, 3), nn.ReLU(inplace=True))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 4)."""
        maps = self.first(images)
        maps = self.second(maps + torch.relu(self.inner(maps)))
        logits: Tensor = self.head(maps.mean((2, 3)))
        return logits


class SmallViT(nn.Module):
    """Four patches and a class token through two blocks; the head reads the class token."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.blocks = nn.Sequential(_Block(), _Block())
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 4)."""
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(tokens.shape[0], -1, -1), tokens], 1)
        logits: Tensor = self.head(self.norm(self.blocks(tokens))[:, 0])
        return logits


class _Block(nn.Module):
    """Attention of one head, then two linear layers with `act` between, both with shortcuts."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24)
        self.up, self.act, self.down = nn.Linear(8, 12), nn.GELU(), nn.Linear(12, 8)

    def forward(self, tokens: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm1(tokens)).chunk(3, 2)
        tokens = tokens + torch.softmax(q @ k.transpose(1, 2) / 8**0.5, 2) @ v
        changed: Tensor = tokens + self.down(self.act(self.up(self.norm2(tokens))))
        return changed


def small_model(kind: Literal["cnn", "vit"], seed: int = 0) -> TargetModel:
    """A float64 network with random weights, large logits, for pictures of 8 x 8 pixels.

    In float32 small changes of the loss would be rounding, and no test could be sharp.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = _cnn() if kind == "cnn" else _vit()
    return TargetModel(f"small {kind}", module.double().eval(), _batch, torch.device("cpu"))


def _cnn() -> nn.Module:
    network = SmallCNN()
    with torch.no_grad():
        network.head.weight.mul_(5)
        for place in ("first.1.bias", "second.0.bias"):  # no unit is dead
            network.get_parameter(place).add_(0.5)
    return network


def _vit() -> nn.Module:
    network = SmallViT()
    with torch.no_grad():
        network.head.weight.mul_(5)
        network.get_parameter("blocks.1.down.weight").mul_(4)
    return network


def _batch(images: Sequence[np.ndarray]) -> Tensor:
    return Preprocessing()(images).double()


def small_pictures(count: int = 60, seed: int = 0) -> tuple[ArrayImages, Tensor]:
    """Noise of different brightness, and a label for each picture."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (count, 8, 8, 3)) * random.uniform(0.2, 1, (count, 1, 1, 3))
    labels = torch.from_numpy(random.integers(0, CLASSES, count))
    return ArrayImages(pixels.astype(np.uint8)), labels


def small_losses(
    model: TargetModel,
    layer: Layer,
    options: AblationOptions = OPTIONS,
    count: int = 60,
) -> LayerLosses:
    """Losses of a layer on small pictures, the first half val and the second half test.

    `judged[split].activations` are the real activations.
    """
    images, labels = small_pictures(count)
    activations = record_activations(model, images, [layer])[layer].values
    with torch.no_grad():
        logits = model.module(model.preprocess(images.read(range(count))))
    halves: Mapping[Split, Tensor] = {
        "val": torch.arange(count // 2),
        "test": torch.arange(count // 2, count),
    }
    temperature = tempered(logits, labels, options.temperature or 1.0, "given")
    judged: dict[Split, Judged] = {
        split: Judged(
            rows,
            torch.arange(len(rows)),
            labels[rows],
            logits[rows],
            activations[rows],
            temperature.value,
        )
        for split, rows in halves.items()
    }
    ablator = make_ablator(model, layer, images, range(count), runs=options.runs)
    mean = judged["val"].activations.double().mean(0)
    tensors = loss_tensors(ablator, images, judged, mean, options.nodes)
    return LayerLosses(layer, temperature, judged, images, lambda: ablator, tensors)
