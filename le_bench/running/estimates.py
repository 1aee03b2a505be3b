"""What a run will take, as far as it can be known beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from le_bench.boards.records import Cost
from le_bench.components import Encoder
from le_bench.errors import BenchError
from le_bench.networks.layers import list_layers
from le_bench.planning.experiment import ModelRow
from le_bench.planning.plan import Plan, Step
from le_bench.probing.images import ArrayImages

FLOAT = 4
JUDGED_SHARE = 0.3  # val and test images, which are simulated
EFFICIENCY = 0.5  # of a network against products of large matrices; half is usual
SIDE = 1024


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one step: seconds and bytes on disk, None where it cannot be known; `basis` says why.

    `memory` is the largest tensor that must be held at once, as far as it is known.
    """

    seconds: float | None
    disk: int | None
    memory: int | None
    basis: str


@dataclass(frozen=True, slots=True)
class Work:
    """Operations for an image and the numbers kept of it (a layer's units, an embedding's D)."""

    operations: float
    widths: Mapping[str, int]


def measured_rate(device: torch.device, seconds: float = 0.3) -> float:
    """Operations a second of this device in products of float32 matrices, measured now."""
    matrix = torch.ones(SIDE, SIDE, device=device)
    start = perf_counter()
    rounds = 0
    while perf_counter() - start < seconds:
        total = float((matrix @ matrix)[0, 0])  # reading a number waits for the device
        rounds += total > 0
    return 2.0 * SIDE**3 * rounds / (perf_counter() - start)


def model_work(row: ModelRow) -> Work | None:
    """Counted on the network without weights; None if it cannot be built so."""
    try:
        model = row.component.skeleton()
        model.module.requires_grad_(False)  # the counter stumbles over gradients
        images = ArrayImages(np.zeros((1, 512, 512, 3), np.uint8))
        units = {layer.path: layer.units or 0 for layer in list_layers(model, images)}
        with FlopCounterMode(display=False) as counted, torch.no_grad():
            model.module(model.preprocess(images.read([0])).to(model.device))
    except (BenchError, RuntimeError, NotImplementedError, OSError):
        return None
    return Work(float(counted.get_total_flops()), units)


def encoder_work(encoder: Encoder) -> Work | None:
    """What the encoder says of itself; None if it does not, or cannot."""
    try:
        work = encoder.image_work()
    except (BenchError, RuntimeError, NotImplementedError, OSError):
        return None
    return None if work is None else Work(work[0], {"": work[1]})


@dataclass(frozen=True, slots=True, eq=False)
class Estimator:
    """Reckons with `num_images`, a device of `rate` operations a second, and recorded costs."""

    plan: Plan
    num_images: int | None
    rate: float
    models: Mapping[str, Work | None]
    encoders: Mapping[Encoder, Work | None]
    costs: Mapping[tuple[str, str, str], Cost]

    def of(self, step: Step) -> Estimate:
        """What one step will take, beyond what is shared with others of its group."""
        match step.stage:
            case "record":
                return self._record(step)
            case "embed-images":
                return self._embed(step)
            case "explain":
                return self._explain(step)
            case "simulate":
                units = self._units(step)
                disk = None if units is None else int(self._images * JUDGED_SHARE) * units * FLOAT
                return Estimate(None, disk, disk, "")
            case _:
                return Estimate(None, 0, None, "")

    def group_seconds(self, steps: Iterable[Step]) -> float:
        """Known seconds of several steps; layers of a model share one pass."""
        total = 0.0
        groups: dict[str, float] = {}
        for step in steps:
            seconds = self.of(step).seconds or 0.0
            if step.group:
                groups[step.group] = max(groups.get(step.group, 0.0), seconds)
            else:
                total += seconds
        return total + sum(groups.values())

    @property
    def _images(self) -> int:
        return self.num_images or 0

    def _record(self, step: Step) -> Estimate:
        work = self.models.get(step.model.id) if step.model else None
        units = self._units(step)
        if work is None or units is None:
            return Estimate(None, None, None, "the network cannot be built without its weights")
        kept = self._images * units * FLOAT
        return Estimate(self._pass(work), kept, kept, f"{work.operations / 1e9:.1f} GFLOP an image")

    def _embed(self, step: Step) -> Estimate:
        work = self.encoders.get(step.encoder) if step.encoder else None
        if work is None:
            return Estimate(None, None, None, "the encoder does not tell its work")
        kept = self._images * work.widths[""] * FLOAT
        return Estimate(self._pass(work), kept, kept, f"{work.operations / 1e9:.1f} GFLOP an image")

    def _explain(self, step: Step) -> Estimate:
        if step.model is None or step.explainer is None:
            return Estimate(None, 0, None, "")
        cost = self.costs.get((step.model.id, str(step.layer), step.explainer.id))
        if cost is None:
            return Estimate(None, 0, None, "no earlier run of this experiment tells")
        return Estimate(cost.seconds, 0, None, f"an earlier run on {cost.device}")

    def _units(self, step: Step) -> int | None:
        work = self.models.get(step.model.id) if step.model else None
        if work is None or step.layer is None:
            return None
        units = work.widths.get(step.layer.path)
        limit = self.plan.experiment.units
        if units is None or step.stage == "record" or limit is None:
            return units
        return min(units, limit)

    def _pass(self, work: Work) -> float:
        return self._images * work.operations / (EFFICIENCY * self.rate)
