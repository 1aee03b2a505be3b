"""How a result was made: components with their options, calibration, versions and images."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from le_bench.boards.records import (
    Cell,
    Constants,
    Environment,
    LogitTemperature,
    MadeWith,
    Provenance,
)
from le_bench.components import Component
from le_bench.fingerprint import as_json, digest, path_digest
from le_bench.planning.plan import Plan, PlannedCell
from le_bench.plugins import Plugins
from le_bench.types import ConceptSet


@dataclass(frozen=True, slots=True, eq=False)
class RunProvenance:
    """Tells how the cells of one run were made."""

    plan: Plan
    plugins: Plugins
    environment: Environment
    _made: dict[Component, MadeWith] = field(default_factory=dict)

    def of(
        self,
        planned: PlannedCell,
        images: Mapping[str, int],
        constants: Mapping[str, Mapping[str, Any]],
        temperature: Mapping[str, Any] | None = None,
    ) -> Provenance:
        """Of one cell; `images` counts by split, `constants` are calibrate records by key.

        `temperature` is that of the target model's logits if its losses were needed.
        """
        components = self._components(planned.cell)
        return Provenance(
            environment=self.environment,
            seed=self.plan.experiment.seed,
            components={kind: self._made_with(part) for kind, part in components.items()},
            inputs={
                "record": planned.record,
                "explain": planned.explain,
                "simulate": planned.simulate,
            },
            images=dict(images),
            calibrations=(
                *self._calibrations(constants),
                *([] if temperature is None else [_temperature(planned.cell.model, temperature)]),
            ),
        )

    def _components(self, cell: Cell) -> dict[str, Component]:
        experiment = self.plan.experiment
        components: dict[str, Component] = {"dataset": experiment.dataset.component}
        for kind, rows in (
            ("model", experiment.models),
            ("explainer", experiment.explainers),
            ("simulator", experiment.simulators),
            ("scorer", experiment.scorers),
        ):
            name = getattr(cell, kind)
            components[kind] = next(row.component for row in rows if row.id == name)
        return components

    def _made_with(self, component: Component) -> MadeWith:
        if component not in self._made:  # folders of many files are looked through once
            self._made[component] = made_with(component, self.plugins)
        return self._made[component]

    def _calibrations(self, constants: Mapping[str, Mapping[str, Any]]) -> tuple[Constants, ...]:
        names = {encoder: name for name, encoder in self.plan.experiment.encoders.items()}
        found = {}
        for key, record in constants.items():
            encoder = self.plan.steps[key].encoder
            if encoder is not None and "impossible" not in record:
                name = names[encoder]
                found[name] = Constants(name, record["a"], record["b"], record["source"])
        return tuple(found[name] for name in sorted(found))


def environment_of(device: str) -> Environment:
    """What a run on this device computes with."""
    return Environment(version("le-bench"), platform.python_version(), version("torch"), device)


def made_with(component: Component, plugins: Plugins) -> MadeWith:
    """Who a component is, where it comes from, and its options."""
    offer = plugins.offer(component.kind, component.name)
    distribution = f"{offer.distribution} {offer.distribution_version}".strip()
    if offer.origin.startswith("file "):
        distribution = offer.origin
    return MadeWith(component.name, component.version, distribution, describe(component))


def _temperature(model: str, record: Mapping[str, Any]) -> LogitTemperature:
    return LogitTemperature(model=model, **record)


def describe(component: Component) -> dict[str, Any]:
    """A component's options as short JSON for provenance; files and concept sets by digest."""
    return {
        option.name: as_json(getattr(component, option.name), _in_short)
        for option in fields(component)
    }


def _in_short(value: Component | ConceptSet | Path) -> Any:
    if isinstance(value, Component):
        return {"name": value.name, "version": value.version, **describe(value)}
    if isinstance(value, ConceptSet):
        short = digest(value.content)[:12] if value.concepts is not None else ""
        return f"{value.name} {short}".strip()
    return f"{value.name} sha256 {path_digest(value)[:12]}"
