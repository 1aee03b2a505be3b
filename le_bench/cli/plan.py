"""`le-bench plan`: the steps of an experiment, before any time is spent."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from tabulate import tabulate

from le_bench.cli.session import (
    DEFAULT,
    Cache,
    Choices,
    ExperimentName,
    Explainers,
    Layers,
    LimitUnits,
    Models,
    PluginFiles,
    Settings,
    Simulators,
    cache_folder,
    open_experiment,
    remember_digests,
)

NAME = "plan"


def command(
    experiment: ExperimentName = DEFAULT,
    settings: Settings = None,
    plugin: PluginFiles = None,
    explainer: Explainers = None,
    model: Models = None,
    layer: Layers = None,
    simulator: Simulators = None,
    limit_units: LimitUnits = None,
    cache: Cache = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show the steps of an experiment and which are already in the cache. Computes nothing."""
    from le_bench.planning.plan import STAGES, make_plan
    from le_bench.running.execute import survey
    from le_bench.running.store import Store

    opened = open_experiment(
        Choices(
            experiment,
            settings,
            plugin,
            explainer,
            model,
            layer,
            simulator,
            limit_units,
        )
    )
    remember_digests(cache)
    plan = make_plan(opened.experiment, opened.plugins.origins)
    folder = cache_folder(cache)
    store = Store(folder)
    cached = {key for key, step in plan.steps.items() if store.has(step.stage, key)}
    needed = survey(plan, store).needed
    if as_json:
        steps = [
            {
                "stage": step.stage,
                "title": step.title,
                "key": step.key,
                "inputs": list(step.inputs),
                "cached": step.key in cached,
                "needed": step.key in needed,
            }
            for step in plan.steps.values()
        ]
        typer.echo(json.dumps({"experiment": opened.experiment.name, "steps": steps}, indent=2))
        return
    rows: list[tuple[str, int, int, int]] = [
        (
            stage,
            plan.counts()[stage],
            sum(plan.steps[key].stage == stage for key in cached),
            sum(plan.steps[key].stage == stage for key in needed),
        )
        for stage in STAGES
    ]
    rows.append(("total", len(plan.steps), len(cached), len(needed)))
    typer.echo(tabulate(rows, headers=("stage", "steps", "cached", "to compute")))
    typer.echo(f"\n{len(plan.cells)} cells, {len(plan.not_applicable)} not applicable")
    typer.echo(f"cache: {folder}")
    for key in plan.steps:
        if key in needed:
            typer.echo(f"  {plan.steps[key].stage:13} {plan.steps[key].title}")
