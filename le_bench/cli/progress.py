"""Progress of a run: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from le_bench.markers import hookimpl

if TYPE_CHECKING:
    from le_bench.planning.plan import Step
    from le_bench.types import Outcome


class StepLog:
    """An observer that shows each step that took time or failed."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total = total
        self._done = 0
        self._failed: list[str] = []
        self._stream = stream
        self._bar: Progress | None = None
        if stream.isatty() and not os.environ.get("CI"):
            self._bar = Progress(
                TextColumn("{task.description:.60}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=Console(file=stream),
                transient=True,
            )
            self._task = self._bar.add_task("starting", total=total)

    def __enter__(self) -> StepLog:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    @hookimpl
    def le_bench_step_done(self, step: Step, outcome: Outcome) -> None:
        """Show a step unless it was found in the cache."""
        if outcome.state == "cached":
            return
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._task, advance=1, description=f"{step.stage} {step.title}")
            if outcome.state != "failed":
                return
        name = f"{step.stage} {step.title}"
        if outcome.state == "failed":
            self._failed.append(name)
        line = f"[{self._done}/{self._total}] {name}: {outcome.state}, {self._detail(outcome)}"
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=self._stream, flush=True)

    def _detail(self, outcome: Outcome) -> str:
        """How long a step took or why it failed; of a skipped one only the step that it needs."""
        if outcome.state == "done":
            return f"{outcome.seconds:.2f} s"
        needed = (name for name in self._failed if outcome.reason.startswith(f"{name}: "))
        return next((f"needs {name}" for name in needed), outcome.reason)
