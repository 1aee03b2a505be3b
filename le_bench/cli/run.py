"""`le-bench run`: explain, simulate, score, and write the leaderboards."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from le_bench.cli.boards import check_folder, check_whole, render_boards
from le_bench.cli.session import (
    BOARDS,
    DEFAULT,
    Cache,
    Choices,
    Device,
    ExperimentName,
    Explainers,
    Layers,
    LimitUnits,
    Models,
    Opened,
    PluginFiles,
    Precision,
    Scorers,
    Settings,
    Simulators,
    cache_folder,
    open_experiment,
    remember_digests,
)

if TYPE_CHECKING:
    from le_bench.running.collect import Written
    from le_bench.running.execute import Progress
    from le_bench.running.executors import Executor
    from le_bench.running.store import Store
    from le_bench.running.workspace import Workspace

NAME = "run"
SOME_FAILED = 5
MIB = 2**20
MANY_STEPS = 300  # from where starting processes is worth its seconds
PARTIAL = Path("leaderboards-partial")


def command(
    experiment: ExperimentName = DEFAULT,
    settings: Settings = None,
    plugin: PluginFiles = None,
    explainer: Explainers = None,
    model: Models = None,
    layer: Layers = None,
    simulator: Simulators = None,
    scorer: Scorers = None,
    limit_units: LimitUnits = None,
    device: Device = "auto",
    batch_size: Annotated[
        str,
        typer.Option(
            metavar="N",
            help="Images through a model at once; auto takes what --memory holds, on CUDA "
            "half of what is free if that is more. Encoders have their own option `batch_size`.",
        ),
    ] = "256",
    precision: Precision = None,
    channels_last: Annotated[
        bool,
        typer.Option(
            "--channels-last",
            help="Lay weights out with channels last, which some devices compute faster; results "
            "are the same up to rounding.",
        ),
    ] = False,
    memory: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="MIB",
            help="Memory of the device, in MiB, for a component to work in, beside networks, data "
            "and results. Less is slower; results are the same up to rounding.",
        ),
    ] = 256,
    workers: Annotated[
        str,
        typer.Option(
            metavar="N",
            help="Local worker processes; 0 computes in this process. Each holds the dataset and a "
            "model. auto takes 2 on a CPU with two cores if there are many steps.",
        ),
    ] = "auto",
    cache: Cache = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of results and boards. Default: leaderboards, or leaderboards-partial for "
            "results over some units only.",
        ),
    ] = None,
) -> None:
    """Run an experiment and write its leaderboards.

    Finished steps are kept in the cache: an interrupted run goes on where it stopped, and a
    second run computes nothing.

    Examples: `le-bench run`; `le-bench run my.toml --device cuda`;
    `le-bench run --explainer random --limit-units 8`.
    """
    from le_bench.running.devices import choose_device
    from le_bench.running.executors import InProcess, LocalProcesses, Recipe
    from le_bench.running.workspace import Workspace

    chosen = choose_device(device)
    choices = Choices(
        experiment,
        settings,
        plugin,
        explainer,
        model,
        layer,
        simulator,
        scorer,
        limit_units,
        precision,
    )
    remember_digests(cache)
    opened = open_experiment(choices)
    partial = opened.experiment.units is not None
    folder = out or (PARTIAL if partial else BOARDS)
    images, auto = _batch_size(batch_size)
    progress, store = prepare(opened, cache, folder)
    plan = progress.plan
    workspace = Workspace(plan, store, chosen, images, memory * MIB, auto, channels_last)
    executor: Executor = InProcess(workspace)
    if count := _workers(workers, chosen.type, len(progress.needed)):
        recipe = Recipe(
            opened.table,
            opened.source,
            tuple(plugin or ()),
            store.root,
            str(chosen),
            images,
            memory * MIB,
            auto,
            channels_last,
        )
        executor = LocalProcesses(recipe, count, workspace)
    try:
        watch(opened, progress, workspace, executor)
    finally:
        executor.close()
    written = _collect(opened, progress, workspace, folder, choices)
    board = render_boards(folder, include_partial=partial)
    _report(written, progress, board.get(opened.experiment.name, folder))
    if progress.failures:
        typer.echo(f"to go on: {shlex.join(['le-bench', *sys.argv[1:]])}", err=True)
        raise typer.Exit(SOME_FAILED)


def _batch_size(text: str) -> tuple[int, bool]:
    """The number of images, and whether it is to be found."""
    from le_bench.errors import BenchError

    if text == "auto":
        return 256, True
    if not text.isdecimal() or int(text) < 1:
        raise BenchError(f"--batch-size {text}: give a number of at least 1, or auto")
    return int(text), False


def _workers(text: str, device: str, steps: int) -> int:
    """How many worker processes; 0 for none."""
    from le_bench.errors import BenchError

    if text == "auto":
        many = device == "cpu" and (os.cpu_count() or 1) > 1 and steps >= MANY_STEPS
        return 2 if many else 0
    if not text.isdecimal():
        raise BenchError(f"--workers {text}: give a number, or auto")
    return int(text) if steps else 0


def prepare(opened: Opened, cache: Path | None, folder: Path) -> tuple[Progress, Store]:
    """What an experiment needs, and the cache; files are fetched, and `folder` can take it."""
    from le_bench.planning.plan import make_plan
    from le_bench.running.execute import survey
    from le_bench.running.fetching import fetch_files
    from le_bench.running.store import Store

    check_folder(folder)
    if opened.experiment.units is not None:
        check_whole(folder, opened.experiment.name)
    fetch_files(opened.experiment)
    plan = make_plan(opened.experiment, opened.plugins.origins)
    store = Store(cache_folder(cache))
    return survey(plan, store), store


def watch(opened: Opened, progress: Progress, workspace: Workspace, executor: Executor) -> None:
    """Load and compute all that is needed, showing each step."""
    from le_bench.cli.progress import StepLog
    from le_bench.running.execute import check_inputs, execute

    if progress.needed:
        typer.echo("loading the probe dataset, models and encoders ...", err=True)
    check_inputs(workspace, progress)
    log = StepLog(len(progress.needed), sys.stderr)
    opened.plugins.observe(log)
    with log:
        execute(progress, executor, opened.plugins.step_done)


def _collect(
    opened: Opened, progress: Progress, workspace: Workspace, folder: Path, choices: Choices
) -> Written:
    from le_bench.running.collect import Collector

    device = workspace.device.type
    collector = Collector(progress, workspace.store, opened.plugins, folder, device)
    partial = opened.experiment.units is not None
    return collector.collect(partial=partial, complete=not choices.selective)


def _report(written: Written, progress: Progress, board: Path) -> None:
    done = sum(outcome.state == "done" for outcome in progress.outcomes.values())
    typer.echo(
        f"{done} steps computed, {len(progress.cached)} found in the cache; "
        f"{written.results} cells scored, {written.not_applicable} not applicable, "
        f"{written.failures} failed; {written.changed + written.removed} files changed"
    )
    if written.not_reproduced:
        typer.echo(
            f"warning: {len(written.not_reproduced)} recorded results were not reproduced and "
            f"have been replaced, the first: {written.not_reproduced[0]}",
            err=True,
        )
    for key, outcome in progress.outcomes.items():
        if outcome.state == "failed":
            step = progress.plan.steps[key]
            typer.echo(f"failed: {step.stage} {step.title}: {outcome.reason}", err=True)
    typer.echo(f"board: {board}")
