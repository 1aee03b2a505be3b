"""From finished fidelity steps to the committed records of simulators."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from le_bench.boards.folders import read_if_sound
from le_bench.boards.simulators import FIDELITIES, PAGE, fidelity_path, write_fidelity
from le_bench.running.execute import Progress
from le_bench.running.fidelity import fidelity_of, nearly_same
from le_bench.running.fit_for_records import failing_if_unfit
from le_bench.running.store import Store


@dataclass(slots=True)
class WrittenFidelities:
    """Where the records of a run's simulators lie, and how many of these files changed."""

    paths: set[Path] = field(default_factory=set)
    changed: int = 0


def collect_fidelities(progress: Progress, store: Store, out: Path) -> WrittenFidelities:
    """Write what each simulator's encoder sees; with several encoders each has its own record.

    A record that was there under the same key and holds within the tolerance stays as it is.
    """
    written = WrittenFidelities()
    plan, folder = progress.plan, out / PAGE
    for (simulator, encoder), key in plan.fidelities.items():
        if progress.outcomes[key].state not in ("done", "cached"):
            continue
        steps = [plan.steps[each] for each in (key, plan.steps[key].inputs[-1])]
        record, constants = (store.reread(s.stage, s.key, s.title).record for s in steps)
        own = [name for name, _ in plan.fidelities if name == simulator]
        shown = simulator if len(own) == 1 else f"{simulator} / {encoder}"
        names = (plan.experiment.name, plan.experiment.dataset.id, shown, encoder)
        found = None
        with failing_if_unfit(progress, key):
            found = fidelity_of(key, names, record, constants)
        if found is not None:
            path = fidelity_path(folder, found)
            old = read_if_sound(path, FIDELITIES)
            kept = old if old is not None and old.key == key and nearly_same(old, found) else found
            written.changed += write_fidelity(folder, kept)
            written.paths.add(path)
    return written
