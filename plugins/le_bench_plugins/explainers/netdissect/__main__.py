"""Prints the table of a dissected layer: `python -m le_bench_plugins.explainers.netdissect`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from le_bench.cli.session import (
    DEFAULT,
    Cache,
    Choices,
    Device,
    ExperimentName,
    PluginFiles,
    Settings,
    cache_folder,
    open_experiment,
)
from le_bench.errors import BenchError
from le_bench.planning.plan import Plan, Step, make_plan
from le_bench.running.devices import choose_device
from le_bench.running.execute import Progress, execute, survey
from le_bench.running.executors import InProcess
from le_bench.running.explaining import make_evidence
from le_bench.running.store import Store
from le_bench.running.workspace import Workspace
from le_bench_plugins.explainers.netdissect.explainer import NetDissect
from le_bench_plugins.explainers.netdissect.table import summary, tally_table


def command(  # noqa: PLR0917  # an option is a parameter
    model: Annotated[str, typer.Option(help="A model of the experiment, by its id.")],
    layer: Annotated[str, typer.Option(help="One of its layers.")],
    experiment: ExperimentName = DEFAULT,
    explainer: Annotated[
        str, typer.Option(help="The experiment's row that dissects.")
    ] = "NetDissect",
    settings: Settings = None,
    plugin: PluginFiles = None,
    device: Device = "auto",
    cache: Cache = None,
) -> None:
    """Print how a layer's units overlap with labels, as CSV in the authors' columns.

    What a run has counted is taken from its cache, the rest is computed.

    Example: `python -m le_bench_plugins.explainers.netdissect --model CNN --layer layer4 > t.csv`
    """
    try:
        choices = Choices(experiment, settings, plugin, [explainer], [model], [layer])
        opened = open_experiment(choices)
        plan = make_plan(opened.experiment, opened.plugins.origins)
        workspace = Workspace(plan, Store(cache_folder(cache)), choose_device(device))
        step = _explain_step(plan, explainer)
        _compute_inputs(workspace, step)
        table = tally_table(_dissector(step, explainer).tally(make_evidence(workspace, step)[0]))
    except BenchError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(error.exit_code) from error
    table.to_csv(sys.stdout, index=False)
    typer.echo(summary(table), err=True)


def _explain_step(plan: Plan, explainer: str) -> Step:
    steps = [step for step in plan.steps.values() if step.stage == "explain"]
    if len(steps) != 1:
        raise BenchError(f"row '{explainer}' explains {len(steps)} layers of this choice, not one")
    return steps[0]


def _dissector(step: Step, explainer: str) -> NetDissect:
    component = step.explainer.component if step.explainer else None
    if not isinstance(component, NetDissect):
        raise BenchError(f"row '{explainer}' is no netdissect; choose one with --explainer")
    return component


def _compute_inputs(workspace: Workspace, step: Step) -> None:
    """Compute what the step reads, if it is not in the cache."""
    whole = survey(workspace.plan, workspace.store)
    has = workspace.store.has
    inputs = {key: workspace.plan.steps[key] for key in step.inputs}
    missing = {key for key, each in inputs.items() if not has(each.stage, key)}
    progress = Progress(workspace.plan, missing, whole.cached | (set(inputs) - missing))
    execute(progress, InProcess(workspace), lambda _step, _outcome: None)
    for reason in progress.failures.values():
        raise BenchError(reason)


if __name__ == "__main__":
    typer.run(command)
