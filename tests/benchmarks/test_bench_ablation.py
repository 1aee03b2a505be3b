"""What ablation scoring costs beside the obvious loop over units, on the same data in one run.

Not run by default. Worlds are drawn and seeded outside the timing:

    pytest tests/benchmarks/test_bench_ablation.py --benchmark-only -k head    # 2048 units, 2.5 GiB
    pytest tests/benchmarks/test_bench_ablation.py --benchmark-only -k inner

The obvious loop runs the head, or the whole network, for each unit. Of the head it is timed for two
of the 100 steps of one unit and for its test images, and multiplied; `extra_info` has the seconds
of processor time, the ratio and the floor: the products of probabilities with exponentials alone.
See docs/performance.md.
"""

from __future__ import annotations

import time
from typing import Literal

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn
from torch.nn import functional as F

from le_bench.formulas.curves import chebyshev_count
from le_bench.networks.ablating import make_ablator
from le_bench.networks.preprocessing import Preprocessing
from le_bench.probing.images import ArrayImages
from le_bench.running.heads import ERROR
from le_bench.running.judged import Judged
from le_bench.running.losses import LayerLosses
from le_bench.types import Activations, Layer, Simulation, Split, TargetModel, Temperature
from le_bench_plugins.scorers.ablation.scorer import AblationScorer

pytestmark = pytest.mark.timeout(3600)
UNITS, CLASSES = 2048, 1000
SIZES: dict[Split, int] = {"val": 5000, "test": 10_000}
TEMPERATURE = Temperature(1.1, "given", 0.0, 0.0)
LAYER = Layer("layer4")


def head_world() -> tuple[LayerLosses, dict[Split, Tensor], Tensor]:
    """A classifier of 1,000 classes on 2,048 sparse units, and noisy simulations of these."""
    random = torch.Generator().manual_seed(0)
    weights = torch.randn(CLASSES, UNITS, generator=random) * 0.06
    judged: dict[Split, Judged] = {}
    simulated: dict[Split, Tensor] = {}
    for split, count in SIZES.items():
        activations = (torch.randn(count, UNITS, generator=random) - 0.5).relu_()
        logits = activations @ weights.T
        labels = torch.where(torch.arange(count) % 4 > 0, logits.argmax(1), 7)
        rows = torch.arange(count)
        judged[split] = Judged(rows, rows, labels, logits, activations, TEMPERATURE.value)
        noise = torch.randn(count, UNITS, generator=random)
        simulated[split] = activations + 0.4 * noise
    images = ArrayImages(torch.zeros(1, 8, 8, 3, dtype=torch.uint8).numpy())
    tensors = {"directions": weights.T.contiguous()}

    def no_network() -> None:
        raise AssertionError("a head is never run again")

    losses = LayerLosses(LAYER, TEMPERATURE, judged, images, no_network, tensors)  # type: ignore[arg-type]
    return losses, simulated, weights


def obvious_head_seconds(
    losses: LayerLosses, simulated: dict[Split, Tensor], weights: Tensor, steps: int = 2
) -> float:
    """Processor seconds of the authors' protocol for a unit: 100 steps and the test images."""
    head = nn.Linear(UNITS, CLASSES, bias=False)
    head.weight = nn.Parameter(weights, requires_grad=False)

    def total(split: Split, values: Tensor) -> Tensor:
        own = losses.judged[split]
        activations = own.activations.clone()
        activations[:, 0] = values
        after = F.cross_entropy(head(activations) / 1.1, own.labels, reduction="none")
        before = F.cross_entropy(own.logits / 1.1, own.labels, reduction="none")
        return (after - before).abs().sum()

    c, d = torch.ones((), requires_grad=True), torch.zeros((), requires_grad=True)
    optimiser = torch.optim.Adam([c, d], lr=1e-2)
    start = time.process_time()
    for _ in range(steps):
        optimiser.zero_grad()
        total("val", c * simulated["val"][:, 0] + d).backward()
        optimiser.step()
    search = (time.process_time() - start) / steps * 100
    start = time.process_time()
    with torch.no_grad():
        total("test", c * simulated["test"][:, 0] + d)
        total("test", losses.judged["val"].activations[:, 0].mean().expand(SIZES["test"]))
    return search + time.process_time() - start


def head_floor_seconds(units: int = 64) -> float:
    """Processor seconds of the products of (n, C) with (C, u G) alone, for all units."""
    count = chebyshev_count(2.0, ERROR)
    exponentials = torch.rand(CLASSES, units * count)
    spent = 0.0
    for size in SIZES.values():
        probabilities = torch.rand(size, CLASSES)
        start = time.process_time()
        probabilities @ exponentials
        spent += time.process_time() - start
    return spent * UNITS / units


@pytest.mark.parametrize("mode", ["norm", "optim", "adam-100"])
def test_head_of_the_papers_size(
    benchmark: BenchmarkFixture, mode: Literal["norm", "optim", "adam-100"]
) -> None:
    """All 2,048 units; at least 50 times faster than the loop."""
    losses, simulated, weights = head_world()
    slow = obvious_head_seconds(losses, simulated, weights) * UNITS
    scorer = {
        "norm": AblationScorer(mode="norm"),
        "optim": AblationScorer(),
        "adam-100": AblationScorer(optimiser="adam-100"),
    }[mode]
    simulations = {split: Simulation(split, values) for split, values in simulated.items()}
    activations = {s: Activations(LAYER, losses.judged[s].activations) for s in SIZES}

    start = time.process_time()
    score = benchmark.pedantic(
        lambda: scorer.score(simulations, activations, losses), rounds=1, iterations=1
    )
    spent = time.process_time() - start

    benchmark.extra_info |= {
        "cpu_seconds_of_all_units": round(spent, 1),
        "cpu_seconds_of_the_loop_extrapolated": round(slow),
        "ratio": round(slow / spent),
        "floor_cpu_seconds": round(head_floor_seconds(), 1),
        "mean_score": round(float(score.values.mean()), 4),
    }
    assert not score.undefined


@pytest.mark.parametrize("path", ["layer2", "layer3"])
def test_inner_layer_of_a_resnet18(benchmark: BenchmarkFixture, path: str) -> None:
    """Replacing 16 units on 32 images by a value for each image, whole passes beside the rest."""
    from torchvision.models import resnet18

    torch.manual_seed(0)
    module = resnet18(weights=None).eval()
    images = ArrayImages((torch.rand(32, 112, 112, 3) * 255).byte().numpy())
    model = TargetModel("resnet18", module, Preprocessing(), torch.device("cpu"))
    ablator = make_ablator(model, Layer(path), images, range(32), runs=128)
    values = torch.rand(32, 16, 1)

    def quick() -> Tensor:
        given = torch.empty(32, 16, 1000)
        for block in ablator.replaced(images, range(32), range(16), values):
            given[block.images, block.units] = block.logits[:, :, 0]
        return given

    def obvious() -> Tensor:
        batch = model.preprocess(images.read(range(32)))
        collected = []
        for unit in range(16):

            def spread(_m: nn.Module, _i: object, output: Tensor, unit: int = unit) -> Tensor:
                output = output.clone()
                output[:, unit] = values[:, unit, :, None].expand(-1, *output.shape[2:])
                return output

            handle = module.get_submodule(path).register_forward_hook(spread)
            with torch.no_grad():
                collected.append(module(batch))
            handle.remove()
        return torch.stack(collected, 1)

    quick()
    start = time.process_time()
    right = obvious()
    slow = time.process_time() - start

    start = time.process_time()
    given = benchmark.pedantic(quick, rounds=1, iterations=1)
    spent = time.process_time() - start

    benchmark.extra_info |= {
        "cpu_seconds_of_the_loop": round(slow, 2),
        "ratio": round(slow / spent, 1),
        "cpu_ms_a_replaced_image": round(spent / (32 * 16) * 1000, 2),
        "way": ablator.how,
    }
    torch.testing.assert_close(given, right, rtol=1e-3, atol=1e-3)
