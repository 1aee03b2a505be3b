"""A tiny world as a plugin file: everything that a run needs, in milliseconds."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from le_bench import hookimpl
from le_bench.components import DatasetSource, Encoder, Explainer, ModelSource, Simulator
from le_bench.errors import BenchError, NotApplicableError
from le_bench.probing.presence import label_presence
from le_bench.probing.splits import seeded_splits
from le_bench.types import (
    Calibration,
    ConceptSet,
    Evidence,
    Explanation,
    Images,
    PixelLabels,
    ProbeDataset,
    ProbeView,
    Simulation,
    TargetModel,
    Term,
)

CLASSES = ("red", "green", "blue", "grey")


@dataclass(frozen=True)
class ToyImages:
    pixels: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, rows: Sequence[int]) -> list[np.ndarray]:
        return [self.pixels[row] for row in rows]


@dataclass(frozen=True)
class ToyMasks:
    """Each pixel bears its strongest colour, if that is bright; the whole image its label."""

    pixels: np.ndarray
    labels: np.ndarray
    categories: ClassVar[dict[str, tuple[str, ...]]] = {"color": CLASSES[:3], "image": CLASSES[3:]}
    size = (8, 8)

    def read(self, rows: Sequence[int]) -> PixelLabels:
        pixels = self.pixels[list(rows)]
        bright = pixels.max(3) > 60
        whole = np.where(self.labels[list(rows)] == 3, 4, 0)
        return PixelLabels(((pixels.argmax(3) + 1) * bright)[:, None], whole[:, None])


@dataclass(frozen=True)
class ToyDataset(DatasetSource):
    """Plain coloured noise: the label is the dominant colour."""

    name: ClassVar[str] = "toy"

    num_images: int = 80
    seed: int = 0
    palette: Path | None = None
    annotated: bool = False

    def load(self) -> ProbeDataset:
        random = np.random.default_rng(self.seed)
        labels = random.integers(0, len(CLASSES), self.num_images)
        pixels = random.integers(0, 120, (self.num_images, 8, 8, 3))
        for row, label in enumerate(labels):
            if label < 3:
                pixels[row, :, :, label] += 120
        tensor = torch.from_numpy(labels)
        presence = label_presence(tensor, CLASSES, {"colourful": CLASSES[:3]})
        return ProbeDataset(
            name="toy",
            images=ToyImages(pixels.astype(np.uint8)),
            splits=seeded_splits(self.num_images, self.seed),
            labels=tensor,
            classes=CLASSES,
            label_presence=presence,
            concept_presence=presence if self.annotated else None,
            vocabulary=(*CLASSES, "colourful"),
            masks=ToyMasks(pixels, labels) if self.annotated else None,
        )


class ToyNetwork(nn.Module):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, units, 3)
        self.second = nn.Conv2d(units, units, 3)
        self.head = nn.Linear(units, len(CLASSES))

    def forward(self, batch: Tensor) -> Tensor:
        maps = torch.relu(self.second(torch.relu(self.first(batch))))
        return self.head(maps.mean((2, 3)))


@dataclass(frozen=True)
class ToyModel(ModelSource):
    name: ClassVar[str] = "toy"

    units: int = 6
    seed: int = 0
    checkpoint: Path | None = None

    def load(self, device: torch.device) -> TargetModel:
        torch.manual_seed(self.seed)
        module = ToyNetwork(self.units)
        if self.checkpoint is not None:
            shift = float(self.checkpoint.read_text())
            nn.init.constant_(module.first.bias, shift)
        return TargetModel("toy", module.to(device).eval(), _batch, device)


def _batch(images: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


@dataclass(frozen=True)
class ToyEncoder(Encoder):
    """Mean colours against made-up directions of words."""

    name: ClassVar[str] = "toy"

    a: float | None = None

    def constants(self) -> Calibration | None:
        return None if self.a is None else Calibration(self.a, -0.5, "given")

    def encode_images(self, images: Images, device: torch.device) -> Tensor:
        pixels = np.stack(images.read(range(len(images)))).astype(np.float32)
        means = torch.from_numpy(pixels.mean((1, 2))) / 255
        return torch.cat([means, torch.ones(len(means), 1)], dim=1)

    def encode_texts(self, texts: Sequence[str], device: torch.device) -> Tensor:
        known = {"red": 0, "green": 1, "blue": 2}
        rows = []
        for text in texts:
            noise = [byte / 2550 for byte in hashlib.sha256(text.encode()).digest()[:4]]
            if text in known:
                noise[known[text]] += 1
            rows.append(noise)
        return torch.tensor(rows)


@dataclass(frozen=True)
class ToyExplainer(Explainer):
    """Names one label a unit; can be told to fail in several ways."""

    name: ClassVar[str] = "toy-label"

    shift: int = 0
    fault: Literal["", "raise", "mistake", "die", "short", "exit", "weight", "dtype", "n/a"] = ""

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        if self.fault == "raise":
            raise RuntimeError("this explainer cannot cope")
        if self.fault == "mistake":
            raise BenchError("give this explainer a better option")
        if self.fault == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault == "n/a" and evidence.layer.path == "second":
            raise NotApplicableError("layer 'second' has nothing to say")
        if self.fault == "exit":
            raise SystemExit(3)
        if self.fault == "weight":
            return [Explanation(u, (Term("red", float("nan")),)) for u in range(evidence.num_units)]
        if self.fault == "dtype":
            torch.set_default_dtype(torch.float64)
            torch.set_grad_enabled(False)
        presence = evidence.train.label_presence
        assert presence is not None
        order = [
            presence.concepts[(unit + self.shift) % len(presence.concepts)]
            for unit in range(evidence.num_units)
        ]
        explanations = [Explanation(unit, (Term(c),)) for unit, c in enumerate(order)]
        return explanations[1:] if self.fault == "short" else explanations


@dataclass(frozen=True)
class ToyWordExplainer(Explainer):
    """Names a word of a concept set by the encoder's say."""

    name: ClassVar[str] = "toy-word"

    encoder: Encoder
    concepts: ConceptSet = field(default=ConceptSet("dataset"))

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        words = self.concepts.resolve(evidence.vocabulary)
        presence = evidence.train.presence(self.encoder, words)
        shared = evidence.memory.remember(
            "toy-products", {}, lambda: {"values": evidence.train_activations.T @ presence}
        )
        best = shared["values"].argmax(1).tolist()
        return [Explanation(unit, (Term(words[word], 2.0),)) for unit, word in enumerate(best)]


@dataclass(frozen=True)
class ToySimulator(Simulator):
    name: ClassVar[str] = "toy"

    encoder: Encoder

    def simulate(self, explanations: Sequence[Explanation], probe: ProbeView) -> Simulation:
        words = [explanation.terms[0].concept for explanation in explanations]
        return Simulation(probe.split, probe.presence(self.encoder, words))


@hookimpl
def le_bench_datasets() -> Iterable[type[DatasetSource]]:
    return [ToyDataset]


@hookimpl
def le_bench_models() -> Iterable[type[ModelSource]]:
    return [ToyModel]


@hookimpl
def le_bench_encoders() -> Iterable[type[Encoder]]:
    return [ToyEncoder]


@hookimpl
def le_bench_explainers() -> Iterable[type[Explainer]]:
    return [ToyExplainer, ToyWordExplainer]


@hookimpl
def le_bench_simulators() -> Iterable[type[Simulator]]:
    return [ToySimulator]
