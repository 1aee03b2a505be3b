"""`le-bench impact`: how much of each unit's effect lies in its highest activations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from le_bench.cli.boards import render_boards
from le_bench.cli.run import PARTIAL, SOME_FAILED, prepare, watch
from le_bench.cli.session import (
    BOARDS,
    DEFAULT,
    Cache,
    Choices,
    Device,
    ExperimentName,
    Layers,
    LimitUnits,
    Models,
    Opened,
    PluginFiles,
    Settings,
    open_experiment,
    remember_digests,
)

NAME = "impact"


def command(
    experiment: ExperimentName = DEFAULT,
    settings: Settings = None,
    plugin: PluginFiles = None,
    model: Models = None,
    layer: Layers = None,
    limit_units: LimitUnits = None,
    device: Device = "auto",
    batch_size: Annotated[
        int, typer.Option(min=1, metavar="N", help="Images through a model at once.")
    ] = 256,
    cache: Cache = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of records and boards. Default: leaderboards, or leaderboards-partial "
            "for some units only.",
        ),
    ] = None,
) -> None:
    """Measure the Top Impact of every layer, explain nothing, and add its table to the board.

    Options come from the experiment's table [impact], or `--set impact.images=500`.

    Example: `le-bench impact --model CNN --set impact.fractions=[0.02,0.1,0.5]`.
    """
    from le_bench.boards.impact import impact_table
    from le_bench.running.collect_impact import collect_impacts
    from le_bench.running.devices import choose_device
    from le_bench.running.executors import InProcess
    from le_bench.running.provenance import RunProvenance, environment_of
    from le_bench.running.workspace import Workspace

    chosen = choose_device(device)
    choices = Choices(
        experiment, settings, plugin, models=model, layers=layer, limit_units=limit_units
    )
    remember_digests(cache)
    opened = _without_cells(open_experiment(choices))
    partial = opened.experiment.units is not None
    folder = out or (PARTIAL if partial else BOARDS)
    progress, store = prepare(opened, cache, folder)
    workspace = Workspace(progress.plan, store, chosen, batch_size)
    watch(opened, progress, workspace, InProcess(workspace))
    provenance = RunProvenance(progress.plan, opened.plugins, environment_of(chosen.type))
    written = collect_impacts(progress, store, provenance, folder)
    board = render_boards(folder, include_partial=partial)
    for name in dict.fromkeys(record.model for record in written.records):
        typer.echo(f"{name}\n")
        typer.echo(impact_table([each for each in written.records if each.model == name]))
        typer.echo("")
    typer.echo(f"board: {board.get(opened.experiment.name, folder)}")
    if progress.failures:
        raise typer.Exit(SOME_FAILED)


def _without_cells(opened: Opened) -> Opened:
    """The experiment with models and data alone, and with default options if it has none."""
    from le_bench.types import ImpactOptions

    experiment = replace(
        opened.experiment,
        impact=opened.experiment.impact or ImpactOptions(),
        encoders={},
        explainers=(),
        simulators=(),
        scorers=(),
    )
    return replace(opened, experiment=experiment)
