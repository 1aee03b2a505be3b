"""From finished impact steps to the committed records of Top Impact."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

from le_bench.boards.folders import read_if_sound
from le_bench.boards.impact import IMPACTS, LayerImpact, impact_path, write_impact
from le_bench.boards.records import LogitTemperature
from le_bench.planning.plan import Step
from le_bench.running.agreement import TOLERANCE
from le_bench.running.execute import Progress
from le_bench.running.fit_for_records import failing_if_unfit
from le_bench.running.provenance import RunProvenance
from le_bench.running.store import Artifact, Store

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class WrittenImpacts:
    """The records of a run's layers, where they lie, and what was not written, with the reason."""

    records: list[LayerImpact] = field(default_factory=list)
    paths: set[Path] = field(default_factory=set)
    missing: dict[str, str] = field(default_factory=dict)
    changed: int = 0


def collect_impacts(
    progress: Progress, store: Store, provenance: RunProvenance, out: Path
) -> WrittenImpacts:
    """Write the record of every layer whose impact step ended well.

    A record that was there under the same key and holds within the tolerance stays as it is.
    """
    written = WrittenImpacts()
    for key in progress.plan.impacts:
        step = progress.plan.steps[key]
        outcome = progress.outcomes[key]
        if outcome.state not in ("done", "cached"):
            written.missing[step.title] = outcome.reason
            continue
        artifact = store.reread(step.stage, key, step.title)
        why = artifact.record.get("not_applicable")
        if why is not None:
            written.missing[step.title] = why["reason"]
            continue
        record = None
        with failing_if_unfit(progress, key):
            record = _record(step, artifact, provenance)
        if record is None:
            written.missing[step.title] = progress.outcomes[key].reason
            continue
        path = impact_path(out / "impact", record)
        old = read_if_sound(path, IMPACTS)
        if old is not None and _reproduced(old, record):
            record = old
        written.changed += write_impact(out / "impact", record)
        written.records.append(record)
        written.paths.add(path)
    for title, reason in written.missing.items():
        logger.warning("no Top Impact of %s: %s", title, reason)
    return written


def _record(step: Step, artifact: Artifact, provenance: RunProvenance) -> LayerImpact:
    if step.model is None or step.impact is None:
        raise TypeError("an impact step has no model or options")
    experiment, record = provenance.plan.experiment, artifact.record
    return LayerImpact(
        key=step.key,
        experiment=experiment.name,
        dataset=experiment.dataset.id,
        model=step.model.id,
        layer=str(step.layer),
        fractions=step.impact.fractions,
        values=tuple(tuple(row) for row in record["top"]),
        images=record["images"],
        counting=step.impact.counting,
        over=step.impact.over,
        accuracy=record["accuracy"],
        cross_entropy=record["cross_entropy"],
        temperature=LogitTemperature(model=step.model.id, **record["temperature"]),
        environment=provenance.environment,
        way=record["how"],
        partial=experiment.units is not None,
    )


def _reproduced(old: LayerImpact, new: LayerImpact) -> bool:
    """Whether two records say the same within the tolerance."""
    if (old.key, old.partial, old.model, old.layer) != (new.key, new.partial, new.model, new.layer):
        return False
    pairs = [
        pair
        for rows in zip(old.values, new.values, strict=False)
        for pair in zip(*rows, strict=False)
    ]
    return old.num_units == new.num_units and all(
        (a is None) == (b is None) and (a is None or b is None or abs(a - b) <= TOLERANCE)
        for a, b in pairs
    )
