"""Where steps are computed: in this process, or in local worker processes.

An executor takes tasks (steps computed together) and gives back outcomes. It knows nothing about
what a step does, so another engine can stand in its place.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

import torch

from le_bench.errors import BenchError, UnreadableFileError, readable
from le_bench.fingerprint import keep_digests
from le_bench.planning.plan import Step, make_plan
from le_bench.planning.reading import build_experiment
from le_bench.plugins import Plugins
from le_bench.running.stages import compute
from le_bench.running.store import Store, StoreError
from le_bench.running.workspace import MissingInputError, Workspace
from le_bench.types import Outcome, ProbeDataset

Task = tuple[str, ...]  # keys of the steps computed together
Place = tuple[str, str]  # the model and layer that a task is about
logger = logging.getLogger(__name__)


class Executor(Protocol):
    """Computes tasks whose inputs are all in the store."""

    def submit(self, task: Task) -> None:
        """Begin a task, or queue it."""
        ...

    def wait(self) -> list[tuple[Task, Outcome]]:
        """Block until at least one submitted task has ended."""
        ...

    def close(self) -> None:
        """Stop; unfinished tasks are abandoned."""
        ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """What another process needs to build the same plan: the raw experiment and its plugins."""

    table: Mapping[str, Any]
    source: Path
    plugin_files: tuple[Path, ...]
    cache: Path
    device: str
    batch_size: int
    working_bytes: int
    auto_batch: bool = False
    channels_last: bool = False

    def workspace(self) -> Workspace:
        """The workspace of this recipe, with everything loaded anew."""
        keep_digests(self.cache)
        plugins = Plugins.find(self.plugin_files)
        experiment = build_experiment(self.table, self.source, plugins)
        plan = make_plan(experiment, plugins.origins)
        device = torch.device(self.device)
        return Workspace(
            plan,
            Store(self.cache),
            device,
            self.batch_size,
            self.working_bytes,
            self.auto_batch,
            self.channels_last,
        )


class InProcess:
    """Computes one task after the other in this process."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._queue: deque[Task] = deque()

    def submit(self, task: Task) -> None:
        """Queue a task; it runs at the next `wait`."""
        self._queue.append(task)

    def wait(self) -> list[tuple[Task, Outcome]]:
        """Run the oldest queued task."""
        task = self._queue.popleft()
        return [(task, run_task(self._workspace, task))]

    def close(self) -> None:
        """Nothing to stop."""


class LocalProcesses:
    """Computes tasks in `count` worker processes; one that dies takes only its task with it.

    A worker stays at its layer while there are tasks there, since it has the layer's maps and
    losses at hand, and begins no layer at which another is at work if it can help it. The probe
    dataset of `workspace` is handed over, so that it is loaded once.
    """

    def __init__(self, recipe: Recipe, count: int, workspace: Workspace) -> None:
        self._recipe = recipe
        self._workspace = workspace
        self._queue: deque[Task] = deque()
        self._threads = max(1, (os.cpu_count() or 1) // count)
        self._workers = [_Worker(recipe, self._threads) for _ in range(count)]

    def submit(self, task: Task) -> None:
        """Hand the task to an idle worker, or queue it."""
        self._queue.append(task)
        self._feed()

    def wait(self) -> list[tuple[Task, Outcome]]:
        """Wait for a worker to answer or die."""
        busy = {w.connection: w for w in self._workers if w.task is not None}
        ended: list[tuple[Task, Outcome]] = []
        for connection in wait(list(busy)):
            worker = busy[connection]  # type: ignore[index]  # only connections were given
            task = worker.task or ()
            try:
                outcome = worker.connection.recv()
                worker.task = None
            except (EOFError, ConnectionResetError):
                worker.close()
                code = worker.process.exitcode
                reason = f"its worker process died (exit code {code}; out of memory or killed?)"
                outcome = Outcome("failed", reason=reason)
                self._workers[self._workers.index(worker)] = _Worker(self._recipe, self._threads)
            ended.append((task, outcome))
        self._feed()
        return ended

    def close(self) -> None:
        """Stop all workers at once."""
        for worker in self._workers:
            worker.close()

    def _feed(self) -> None:
        for idle in list(self._workers):
            if idle.task is None and self._queue:
                worker = self._living(idle)
                worker.task = self._next(worker)
                worker.place = self._place(worker.task)
                self._queue.remove(worker.task)
                with suppress(BrokenPipeError, ConnectionResetError):  # `wait` finds it dead
                    worker.prepare(self._workspace)
                    worker.connection.send(worker.task)

    def _next(self, worker: _Worker) -> Task:
        """The queued task that suits a worker best."""
        elsewhere = [w.place for w in self._workers if w is not worker and w.task is not None]
        places = [self._place(task) for task in self._queue]
        return self._queue[suits_best(places, worker.place, elsewhere)]

    def _living(self, worker: _Worker) -> _Worker:
        """The worker itself, or a new one in its place if it died while it was idle."""
        if worker.process.is_alive():
            return worker
        worker.close()
        successor = _Worker(self._recipe, self._threads)
        self._workers[self._workers.index(worker)] = successor
        return successor

    def _place(self, task: Task) -> Place:
        step = self._workspace.plan.steps[task[0]]
        return step.model.id if step.model else "", str(step.layer)


def suits_best(
    places: Sequence[Place], own: Place | None, elsewhere: Sequence[Place | None]
) -> int:
    """Which of the places of queued tasks a worker should take, by number.

    Best is its own place, then one at which no other worker is; among equals the first.

    >>> suits_best([("CNN", "a"), ("CNN", "b"), ("CNN", "c")], ("CNN", "c"), [("CNN", "a")])
    2
    """

    def far(number: int) -> int:
        place = places[number]
        return 0 if place == own else 2 if place in elsewhere else 1

    return min(range(len(places)), key=far)


class _Worker:
    """One child process with a pipe to it."""

    def __init__(self, recipe: Recipe, threads: int) -> None:
        context = get_context("spawn")  # a forked child would inherit torch's threads broken
        self.connection, child = context.Pipe()
        self.process = context.Process(target=_work, args=(child, recipe, threads), daemon=True)
        self.task: Task | None = None
        self.place: Place | None = None
        self._prepared = False
        self.process.start()
        child.close()

    def prepare(self, workspace: Workspace) -> None:
        """Hand over the dataset, once; if it cannot be pickled the worker loads its own."""
        if not self._prepared:
            try:
                self.connection.send(workspace.dataset)
            except (BrokenPipeError, ConnectionResetError):
                raise
            except Exception:  # of pickling, or of loading: the tasks that need it will tell
                logger.debug("handing over the dataset", exc_info=True)
                self.connection.send(None)
            self._prepared = True

    def close(self) -> None:
        """Kill the process; what it has stored stays whole."""
        self.connection.close()
        self.process.kill()
        self.process.join()


def run_task(workspace: Workspace, task: Task) -> Outcome:
    """Compute a task's steps; whatever a component raises becomes a failed outcome."""
    steps: Sequence[Step] = [workspace.plan.steps[key] for key in task]
    try:
        spent = compute(workspace, steps)
    except MissingInputError as missing:
        made_again = run_task(workspace, (missing.key,))
        return run_task(workspace, task) if made_again.state == "done" else made_again
    except StoreError as error:
        return Outcome("failed", reason=readable(str(error)), fatal=True)
    except UnreadableFileError as error:  # a file that was there at the start: an image, mostly
        fatal = steps[0].stage in ("record", "embed-images")
        return Outcome("failed", reason=readable(str(error)), fatal=fatal)
    except BenchError as error:
        return Outcome("failed", reason=readable(str(error)))
    except (Exception, SystemExit) as error:  # a plugin may raise anything; its cells are lost
        logger.debug("%s %s", steps[0].stage, steps[0].title, exc_info=True)
        return Outcome("failed", reason=_describe(error))
    return Outcome("done", spent)


def _describe(error: BaseException) -> str:
    """Type, message and the innermost place, in one line."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = ""
    if place is not None:
        where = f" ({Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno})"
    message = " ".join(readable(str(error)).split())
    return f"{type(error).__name__}: {message}{where}"


def _work(connection: Connection, recipe: Recipe, threads: int) -> None:
    """The life of a worker process: tasks in, outcomes out, until the pipe closes."""
    torch.set_num_threads(threads)
    workspace: Workspace | None = None
    with suppress(Exception):  # whatever is wrong, the first task meets it again and tells
        workspace = recipe.workspace()
    try:
        dataset: ProbeDataset | None = connection.recv()
        if workspace is not None and dataset is not None:
            workspace.dataset = dataset
        while True:
            task: Task = connection.recv()
            try:
                workspace = workspace or recipe.workspace()
                outcome = run_task(workspace, task)
            except (BenchError, KeyError) as error:
                outcome = Outcome("failed", reason=f"the worker could not prepare: {error}")
            connection.send(outcome)
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        return
