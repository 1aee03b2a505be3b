"""Recording against the bare model's forward pass: what reading, hooks and pooling cost.

    pytest tests/benchmarks/test_bench_recording.py --benchmark-only -s

Real JPEG files (500 x 375, quality 90, drawn from noise over gradients so that they compress like
photographs), networks of torchvision with random weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from le_bench.networks.batches import read_batches
from le_bench.networks.preprocessing import Preprocessing
from le_bench.networks.recording import record_activations
from le_bench.probing.images import FileImages
from le_bench.types import Activations, Layer, Precision, TargetModel

NUM_IMAGES = 128
BATCH = 32
ROUNDS = 5
LAYERS = (Layer("layer1"), Layer("layer2"), Layer("layer3"), Layer("layer4"))
IMAGENET = Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), resize=256, crop=224)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> FileImages:
    """JPEG files of the size and weight of ImageNet's (about 100 kB)."""
    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    paths = []
    for number in range(NUM_IMAGES):
        coarse = Image.fromarray(random.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        pixels = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC), np.int16)
        noisy = (pixels + random.normal(0, 12, pixels.shape)).clip(0, 255).astype(np.uint8)
        path = folder / f"{number}.jpg"
        Image.fromarray(noisy).save(path, quality=90)
        paths.append(path)
    return FileImages(tuple(paths))


def make_model(name: str) -> TargetModel:
    """A classifier with random weights."""
    torch.manual_seed(0)
    module = torchvision.models.get_model(name).eval()
    return TargetModel(name, module, IMAGENET, torch.device("cpu"))


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock and on all processors together."""

    wall: float
    processors: float


def cost(work: Callable[[], object]) -> Cost:
    """What some work took."""
    wall, processors = perf_counter(), process_time()
    work()
    return Cost(perf_counter() - wall, process_time() - processors)


def forward(model: TargetModel, batch: Tensor) -> None:
    """The bare model for as many images as there are, from one batch in memory."""
    with torch.no_grad():
        for _ in range(NUM_IMAGES // BATCH):
            model.module(batch)


def read(images: FileImages) -> None:
    """Reading and preprocessing alone."""
    for _ in read_batches(images, range(len(images)), IMAGENET, BATCH, torch.device("cpu")):
        pass


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_recording_against_the_bare_model(
    benchmark: BenchmarkFixture, images: FileImages, name: str
) -> None:
    """Rounds take turns, so that what else runs on the machine touches all alike.

    Beside the clock, seconds of all processors are compared: on a machine whose processors are all
    at work, that ratio is the one that lasts, whoever else is there.
    """
    model = make_model(name)
    batch = model.preprocess(images.read(range(BATCH)))
    works: dict[str, Callable[[], object]] = {
        "bare model": lambda: forward(model, batch),
        "bare model, channels first": lambda: forward(model, batch.contiguous()),
        "recording": lambda: record_activations(model, images, LAYERS, BATCH),
        "recording, nothing ahead": lambda: record_activations(
            model, images, LAYERS, BATCH, readers=0
        ),
        "reading alone": lambda: read(images),
    }
    costs: dict[str, list[Cost]] = {what: [] for what in works}

    def take_turns() -> None:
        for what, work in works.items():
            costs[what].append(cost(work))

    forward(model, batch)
    benchmark.pedantic(take_turns, rounds=ROUNDS, iterations=1)

    for what, took in costs.items():
        wall = NUM_IMAGES / median(each.wall for each in took)
        processors = 1000 / NUM_IMAGES * median(each.processors for each in took)
        benchmark.extra_info[what] = f"{wall:.1f} images/s, {processors:.1f} ms of processor each"
    for kind in ("wall", "processors"):
        bare, recorded = (
            median(getattr(each, kind) for each in costs[what])
            for what in ("bare model", "recording")
        )
        benchmark.extra_info[f"bare model / recording, {kind}"] = round(bare / recorded, 3)
    print(f"\n{name}, {torch.get_num_threads()} threads")  # noqa: T201
    for what, figure in benchmark.extra_info.items():
        print(f"  {what}: {figure}")  # noqa: T201


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_recording_under_autocast(
    benchmark: BenchmarkFixture, images: FileImages, precision: Precision
) -> None:
    """Processor time of reduced precision beside float32, and the change of activations."""
    model = make_model("resnet18")
    half = replace(model, precision=precision)
    recorded: dict[str, Mapping[Layer, Activations]] = {}
    few = FileImages(images.paths[:BATCH])

    def take_turns() -> tuple[Cost, Cost]:
        return (
            cost(lambda: recorded.update(whole=record_activations(model, few, LAYERS, BATCH))),
            cost(lambda: recorded.update(half=record_activations(half, few, LAYERS, BATCH))),
        )

    whole, reduced = benchmark.pedantic(take_turns, rounds=1)

    ratio = reduced.processors / whole.processors
    benchmark.extra_info["processor time, fp32 = 1"] = round(ratio, 2)
    for layer in LAYERS:
        exact = recorded["whole"][layer].values
        error = float((recorded["half"][layer].values - exact).norm() / exact.norm())
        benchmark.extra_info[f"relative error, {layer}"] = f"{error:.1e}"
    print(f"\n{precision}: {benchmark.extra_info}")  # noqa: T201


def test_files_are_like_photographs(images: FileImages) -> None:
    """The files of this benchmark weigh what ImageNet's do."""
    sizes = [Path(path).stat().st_size for path in images.paths]

    assert 60_000 < sum(sizes) / len(sizes) < 180_000
