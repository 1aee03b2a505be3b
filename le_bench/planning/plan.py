"""From an experiment to its steps. Pure: no data set is read, no model loaded, no device asked.

`key(step) = sha256(stage, fingerprints, keys of inputs)`. The same key means the same value, which
makes caching, de-duplication, resuming and provenance one mechanism.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from le_bench.boards.records import Cell
from le_bench.components import Component, Encoder, Explainer, Scorer, Simulator
from le_bench.errors import MissingFileError, UnreadableFileError
from le_bench.fingerprint import digest, fingerprint, path_digest
from le_bench.planning.experiment import Experiment, ModelRow, Row
from le_bench.planning.steps import (
    NUMERICS,
    STAGES,
    TEMPERATURE_FIT,
    Plan,
    PlannedCell,
    Stage,
    Step,
)
from le_bench.types import AblationOptions, ConceptSet, ImpactOptions, Layer

__all__ = ["NUMERICS", "STAGES", "Plan", "PlannedCell", "Stage", "Step", "make_plan"]


def make_plan(
    experiment: Experiment, origins: Mapping[type[Component], str], *, provisional: bool = False
) -> Plan:
    """The plan of an experiment; steps shared by several cells appear once.

    Reads only what identifies files (their content digests). Raises UnreadableFileError for
    a file that vanished. A `provisional` plan may be made while files are missing: steps that
    need them have keys that no run gives.
    """
    return _Planner(experiment, origins, provisional).plan()


def encoders_of(component: Component) -> Iterator[Encoder]:
    """Every encoder among the options of a component, nested ones included."""
    for option in fields(component):
        value = getattr(component, option.name)
        if isinstance(value, Encoder):
            yield value
        if isinstance(value, Component):
            yield from encoders_of(value)


def concept_sets_of(component: Component) -> Iterator[ConceptSet]:
    """Every concept set among the options of a component."""
    for option in fields(component):
        value = getattr(component, option.name)
        if isinstance(value, ConceptSet):
            yield value


@dataclass(frozen=True, slots=True)
class _Place:
    """A layer of a model and the key of its activations."""

    model: ModelRow
    layer: Layer
    record: str

    def __str__(self) -> str:
        return f"{self.model.id} / {self.layer}"


class _Planner:
    """Collects steps by key while walking over the cells."""

    def __init__(
        self, experiment: Experiment, origins: Mapping[type[Component], str], provisional: bool
    ) -> None:
        self.experiment = experiment
        self.provisional = provisional
        self.origins = origins
        self.steps: dict[str, Step] = {}
        self.prints: dict[Component, dict[str, Any]] = {}
        self.dataset = self._print(experiment.dataset.component)

    def plan(self) -> Plan:
        experiment = self.experiment
        cells: list[PlannedCell] = []
        not_applicable: dict[Cell, str] = {}
        impacts: list[str] = []
        for model in experiment.models:
            places = [self._record(model, layer) for layer in model.layers]
            if experiment.impact is not None:
                impacts += [self._impact(place, experiment.impact) for place in places]
            for place in places:
                for explainer in experiment.explainers:
                    explain = self._explain(place, explainer)
                    for simulator in experiment.simulators:
                        clash = self._clash(explainer, simulator)
                        if clash:
                            for scorer in experiment.scorers:
                                cell = self._cell(place, explainer, simulator, scorer)
                                not_applicable[cell] = clash
                            continue
                        simulate = self._simulate(place, explainer, simulator, explain)
                        for scorer in experiment.scorers:
                            cell = self._cell(place, explainer, simulator, scorer)
                            score = self._score(place, scorer, simulate, cell)
                            cells.append(PlannedCell(cell, place.record, explain, simulate, score))
        fidelities = {
            (simulator.id, self._name(encoder)): self._fidelity(encoder)
            for simulator in experiment.simulators
            for encoder in encoders_of(simulator.component)
        }
        return Plan(
            experiment,
            self.steps,
            tuple(cells),
            not_applicable,
            self.origins,
            tuple(impacts),
            fidelities,
            {component: digest(found) for component, found in self.prints.items()},
        )

    def _name(self, encoder: Encoder) -> str:
        return next(n for n, e in self.experiment.encoders.items() if e == encoder)

    def _print(self, component: Component) -> dict[str, Any]:
        if component not in self.prints:
            try:
                self.prints[component] = fingerprint(component, self.origins)
            except (MissingFileError, UnreadableFileError):
                if not self.provisional:
                    raise
                self.prints[component] = {"provisional": repr(component)}
        return self.prints[component]

    def _add(self, stage: Stage, title: str, content: Mapping[str, Any], **parts: Any) -> str:
        key = digest(
            {"stage": stage, "numerics": NUMERICS, **content, "inputs": parts.get("inputs", ())}
        )
        self.steps.setdefault(key, Step(stage=stage, key=key, title=title, **parts))
        return key

    def _cell(
        self,
        place: _Place,
        explainer: Row[Explainer],
        simulator: Row[Simulator],
        scorer: Row[Scorer],
    ) -> Cell:
        return Cell(
            experiment=self.experiment.name,
            dataset=self.experiment.dataset.id,
            model=place.model.id,
            layer=str(place.layer),
            explainer=explainer.id,
            simulator=simulator.id,
            scorer=scorer.id,
        )

    def _clash(self, explainer: Row[Explainer], simulator: Row[Simulator]) -> str:
        if self.experiment.allow_same_encoder:
            return ""
        used = [self._print(encoder) for encoder in encoders_of(explainer.component)]
        if any(self._print(encoder) in used for encoder in encoders_of(simulator.component)):
            return "the simulator uses the explainer's own encoder"
        return ""

    def _record(self, model: ModelRow, layer: Layer) -> _Place:
        source = self._print(model.component)
        identity = [layer.path, layer.pooling]
        if layer.directions is not None:
            identity.append(path_digest(layer.directions))
        if layer.channels is not None:
            identity.append(f"channels {layer.channels}")
        key = self._add(
            "record",
            f"{model.id} / {layer}",
            {
                "dataset": self.dataset,
                "model": source,
                "layer": identity,
                **self._if_not_fp32("precision"),
            },
            group=digest([source, self.dataset]),
            model=model,
            layer=layer,
        )
        return _Place(model, layer, key)

    def _if_not_fp32(self, option: str) -> dict[str, str]:
        """The experiment's number type of this name as part of a key, unless it is the usual."""
        value = str(getattr(self.experiment, option))
        return {} if value == "fp32" else {option: value}

    def _embed(self, encoder: Encoder, concept_sets: tuple[ConceptSet, ...]) -> tuple[str, ...]:
        """The steps that give an encoder's embeddings and constants for these concept sets."""
        name = self._name(encoder)
        content = {"encoder": self._print(encoder), "dataset": self.dataset}
        types = self._if_not_fp32("precision") | self._if_not_fp32("embeddings")
        images = self._add("embed-images", name, content | types, encoder=encoder)
        texts = []
        for concepts in dict.fromkeys((ConceptSet("dataset"), *concept_sets)):
            own: dict[str, Any] = dict(content)
            if concepts.joined:
                own["concepts"] = concepts.content
            elif concepts.concepts is not None:
                own = {"encoder": content["encoder"], "concepts": concepts.content}
            texts.append(
                self._add(
                    "embed-texts",
                    f"{name}, concepts {concepts.name}",
                    own,
                    encoder=encoder,
                    concepts=concepts,
                )
            )
        calibration = self._add(
            "calibrate", name, content, inputs=(images, texts[0]), encoder=encoder
        )
        return (images, *texts, calibration)

    def _fidelity(self, encoder: Encoder) -> str:
        """The step that tells how well an encoder sees the dataset's own truth."""
        return self._add(
            "fidelity",
            self._name(encoder),
            {"encoder": self._print(encoder), "dataset": self.dataset},
            inputs=self._embed(encoder, ()),
            encoder=encoder,
        )

    def _embeds(self, component: Component, sets: tuple[ConceptSet, ...]) -> tuple[str, ...]:
        keys: dict[str, None] = {}
        for encoder in encoders_of(component):
            keys |= dict.fromkeys(self._embed(encoder, sets))
        return tuple(keys)

    def _explain(self, place: _Place, explainer: Row[Explainer]) -> str:
        component = explainer.component
        sets = tuple(concept_sets_of(component))
        return self._add(
            "explain",
            f"{place} / {explainer.id}",
            {
                "dataset": self.dataset,
                "explainer": self._print(component),
                "units": self.experiment.units,
                "seed": self.experiment.seed,
            },
            inputs=(place.record, *self._embeds(component, sets)),
            model=place.model,
            layer=place.layer,
            explainer=explainer,
        )

    def _simulate(
        self, place: _Place, explainer: Row[Explainer], simulator: Row[Simulator], explain: str
    ) -> str:
        sets = tuple(concept_sets_of(explainer.component))
        return self._add(
            "simulate",
            f"{place} / {explainer.id} / {simulator.id}",
            {"dataset": self.dataset, "simulator": self._print(simulator.component)},
            inputs=(explain, *self._embeds(simulator.component, sets)),
            model=place.model,
            layer=place.layer,
            explainer=explainer,
            simulator=simulator,
        )

    def _score(self, place: _Place, scorer: Row[Scorer], simulate: str, cell: Cell) -> str:
        content: dict[str, Any] = {
            "scorer": self._print(scorer.component),
            "units": self.experiment.units,
        }
        options = scorer.component.ablation_options()
        ablate = () if options is None else (self._ablate(place, options),)
        return self._add(
            "score",
            f"{place} / {cell.explainer} / {cell.simulator} / {scorer.id}",
            content,
            inputs=(simulate, place.record, *ablate),
            model=place.model,
            layer=place.layer,
            scorer=scorer,
        )

    def _temper(self, model: ModelRow) -> str:
        """The step that gives a model's logits and their temperature."""
        content = {
            "dataset": self.dataset,
            "model": self._print(model.component),
            "fit": TEMPERATURE_FIT,
        }
        return self._add("temper", model.id, content, model=model)

    def _impact(self, place: _Place, options: ImpactOptions) -> str:
        """The step that gives the Top Impact of a layer's units."""
        content = {
            "options": [options.fractions, options.images, options.counting, options.temperature],
            "units": self.experiment.units,
            **({} if options.over == "test" else {"over": options.over}),
        }
        return self._add(
            "impact",
            str(place),
            content,
            inputs=(self._temper(place.model), place.record),
            model=place.model,
            layer=place.layer,
            impact=options,
        )

    def _ablate(self, place: _Place, options: AblationOptions) -> str:
        """The step that runs a model with units of a layer replaced."""
        content = {
            "options": [options.temperature, options.images, options.nodes],  # not runs: memory
            "units": self.experiment.units,
        }
        return self._add(
            "ablate",
            str(place),
            content,
            inputs=(self._temper(place.model), place.record),
            model=place.model,
            layer=place.layer,
            ablation=options,
        )
