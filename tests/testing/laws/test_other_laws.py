"""Laws of the other kinds: each catches a component that breaks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from le_bench.components import Component
from le_bench.templates.dataset import MyDataset
from le_bench.templates.explainer import MyExplainer
from le_bench.templates.model import MyModel, Network, preprocess
from le_bench.templates.scorer import MyScorer
from le_bench.templates.simulator import MySimulator
from le_bench.testing.laws import LAWS, verdicts
from le_bench.testing.planted import PlantedEncoder
from le_bench.testing.pytest_plugin import laws_of
from le_bench.types import Explanation, ProbeDataset, ProbeView, Score, Simulation, TargetModel

SEES = PlantedEncoder("simulator")


def broken(component: Component) -> dict[str, str]:
    found = verdicts(component, LAWS[component.kind])
    return {verdict.law: verdict.words for verdict in found if verdict.state == "broken"}


@dataclass(frozen=True)
class FaultySimulator(MySimulator):
    """The template, whose simulation is changed as a fault says."""

    encoder: PlantedEncoder = field(default=SEES)
    fault: str = ""

    def simulate(self, explanations: Sequence[Explanation], probe: ProbeView) -> Simulation:
        given = super().simulate(explanations, probe)
        values = given.values
        if self.fault == "random":
            values = values + torch.rand(())
        if self.fault == "mutates" and probe.labels is not None:
            probe.labels.add_(1)
        if self.fault == "all images":
            values = values + probe.encodings.images(self.encoder).nan_to_num().mean()
        if self.fault == "layer":
            values = values + len(explanations)
        if self.fault == "batch":
            values = values + len(probe.rows)
        if self.fault == "doubles":
            values = values.double()
        if self.fault == "zeros":
            return Simulation(probe.split, values.nan_to_num())
        return replace(given, values=values)


@dataclass(frozen=True)
class FaultyScorer(MyScorer):
    """The template, whose score is changed as a fault says."""

    fault: str = ""

    def score(self, simulations: Any, activations: Any, ablations: Any) -> Score:
        given = super().score(simulations, activations, ablations)
        values, test = given.values, activations["test"].values
        if self.fault == "random":
            values = values * torch.rand(())
        if self.fault == "mutates":
            test.mul_(1 + 1e-6)
        if self.fault == "layer":
            values = values / values.shape[0]
        if self.fault == "first image":
            values = values / (2 + test[0].sign().nan_to_num())
        if self.fault == "scale":
            values = values / (1 + simulations["test"].values.abs().mean(0)).double()
        if self.fault == "upside down":
            values = 1 - values
        if self.fault == "zeros":
            return Score(values.nan_to_num(), {})
        if self.fault == "bounds":
            values = values + 1
        if self.fault == "one image" and len(test) == 1:
            raise ZeroDivisionError("one image has no deviation")
        return Score(values, given.undefined)


@dataclass(frozen=True)
class FaultyDataset(MyDataset):
    """The template, whose dataset is changed as a fault says."""

    num_images: int = 40
    fault: str = ""

    def load(self) -> ProbeDataset:
        given = super().load()
        if self.fault == "random":
            return replace(given, labels=given.labels[torch.randperm(len(given.labels))])  # type: ignore[index,arg-type]
        if self.fault == "lost":
            return replace(given, splits={**given.splits, "val": given.splits["val"][1:]})
        if self.fault == "shared":
            return replace(given, images=Shared(np.stack(given.images.read(range(40)))))
        if self.fault == "labels":
            return replace(given, classes=())
        if self.fault == "twice":
            return replace(given, vocabulary=(*given.vocabulary, "disc"))
        return given

    def expected_images(self) -> int:
        return self.num_images + (self.fault == "number")


class Shared:
    """Images that whoever reads them can change."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, rows: Sequence[int]) -> list[np.ndarray]:
        return [self.pixels[row] for row in rows]


@dataclass(frozen=True)
class FaultyModel(MyModel):
    """The template with weights from a seed, and a fault."""

    name: ClassVar[str] = "faulty"
    weights: Any = None
    fault: str = ""

    def load(self, device: torch.device) -> TargetModel:
        with torch.random.fork_rng(devices=[]):
            if self.fault != "random":
                torch.manual_seed(0)
            network = Network()
        if self.fault == "dropout":
            network.head = nn.Sequential(nn.Dropout(), network.head)  # type: ignore[assignment]
        network.eval()
        if self.fault == "dropout":
            network.head.train()
        if self.fault != "device":
            network.to(device)
        prepared = centred if self.fault == "batch" else preprocess
        return TargetModel("faulty", network, prepared, device)

    def skeleton(self) -> TargetModel:
        if self.fault != "skeleton":
            return self.load(torch.device("cpu"))
        return TargetModel("faulty", nn.Linear(1, 1).eval(), preprocess, torch.device("cpu"))


def centred(images: Sequence[np.ndarray]) -> torch.Tensor:
    batch = preprocess(images)
    return batch - batch.mean()


FAULTS: Mapping[tuple[type[Component], str], tuple[str, ...]] = {
    (FaultySimulator, ""): (),
    (FaultySimulator, "random"): ("deterministic",),
    (FaultySimulator, "mutates"): ("inputs untouched",),
    (FaultySimulator, "all images"): ("own split alone",),
    (FaultySimulator, "layer"): ("together as one by one", "large input"),
    (FaultySimulator, "batch"): ("images one by one",),
    (FaultySimulator, "zeros"): ("units without explanation",),
    (FaultyScorer, ""): (),
    (FaultyScorer, "random"): ("deterministic",),
    (FaultyScorer, "mutates"): ("inputs untouched",),
    (FaultyScorer, "layer"): ("together as one by one", "large input"),
    (FaultyScorer, "first image"): ("order of images",),
    (FaultyScorer, "scale"): ("scale of simulations",),
    (FaultyScorer, "upside down"): ("truth is best",),
    (FaultyScorer, "zeros"): ("undefined units",),
    (FaultyScorer, "one image"): ("tiny input",),
    (FaultyDataset, ""): (),
    (FaultyDataset, "random"): ("deterministic",),
    (FaultyDataset, "lost"): ("complete splits",),
    (FaultyDataset, "shared"): ("images decode",),
    (FaultyDataset, "labels"): ("labels in range",),
    (FaultyDataset, "twice"): ("known presence",),
    (FaultyDataset, "number"): ("number of images",),
    (FaultyModel, ""): (),
    (FaultyModel, "random"): ("same weights",),
    (FaultyModel, "dropout"): ("in eval mode", "deterministic", "images one by one"),
    (FaultyModel, "batch"): ("preprocessing", "images one by one"),
    (FaultyModel, "skeleton"): ("skeleton like the model",),
    (FaultyModel, "device"): ("device asked for",),
}


@pytest.mark.parametrize(
    ("component", "fault"), FAULTS, ids=lambda value: getattr(value, "__name__", value) or "none"
)
def test_each_law_catches_its_breaker(component: Any, fault: str) -> None:
    """A component with one fault breaks the laws of that fault, and no other."""
    assert tuple(broken(component(fault=fault))) == FAULTS[component, fault]


@pytest.mark.parametrize("fault", ["doubles", "bounds"])
def test_what_is_malformed_breaks_the_first_law(fault: str) -> None:
    """A wrong number type or a score out of bounds is found by the law of form, in words."""
    words = {
        "doubles": "it raised ValueError: values are torch.float64 on cpu, not float32 on the CPU",
        "bounds": "lies outside of bounds (0.0, 1.0)",
    }
    component = FaultySimulator(fault=fault) if fault == "doubles" else FaultyScorer(fault=fault)

    found = broken(component)

    assert words[fault] in found["well formed"]


@laws_of(MyExplainer)
def test_the_explainer_template(law: Any) -> None:
    """The explainer that `le-bench new` writes keeps to this law."""
    law()


@laws_of(MySimulator)
def test_the_simulator_template(law: Any) -> None:
    """The simulator that `le-bench new` writes keeps to this law."""
    law()
