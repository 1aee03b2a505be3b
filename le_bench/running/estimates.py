"""What a run will take, as far as it can be known beforehand."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from le_bench.boards.records import Cost
from le_bench.components import Encoder, Explainer
from le_bench.errors import BenchError
from le_bench.networks.layers import list_layers
from le_bench.networks.precision import computing_in
from le_bench.planning.concept_sets import is_absent
from le_bench.planning.experiment import ModelRow
from le_bench.planning.plan import Plan, Step, concept_sets_of, encoders_of
from le_bench.probing.images import ArrayImages
from le_bench.types import Precision

FLOAT = 4
READING = 0.005  # seconds of one processor for an image in a file
JUDGED_SHARE = 0.3  # val and test images, which are simulated
EXPLAINED_SHARE = 0.8  # train and val images, which explainers see
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
    """Operations for an image and the numbers kept of it (a layer's units, an embedding's D).

    `outputs` is the number of a model's logits.
    """

    operations: float
    widths: Mapping[str, int]
    outputs: int | None = None


@dataclass(frozen=True, slots=True)
class Speed:
    """Operations a second, and seconds to read an image: beside the pass, or added if it `waits`.

    Reading takes the processors from a network that computes on them too.
    """

    rate: float
    reading: float = 0.0
    waits: bool = True

    def seconds(self, num_images: int, operations: float) -> float:
        """Of a pass of images through a network."""
        computing = num_images * operations / (EFFICIENCY * self.rate)
        reading = num_images * self.reading
        return computing + reading if self.waits else max(computing, reading)


def measured_speed(device: torch.device, precision: Precision, *, in_files: bool) -> Speed:
    """The speed of this device in this number type, measured now; arrays need no reading."""
    reading = READING / (os.cpu_count() or 1) if in_files else 0.0
    return Speed(measured_rate(device, precision), reading, waits=device.type == "cpu")


def measured_rate(
    device: torch.device, precision: Precision = "fp32", seconds: float = 0.1
) -> float:
    """Operations a second of this device in products of matrices: after a warm-up, median of 3."""
    matrix = torch.ones(SIDE, SIDE, device=device)
    with computing_in(precision, device):
        _rate(matrix, 0.0)
        return median(_rate(matrix, seconds) for _ in range(3))


def _rate(matrix: torch.Tensor, seconds: float) -> float:
    start = perf_counter()
    rounds = 0
    while not rounds or perf_counter() - start < seconds:
        total = float((matrix @ matrix)[0, 0])  # reading a number waits for the device
        rounds += total > 0
    return 2.0 * SIDE**3 * rounds / (perf_counter() - start)


def model_work(row: ModelRow) -> Work | None:
    """Counted on the network without weights; None if it cannot be built so."""
    try:
        model = row.component.skeleton()
        model.module.requires_grad_(False)  # the counter stumbles over gradients
        side = row.component.image_side()
        images = ArrayImages(np.zeros((1, side, side, 3), np.uint8))
        units = {layer.path: layer.units or 0 for layer in list_layers(model, images)}
        with FlopCounterMode(display=False) as counted, torch.no_grad():
            output = model.module(model.preprocess(images.read([0])).to(model.device))
    except (BenchError, RuntimeError, NotImplementedError, OSError):
        return None
    logits = output.shape[1] if isinstance(output, torch.Tensor) and output.ndim == 2 else None
    return Work(float(counted.get_total_flops()), units, logits)


def encoder_work(encoder: Encoder) -> Work | None:
    """What the encoder says of itself; None if it does not, or cannot."""
    try:
        work = encoder.image_work()
    except (BenchError, RuntimeError, NotImplementedError, OSError):
        return None
    return None if work is None else Work(work[0], {"": work[1]})


@dataclass(frozen=True, slots=True, eq=False)
class Estimator:
    """Reckons with `num_images`, the speed of a device, and recorded costs."""

    plan: Plan
    num_images: int | None
    speed: Speed
    models: Mapping[str, Work | None]
    encoders: Mapping[Encoder, Work | None]
    costs: Mapping[tuple[str, str, str], Cost]

    def of(self, step: Step) -> Estimate:
        """What one step will take, beyond what is shared with others of its group."""
        nothing = Estimate(None, 0, None, "")
        known = {
            "record": self._record,
            "embed-images": self._embed,
            "embed-texts": self._texts,
            "temper": self._temper,
            "ablate": self._unknown,
            "impact": self._unknown,
            "explain": self._explain,
            "simulate": self._simulate,
        }
        return known[step.stage](step) if step.stage in known else nothing

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

    def _record(self, step: Step) -> Estimate:
        work = self.models.get(step.model.id) if step.model else None
        units = self._units(step)
        if work is None or units is None:
            return Estimate(None, None, None, "the network cannot be built without its weights")
        return self._pass(work, units)

    def _embed(self, step: Step) -> Estimate:
        work = self.encoders.get(step.encoder) if step.encoder else None
        if work is None:
            return Estimate(None, None, None, "the encoder does not tell its work")
        width = FLOAT // 2 if self.plan.experiment.embeddings == "fp16" else FLOAT
        return self._pass(work, work.widths[""], width)

    def _pass(self, work: Work, numbers: int, width: int = FLOAT) -> Estimate:
        """One pass of all images, of each of which some numbers are kept, `width` bytes each."""
        basis = f"{work.operations / 1e9:.1f} GFLOP an image"
        if self.num_images is None:
            return Estimate(None, None, None, basis)
        kept = self.num_images * numbers
        seconds = self.speed.seconds(self.num_images, work.operations)
        return Estimate(seconds, kept * width, kept * FLOAT, basis)

    def _texts(self, step: Step) -> Estimate:
        """Embeddings of a concept set, unless its words come with the dataset."""
        work = self.encoders.get(step.encoder) if step.encoder else None
        own = step.concepts
        if work is None or own is None or own.concepts is None or own.joined or is_absent(own):
            return Estimate(None, None, None, "the number of concepts is not known")
        disk = len(own.concepts) * work.widths[""] * FLOAT
        return Estimate(None, disk, disk, f"{len(own.concepts)} concepts")

    def _temper(self, step: Step) -> Estimate:
        work = self.models.get(step.model.id) if step.model else None
        if work is None or work.outputs is None or self.num_images is None:
            return Estimate(None, None, None, "the number of logits is not known")
        disk = self.num_images * work.outputs * FLOAT
        return Estimate(None, disk, disk, f"{work.outputs} logits an image")

    def _unknown(self, _step: Step) -> Estimate:
        return Estimate(None, None, None, "what is kept depends on what follows the layer")

    def _simulate(self, step: Step) -> Estimate:
        units = self._units(step)
        if units is None or self.num_images is None:
            return Estimate(None, None, None, "")
        disk = int(self.num_images * JUDGED_SHARE) * units * FLOAT
        return Estimate(None, disk, disk, "")

    def _explain(self, step: Step) -> Estimate:
        if step.model is None or step.explainer is None:
            return Estimate(None, None, None, "")
        cost = self.costs.get((step.model.id, str(step.layer), step.explainer.id))
        memory = self._presence(step.explainer.component)
        if cost is None:
            return Estimate(None, None, memory, "no earlier run of this experiment tells")
        return Estimate(cost.seconds, None, memory, f"an earlier run on {cost.device}")

    def _presence(self, explainer: Explainer) -> int | None:
        """Bytes of the presence of an explainer's concepts, by its encoder, in the images it sees.

        That is before concepts are filtered. None if it has no encoder or the concepts come with
        the dataset.
        """
        if self.num_images is None or not any(encoders_of(explainer)):
            return None
        sizes = [
            len(own.concepts)
            for own in concept_sets_of(explainer)
            if own.concepts is not None and not is_absent(own)
        ]
        return int(self.num_images * EXPLAINED_SHARE) * max(sizes) * FLOAT if sizes else None

    def _units(self, step: Step) -> int | None:
        work = self.models.get(step.model.id) if step.model else None
        if work is None or step.layer is None:
            return None
        units = work.widths.get(step.layer.path)
        limit = self.plan.experiment.units
        if units is None or step.stage == "record" or limit is None:
            return units
        return min(units, limit)
