"""`le-bench plan`: the steps of an experiment, before any time is spent."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from tabulate import tabulate

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
from le_bench.errors import BenchError, MissingFileError

if TYPE_CHECKING:
    from le_bench.planning.plan import Plan, Step
    from le_bench.running.estimates import Estimator

NAME = "plan"


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
    precision: Precision = None,
    cache: Cache = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show the steps of an experiment, what is missing, and what it will take. Computes nothing.

    Estimates count the operations of the networks and reckon with the speed of the device,
    measured for a third of a second in the number type of the experiment, and with 5 ms of a
    processor for each image in a file; what cannot be known beforehand is left open. Leaves with 2
    if the dataset is broken, and with 6 if files or weights have to be fetched.
    """
    from le_bench.planning.plan import make_plan
    from le_bench.running.execute import survey
    from le_bench.running.store import Store

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
    if cache_folder(cache).is_dir():
        remember_digests(cache)
    opened = open_experiment(choices, to_run=False)
    plan = make_plan(
        opened.experiment, opened.plugins.origins, provisional=bool(opened.missing or opened.broken)
    )
    store = Store(cache_folder(cache), to_write=False)
    cached = {key for key, step in plan.steps.items() if store.has(step.stage, key)}
    needed = survey(plan, store).needed
    estimator = _estimator(opened, plan, device) if needed else None
    if as_json:
        typer.echo(json.dumps(_document(opened, plan, cached, needed, estimator), indent=2))
    else:
        _print(opened, plan, cached, needed, estimator)
        typer.echo(f"cache: {store.root}")
        for key in plan.steps:
            if key in needed:
                typer.echo(f"  {plan.steps[key].stage:13} {plan.steps[key].title}")
    if opened.broken:
        raise typer.Exit(BenchError.exit_code)
    if opened.missing:
        raise typer.Exit(MissingFileError.exit_code)


def _estimator(opened: Opened, plan: Plan, device: str) -> Estimator:
    from le_bench.boards.companions import read_costs
    from le_bench.running.devices import choose_device
    from le_bench.running.estimates import Estimator, encoder_work, measured_speed, model_work

    experiment = opened.experiment
    encoders = [step.encoder for step in plan.steps.values()]
    recorded = read_costs(BOARDS / "costs")
    return Estimator(
        plan,
        opened.num_images,
        measured_speed(choose_device(device), experiment.precision, in_files=opened.in_files),
        {row.id: model_work(row) for row in experiment.models},
        {encoder: encoder_work(encoder) for encoder in dict.fromkeys(filter(None, encoders))},
        {
            (cost.model, cost.layer, cost.explainer): cost
            for each in recorded
            if each.experiment == experiment.name
            for cost in each.cells
        },
    )


def _document(
    opened: Opened, plan: Plan, cached: set[str], needed: set[str], estimator: Estimator | None
) -> dict[str, Any]:
    """The plan as JSON-able content."""
    return {
        "experiment": opened.experiment.name,
        "missing": list(opened.missing),
        "broken": list(opened.broken),
        "images": estimator and estimator.num_images,
        "rate": estimator and estimator.speed.rate,
        "steps": [
            {
                "stage": step.stage,
                "title": step.title,
                "key": step.key,
                "inputs": list(step.inputs),
                "cached": step.key in cached,
                "needed": step.key in needed,
                "estimate": asdict(estimator.of(step)) if estimator else None,
            }
            for step in plan.steps.values()
        ],
    }


def _print(
    opened: Opened, plan: Plan, cached: set[str], needed: set[str], estimator: Estimator | None
) -> None:
    from le_bench.planning.plan import STAGES

    rows: list[tuple[str | int, ...]] = []
    for stage in STAGES:
        steps = [plan.steps[key] for key in plan.steps if plan.steps[key].stage == stage]
        todo = [step for step in steps if step.key in needed]
        have = sum(step.key in cached for step in steps)
        rows.append((stage, len(steps), have, len(todo), *_amounts(todo, estimator)))
    everything = [plan.steps[key] for key in plan.steps if key in needed]
    total = _amounts(everything, estimator)
    rows.append(("total", len(plan.steps), len(cached), len(needed), *total))
    headers = ("stage", "steps", "cached", "to compute", "time", "disk")
    typer.echo(tabulate(rows, headers=headers))
    known = f", {len(plan.not_applicable)} not applicable" if plan.not_applicable else ""
    typer.echo(f"\n{len(plan.cells)} cells{known}; a run may find more that are not applicable")
    if estimator is not None:
        largest = max((estimator.of(step).memory or 0 for step in everything), default=0)
        tensor = "; largest tensor of activations, embeddings or presence "
        tensor = f"{tensor}{_size(largest)}" if largest else ""
        typer.echo(
            f"{estimator.num_images or 'unknown number of'} images; the device multiplies "
            f"matrices at {estimator.speed.rate / 1e9:,.0f} GFLOP/s, of which networks are taken "
            f"to reach half{tensor}. '>' leaves out what cannot be known beforehand"
        )
    for message in opened.missing:
        typer.echo(f"missing: {message}")
    for message in opened.broken:
        typer.echo(f"broken: {message}")


def _amounts(steps: list[Step], estimator: Estimator | None) -> tuple[str, str]:
    """Seconds and bytes of these steps in words; '>' where some are not known."""
    if estimator is None or not steps:
        return "", ""
    estimates = [estimator.of(step) for step in steps]
    seconds = estimator.group_seconds(steps)
    disk = sum(each.disk or 0 for each in estimates)
    open_time = any(each.seconds is None for each in estimates)
    open_disk = any(each.disk is None for each in estimates)
    time = f"{'> ' * open_time}{_time(seconds)}" if seconds or not open_time else "?"
    return time, f"{'> ' * open_disk}{_size(disk)}" if disk or not open_disk else "?"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _size(num_bytes: int) -> str:
    if num_bytes < 2**20:
        return f"{num_bytes / 2**10:.0f} KiB"
    return f"{num_bytes / 2**20:.0f} MiB" if num_bytes < 2**30 else f"{num_bytes / 2**30:.1f} GiB"
