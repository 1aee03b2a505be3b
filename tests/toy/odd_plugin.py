"""Components that are within the letter of what a plugin must do, and yet odd."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Any, ClassVar

import torch

from le_bench import hookimpl
from le_bench.components import Explainer, Scorer, Simulator
from le_bench.errors import NotApplicableError
from le_bench.types import (
    Ablations,
    Activations,
    Evidence,
    Explanation,
    ProbeView,
    Score,
    Simulation,
    Split,
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
def le_bench_explainers() -> Iterable[type[Explainer]]:
    return [OddExplainer, ChoosyExplainer, DatedExplainer, ListingExplainer]


@hookimpl
def le_bench_simulators() -> Iterable[type[Simulator]]:
    return [OddSimulator]


@hookimpl
def le_bench_scorers() -> Iterable[type[Scorer]]:
    return [OddScorer]
