"""Running a plan: what is needed, in which order, and what happens when a step fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from le_bench.errors import BenchError, UnreadableFileError
from le_bench.networks.directions import read_directions
from le_bench.networks.recording import record_activations, resolve_layers
from le_bench.planning.experiment import ModelRow
from le_bench.planning.plan import Plan, Step
from le_bench.probing.images import ArrayImages
from le_bench.running.executors import Executor, Task
from le_bench.running.store import Store
from le_bench.running.workspace import Workspace
from le_bench.types import Layer, Outcome

StepDone = Callable[[Step, Outcome], None]
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Progress:
    """What a run has to do and how each step ended."""

    plan: Plan
    needed: set[str]
    cached: set[str]
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @property
    def failures(self) -> dict[str, str]:
        """Reason by key of every step that failed or was skipped because an input failed."""
        return {
            key: outcome.reason
            for key, outcome in self.outcomes.items()
            if outcome.state in ("failed", "skipped")
        }


def survey(plan: Plan, store: Store) -> Progress:
    """Which steps have to be computed for the cells of a plan, and which are in the store.

    A step whose readers are all in the store is neither needed nor looked at, unless a record of
    results tells of it: scores, explanations, calibrations, fidelities and impacts.
    """
    progress = Progress(plan, set(), set())
    stack = [
        key for cell in plan.cells for key in (cell.score, cell.explain, *plan.calibrations(cell))
    ]
    stack += plan.impacts
    for key in plan.fidelities.values():
        stack += [key, *(each for each in plan.steps[key].inputs if _calibrates(plan, each))]
    while stack:
        key = stack.pop()
        if key in progress.needed or key in progress.cached:
            continue
        step = plan.steps[key]
        if store.has(step.stage, key):
            progress.cached.add(key)
        else:
            progress.needed.add(key)
            stack.extend(step.inputs)
    return progress


def _calibrates(plan: Plan, key: str) -> bool:
    return plan.steps[key].stage == "calibrate"


def check_inputs(workspace: Workspace, progress: Progress) -> None:
    """Load everything that will be needed once, before any time is spent.

    Raises one BenchError with all faults: a dataset, model or encoder that cannot be loaded, a
    layer that its model does not have or that does not give what is asked of it (one image is run
    through each model). Anything else a plugin raises is left to its own step.
    """
    steps = [step for key, step in workspace.plan.steps.items() if key in progress.needed]
    recorded: dict[str, list[Step]] = {}
    for step in steps:
        if step.stage == "record" and step.model is not None:
            recorded.setdefault(step.model.id, []).append(step)
    found = _raised(lambda: workspace.dataset) if steps else []
    for group in recorded.values():
        found += _layer_faults(workspace, group)
    for encoder in dict.fromkeys(s.encoder for s in steps if s.stage.startswith("embed")):
        if encoder is not None:
            found += _raised(partial(workspace.encode_texts, encoder, ["a"]))
    faults = {str(error): error for error in found}
    if len(faults) == 1:
        raise found[0]
    if faults:
        raise BenchError("\n".join(["nothing was run:", *(f"  - {fault}" for fault in faults)]))


def _layer_faults(workspace: Workspace, steps: Sequence[Step]) -> list[BenchError]:
    """What is wrong with the layers of one model: looked up, then recorded for one image."""
    layers = [step.layer for step in steps if step.layer is not None]
    unknown = _raised(partial(_find_layers, workspace, steps[0].model, layers))
    if unknown:
        return unknown
    if not _raised(partial(_record_one, workspace, steps[0].model, layers)):
        return []
    return [
        fault
        for layer in layers
        for fault in _raised(partial(_record_one, workspace, steps[0].model, [layer]))
    ]


def _find_layers(workspace: Workspace, row: ModelRow | None, layers: Sequence[Layer]) -> None:
    for path in dict.fromkeys(layer.directions for layer in layers):
        if path is not None:
            read_directions(path)
    if row is not None:
        resolve_layers(workspace.model(row).module, layers)


def _record_one(workspace: Workspace, row: ModelRow | None, layers: Sequence[Layer]) -> None:
    """Record the first image, which shows whether poolings, directions and axes fit."""
    if row is not None:
        image = ArrayImages(np.stack(workspace.dataset.images.read([0])))
        with workspace.seeded(row.component):
            record_activations(workspace.model(row), image, layers, batch_size=1)


def _raised(check: Callable[[], object]) -> list[BenchError]:
    """The mistake that a check meets, if any; a fault of a plugin's code is left to its step."""
    try:
        check()
    except BenchError as error:
        return [error]
    except Exception:  # its own step reports it with its place
        logger.debug("checking inputs", exc_info=True)
    return []


def execute(progress: Progress, executor: Executor, step_done: StepDone) -> None:
    """Compute all needed steps; a failure takes down only the steps that depend on it.

    Raises UnreadableFileError for what no other step can do without: an image that cannot be
    read, a cache that cannot be written.
    """
    plan = progress.plan
    for key in plan.steps:
        if key in progress.cached:
            _note(progress, [key], Outcome("cached"), step_done)
    waiting = _tasks(plan, progress.needed)
    running = 0
    while waiting or running:
        waiting, ready = _split(progress, waiting, step_done)
        for task in ready:
            executor.submit(task)
            running += 1
        if not running:
            break
        for task, outcome in executor.wait():
            running -= 1
            if outcome.fatal:
                raise UnreadableFileError(outcome.reason)
            _note(progress, task, outcome, step_done)


def _tasks(plan: Plan, needed: set[str]) -> list[Task]:
    """Needed steps in plan order; steps of one group become one task at its first place."""
    tasks: dict[str, list[str]] = {}
    for key, step in plan.steps.items():
        if key in needed:
            tasks.setdefault(step.group or key, []).append(key)
    return [tuple(keys) for keys in tasks.values()]


def _split(
    progress: Progress, waiting: Iterable[Task], step_done: StepDone
) -> tuple[list[Task], list[Task]]:
    """Waiting tasks that still wait, and those whose inputs are all there.

    Tasks whose inputs failed are noted as skipped.
    """
    still: list[Task] = []
    ready: list[Task] = []
    for task in waiting:
        inputs = {key for step in task for key in progress.plan.steps[step].inputs}
        states = {key: progress.outcomes[key].state for key in inputs if key in progress.outcomes}
        broken = [key for key, state in states.items() if state in ("failed", "skipped")]
        if broken:
            origin = next((k for k in broken if states[k] == "failed"), broken[0])
            reason = _origin_reason(progress.plan.steps, progress.outcomes, origin)
            _note(progress, task, Outcome("skipped", reason=reason), step_done)
        elif len(states) == len(inputs):
            ready.append(task)
        else:
            still.append(task)
    return still, ready


def _origin_reason(steps: Mapping[str, Step], outcomes: Mapping[str, Outcome], origin: str) -> str:
    outcome = outcomes[origin]
    if outcome.state == "skipped":
        return outcome.reason
    return f"{steps[origin].stage} {steps[origin].title}: {outcome.reason}"


def _note(progress: Progress, keys: Iterable[str], outcome: Outcome, step_done: StepDone) -> None:
    for key in keys:
        progress.outcomes[key] = outcome
        step_done(progress.plan.steps[key], outcome)
