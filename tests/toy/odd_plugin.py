"""Components that are within the letter of what a plugin must do, and yet odd."""

from __future__ import annotations

import functools
import math
import random
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from le_bench import hookimpl
from le_bench.components import Encoder, Explainer, ModelSource, Scorer, Simulator
from le_bench.errors import NotApplicableError
from le_bench.types import (
    Ablations,
    Activations,
    Evidence,
    Explanation,
    Images,
    ProbeView,
    Score,
    Simulation,
    Split,
    TargetModel,
    Term,
)


@dataclass(frozen=True)
class OddExplainer(Explainer):
    """Explains each unit by red; can be told to do something odd instead."""

    name: ClassVar[str] = "odd"

    oddity: str = ""

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        if self.oddity == "n/a":
            raise NotApplicableError
        if self.oddity == "unreadable n/a":
            raise NotApplicableError("no caf\udce9.png")
        if self.oddity == "unreadable error":
            raise RuntimeError("no caf\udce9.png")
        parts: dict[str, Any] = {"terms": (Term("red"),)}
        parts |= {
            "concept": {"terms": (Term("caf\udce9"),)},
            "reason": {"terms": (), "reason": 5},
            "figure": {"figures": {"": 1.0}},
            "huge": {"bias": 10**400},
        }.get(self.oddity, {})
        return [Explanation(unit, **parts) for unit in range(evidence.num_units)]


@dataclass(frozen=True)
class OddModel(ModelSource):
    """Random weights, from wherever the global generators stand."""

    name: ClassVar[str] = "odd"

    def load(self, device: torch.device) -> TargetModel:
        first = nn.Conv2d(3, 6, 3)
        rest = (nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
        module = nn.Sequential(OrderedDict(first=first, **{f"r{n}": m for n, m in enumerate(rest)}))
        return TargetModel("odd", module.to(device).eval(), _batch, device)


def _batch(images: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


@dataclass(frozen=True)
class OddEncoder(Encoder):
    """Random directions of colours, drawn by each generator when they are first used."""

    name: ClassVar[str] = "odd"

    def encode_images(self, images: Images, device: torch.device) -> Tensor:
        pixels = np.stack(images.read(range(len(images)))).astype(np.float32)
        return torch.from_numpy(pixels.mean((1, 2))) @ directions()

    def encode_texts(self, texts: Sequence[str], device: torch.device) -> Tensor:
        return torch.stack([directions()[len(text) % 3] for text in texts])


@functools.cache
def directions() -> Tensor:
    """(3, 4), drawn once for all."""
    drawn = [np.random.rand(4), [random.gauss() for _ in range(4)], torch.rand(4).tolist()]
    return torch.tensor(np.array(drawn), dtype=torch.float32)


class Shade(Enum):
    """What a component may be told in a word."""

    DARK = "dark"


@dataclass(frozen=True)
class Rule:
    """A few options together, as a table in the experiment."""

    most: int = 3
    shades: tuple[Shade, ...] = (Shade.DARK,)


@dataclass(frozen=True)
class ChoosyExplainer(OddExplainer):
    """Has options of every kind that enters a key, and gives no heed to them."""

    name: ClassVar[str] = "choosy"

    shade: Shade = Shade.DARK
    words: frozenset[str] = frozenset({"one", "two"})
    rule: Rule = Rule()
    rules: Mapping[str, Rule] = field(default_factory=dict, hash=False)
    limit: float = math.inf


@dataclass(frozen=True)
class DatedExplainer(OddExplainer):
    """Has an option of a kind that enters no key."""

    name: ClassVar[str] = "dated"

    day: date = date(2000, 1, 1)


@dataclass(frozen=True)
class ListingExplainer(OddExplainer):
    """Has an option without a hash."""

    name: ClassVar[str] = "listing"

    words: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class OddSimulator(Simulator):
    """Knows of no unit what it does, and does not say why."""

    name: ClassVar[str] = "odd"

    def simulate(self, explanations: Sequence[Explanation], probe: ProbeView) -> Simulation:
        values = torch.full((len(probe.rows), len(explanations)), torch.nan)
        return Simulation(probe.split, values, dict.fromkeys(range(len(explanations)), ""))


@dataclass(frozen=True)
class OddScorer(Scorer):
    """Scores 0 for each unit; can be told to do something odd besides."""

    name: ClassVar[str] = "odd"

    oddity: str = ""

    def score(
        self,
        simulations: Mapping[Split, Simulation],
        activations: Mapping[Split, Activations],
        ablations: Ablations | None,
    ) -> Score:
        values = torch.zeros(activations["test"].values.shape[1], dtype=torch.float64)
        undefined = {}
        if self.oddity == "writes":
            for split in ("val", "test"):
                simulations[split].values.zero_()
                activations[split].values.zero_()
        if self.oddity == "infinite":
            values[1] = -torch.inf
        if self.oddity == "reason":
            values[1] = torch.nan
            undefined[1] = ""
        return Score(values, undefined)


@hookimpl
def le_bench_models() -> Iterable[type[ModelSource]]:
    return [OddModel]


@hookimpl
def le_bench_encoders() -> Iterable[type[Encoder]]:
    return [OddEncoder]


@hookimpl
def le_bench_explainers() -> Iterable[type[Explainer]]:
    return [OddExplainer, ChoosyExplainer, DatedExplainer, ListingExplainer]


@hookimpl
def le_bench_simulators() -> Iterable[type[Simulator]]:
    return [OddSimulator]


@hookimpl
def le_bench_scorers() -> Iterable[type[Scorer]]:
    return [OddScorer]
