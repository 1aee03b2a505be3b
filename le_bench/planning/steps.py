"""Steps, and the plan that they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from le_bench.boards.records import Cell
from le_bench.components import Component, Encoder, Explainer, Scorer, Simulator
from le_bench.planning.experiment import Experiment, ModelRow, Row
from le_bench.types import AblationOptions, ConceptSet, ImpactOptions, Layer

Stage = Literal[
    "record",
    "embed-images",
    "embed-texts",
    "calibrate",
    "fidelity",
    "temper",
    "ablate",
    "impact",
    "explain",
    "simulate",
    "score",
]
STAGES: tuple[Stage, ...] = get_args(Stage)
NUMERICS = 1  # raised when the core's own computations change
TEMPERATURE_FIT = 2  # raised when temperatures, or what is made of the losses, change


@dataclass(frozen=True, slots=True)
class Step:
    """One value to compute: its key, the keys it reads, and the rows it is about.

    Only the fields that its stage needs are set. `group` names steps that are best computed
    together: all layers of one model are recorded in one forward pass.
    """

    stage: Stage
    key: str
    title: str
    inputs: tuple[str, ...] = ()
    group: str = ""
    model: ModelRow | None = None
    layer: Layer | None = None
    encoder: Encoder | None = None
    concepts: ConceptSet | None = None
    explainer: Row[Explainer] | None = None
    simulator: Row[Simulator] | None = None
    scorer: Row[Scorer] | None = None
    ablation: AblationOptions | None = None
    impact: ImpactOptions | None = None


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """The steps behind one cell, by key."""

    cell: Cell
    record: str
    explain: str
    simulate: str
    score: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps in an order in which inputs come first, and the cells they make.

    `impacts` are the steps that give the Top Impact of a layer, `fidelities` those that tell what
    an encoder sees, by the names of simulator and encoder.
    `not_applicable` holds cells that make no sense, with the reason; `origins` identifies the
    code of components that are not ours, `digests` each component by its fingerprint.
    """

    experiment: Experiment
    steps: Mapping[str, Step]
    cells: tuple[PlannedCell, ...]
    not_applicable: Mapping[Cell, str] = field(default_factory=dict)
    origins: Mapping[type[Component], str] = field(default_factory=dict)
    impacts: tuple[str, ...] = ()
    fidelities: Mapping[tuple[str, str], str] = field(default_factory=dict)
    digests: Mapping[Component, str] = field(default_factory=dict)

    def counts(self) -> dict[Stage, int]:
        """Number of steps a stage."""
        return {stage: sum(s.stage == stage for s in self.steps.values()) for stage in STAGES}

    def calibrations(self, cell: PlannedCell) -> list[str]:
        """The keys of the calibrate steps that go into a cell."""
        inputs = [key for at in (cell.explain, cell.simulate) for key in self.steps[at].inputs]
        return [key for key in inputs if self.steps[key].stage == "calibrate"]
