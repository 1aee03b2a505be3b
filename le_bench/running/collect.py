"""From finished steps to the committed records: results, failures, explanations and costs."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import Any

from le_bench.boards.companions import (
    EXPLANATIONS,
    add_costs,
    costs_path,
    explanations_path,
    read_costs,
    write_about,
    write_explanations,
)
from le_bench.boards.files import ResultError, file_name
from le_bench.boards.folders import read_if_sound, remove
from le_bench.boards.records import (
    About,
    Cell,
    Cost,
    Failure,
    LayerExplanations,
    Result,
    UnitExplanation,
)
from le_bench.boards.results import (
    RESULTS,
    UnitScores,
    failure_path,
    make_result,
    mixed_faults,
    result_path,
    write_failure,
    write_result,
)
from le_bench.boards.simulators import PAGE as SIMULATORS
from le_bench.fingerprint import digest
from le_bench.planning.plan import PlannedCell
from le_bench.plugins import Plugins
from le_bench.running.agreement import TOLERANCE, nearly_equal
from le_bench.running.collect_fidelity import collect_fidelities
from le_bench.running.collect_impact import collect_impacts
from le_bench.running.execute import Progress
from le_bench.running.fit_for_records import failing_if_unfit
from le_bench.running.provenance import RunProvenance, environment_of
from le_bench.running.store import Store


@dataclass(slots=True)
class Written:
    """What collecting did: cells by outcome, changed files, and how well old results held.

    `largest_difference` is over units of results that were there before under the same key;
    `not_reproduced` names those that differ by more than the tolerance.
    """

    results: int = 0
    failures: int = 0
    not_applicable: int = 0
    changed: int = 0
    removed: int = 0
    largest_difference: float = 0.0
    not_reproduced: tuple[Cell, ...] = ()


class Collector:
    """Writes the records of one run under `out`."""

    def __init__(
        self, progress: Progress, store: Store, plugins: Plugins, out: Path, device: str
    ) -> None:
        self.progress = progress
        self.plan = progress.plan
        self.experiment = progress.plan.experiment
        self.store = store
        self.provenance = RunProvenance(progress.plan, plugins, environment_of(device))
        self.out = out
        self.device = device
        self.written = Written()
        self._expected: set[Path] = set()
        self._renewed: set[tuple[str, str, str]] = set()  # explained anew, under another key
        self._latest: dict[str, tuple[str, Mapping[str, Any]]] = {}  # record read last, by stage

    def collect(self, *, partial: bool, complete: bool) -> Written:
        """Write every record; `complete` also removes records of cells no longer asked for.

        A result that was there under the same key and holds within the tolerance stays as it is.
        Raises ResultError, before anything is written, if the results do not go with those that
        the folder keeps.
        """
        cells = list(dict.fromkeys(self.plan.cells))
        records: dict[PlannedCell, Result | Failure] = {}
        for planned in cells:
            if self._broken(planned) is None:
                with failing_if_unfit(self.progress, planned.score):
                    records[planned] = self._outcome(planned, partial)
        results = [record for record in records.values() if isinstance(record, Result)]
        self._check_together(results, complete=complete)
        costs: dict[tuple[str, str, str], Cost] = {}
        for planned in cells:
            if self._ended(planned.explain):
                self._explanations(planned, costs)
        for planned in cells:
            broken = self._broken(planned)
            self._write(self._failure(planned, broken) if broken else records[planned])
        for cell, reason in self.plan.not_applicable.items():
            self._write(_not_applicable(digest([str(cell), reason]), cell, "plan", reason))
        self._costs(costs)
        about = About(
            self.experiment.name,
            self.experiment.title,
            " ".join(self.experiment.description.split()),
            self.experiment.compare,
            tuple(row.id for row in self.experiment.scorers),
            tuple(dict.fromkeys((each.cell.model, each.cell.layer) for each in self.plan.cells)),
        )
        impacts = collect_impacts(self.progress, self.store, self.provenance, self.out)
        fidelities = collect_fidelities(self.progress, self.store, self.out)
        self.written.changed += impacts.changed + fidelities.changed
        self._expected |= impacts.paths | fidelities.paths
        if complete:
            self.written.changed += write_about(self.out / "about", about)
            self._remove_others()
        return self.written

    def _check_together(self, results: Sequence[Result], *, complete: bool) -> None:
        """Refuse results that would share a board with others they cannot be compared with."""
        folder = self.out / "results"
        own = folder / file_name(self.experiment.name)
        kept = [read_if_sound(path, RESULTS) for path in own.rglob("*.json")]
        new = {result.cell for result in results}
        others = [old for old in kept if old is not None and old.cell not in new]
        faults = [] if complete else mixed_faults([*others, *results])
        if faults:
            raise ResultError(
                f"these results do not go with those in {folder}: {faults[0]}; or give another "
                "folder with --out; nothing was written"
            )

    def _ended(self, key: str) -> bool:
        return self.progress.outcomes[key].state in ("done", "cached")

    def _broken(self, planned: PlannedCell) -> str | None:
        """The first step that a record of this cell needs and that did not end well."""
        needed = (planned.score, planned.explain, *self.plan.calibrations(planned))
        return next((key for key in needed if not self._ended(key)), None)

    def _outcome(self, planned: PlannedCell, partial: bool) -> Result | Failure:
        why = self._record(planned.score).get("not_applicable")
        if why is None:
            return self._result(planned, partial)
        return _not_applicable(planned.score, planned.cell, why["step"], why["reason"])

    def _result(self, planned: PlannedCell, partial: bool) -> Result:
        record = self._record(planned.score)
        cell = planned.cell
        place = (cell.model, cell.layer, cell.explainer, cell.simulator, cell.scorer)
        published = self.experiment.published.get(place, {})
        old = read_if_sound(result_path(self.out / "results", cell), RESULTS)
        if old is not None and (old.key, old.partial) == (planned.score, partial):
            rounded = [None if value is None else round(value, 6) for value in record["values"]]
            further = {key: value for key, value in published.items() if key != "value"}
            same = (old.published, old.published_further) == (published.get("value"), further)
            if same and list(old.values) == rounded:
                return old  # spares the bootstrap, most of the time of a run without news
        explanations = self._record(planned.explain)["explanations"]
        row = next(r for r in self.experiment.explainers if r.id == cell.explainer)
        scorer = next(r for r in self.experiment.scorers if r.id == cell.scorer)
        return make_result(
            cell,
            planned.score,
            UnitScores(
                values=[nan if value is None else value for value in record["values"]],
                lengths=[len(explanation["terms"]) for explanation in explanations],
                undefined={int(unit): reason for unit, reason in record["undefined"].items()},
                dead=record["dead"],
            ),
            self.provenance.of(
                planned,
                record["images"],
                {key: self._record(key) for key in self.plan.calibrations(planned)},
                record.get("temperature"),
            ),
            higher_is_better=scorer.component.higher_is_better,
            published=published,
            partial=partial,
            reference_row=row.component.reference_row,
        )

    def _write(self, record: Result | Failure) -> None:
        if isinstance(record, Result):
            self._write_result(record)
            return
        self._write_failure(record)
        if record.not_applicable:
            self.written.not_applicable += 1
        else:
            self.written.failures += 1

    def _write_result(self, result: Result) -> None:
        folder = self.out / "results"
        path = result_path(folder, result.cell)
        old = read_if_sound(path, RESULTS)
        if old is not None and old.key == result.key:
            result = self._reconcile(old, result)
        self.written.changed += write_result(folder, result)
        self.written.results += 1
        self._expected.add(path)

    def _reconcile(self, old: Result, new: Result) -> Result:
        """The old result if the new one reproduces it, else the new one."""
        pairs = list(zip(old.values, new.values, strict=False))
        same_units = len(old.values) == len(new.values) and all(
            (a is None) == (b is None) for a, b in pairs
        )
        if not same_units:
            self.written.not_reproduced += (new.cell,)
            return new
        gap = max((abs(a - b) for a, b in pairs if a is not None and b is not None), default=0.0)
        self.written.largest_difference = max(self.written.largest_difference, gap)
        if gap > TOLERANCE:
            self.written.not_reproduced += (new.cell,)
            return new
        return replace(new, values=old.values, score=old.score, dead=old.dead, made_by=old.made_by)

    def _failure(self, planned: PlannedCell, broken: str) -> Failure:
        outcome, step = self.progress.outcomes[broken], self.plan.steps[broken]
        reason = outcome.reason
        if outcome.state == "failed":
            reason = f"{step.stage} {step.title}: {reason}"
        return Failure(planned.score, planned.cell, "score", reason)

    def _write_failure(self, failure: Failure) -> None:
        folder = self.out / "results"
        self.written.changed += write_failure(folder, failure)
        self._expected |= {
            failure_path(folder, failure.cell),
            result_path(folder, failure.cell),
        }

    def _explanations(self, planned: PlannedCell, costs: dict[tuple[str, str, str], Cost]) -> None:
        cell = planned.cell
        place = (cell.model, cell.layer, cell.explainer)
        if place in costs:
            return
        artifact = self.store.read("explain", planned.explain)
        if artifact is None or "not_applicable" in artifact.record:
            return
        layer = None
        with failing_if_unfit(self.progress, planned.explain):
            units = tuple(map(_unit_explanation, artifact.record["explanations"]))
            layer = LayerExplanations(planned.explain, self.experiment.name, *place, units)
        if layer is None:
            return
        folder = self.out / "explanations"
        path = explanations_path(folder, layer)
        old = read_if_sound(path, EXPLANATIONS)
        self._expected.add(path)
        costs[place] = Cost(*place, artifact.seconds, self.device, _processor())
        if old is None or old.key != layer.key:
            self._renewed.add(place)
        elif nearly_equal(old, layer):
            layer = old
        self.written.changed += write_explanations(folder, layer)

    def _costs(self, measured: Mapping[tuple[str, str, str], Cost]) -> None:
        """Add what is new; a figure measured before for the same explain step stays."""
        folder = self.out / "costs"
        known: dict[tuple[str, str, str], Cost] = {}
        if costs_path(folder, self.experiment.name).exists():
            for costs in read_costs(folder):
                if costs.experiment == self.experiment.name:
                    known = {(c.model, c.layer, c.explainer): c for c in costs.cells}
        new = [cost for at, cost in measured.items() if at not in known or at in self._renewed]
        if new:
            self.written.changed += add_costs(folder, self.experiment.name, new)

    def _record(self, key: str) -> Mapping[str, Any]:
        step = self.plan.steps[key]
        known, record = self._latest.get(step.stage, ("", {}))
        if known == key:
            return record
        artifact = self.store.reread(step.stage, key, step.title)
        self._latest[step.stage] = (key, artifact.record)
        return artifact.record

    def _remove_others(self) -> None:
        # without [impact] the records are those of `le-bench impact`
        measured = () if self.experiment.impact is None else ("impact",)
        for folder in ("results", "explanations", *measured, SIMULATORS):
            own = self.out / folder / file_name(self.experiment.name)
            for path in sorted(own.rglob("*.json")):
                if path not in self._expected:
                    self.written.removed += remove(path)


def _not_applicable(key: str, cell: Cell, step: str, reason: str) -> Failure:
    return Failure(key, cell, step, reason, not_applicable=True)


def _unit_explanation(item: Mapping[str, Any]) -> UnitExplanation:
    terms = tuple((concept, weight) for concept, weight in item["terms"])
    return UnitExplanation(item["unit"], terms, item["bias"], item["reason"], item["figures"])


def _processor() -> str:
    """The processor's kind in a word or two, for the cost table."""
    return platform.machine() or "unknown"
