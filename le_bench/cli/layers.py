"""`le-bench layers`: the modules of a target model, with shapes and unit counts."""

from __future__ import annotations

from typing import Annotated

import typer
from tabulate import tabulate

from le_bench.cli.session import (
    DEFAULT,
    Choices,
    Device,
    PluginFiles,
    Settings,
    open_experiment,
)

NAME = "layers"


def command(
    model: Annotated[str, typer.Argument(help="A model of the experiment, by its id.")],
    experiment: Annotated[str, typer.Option(help="The experiment that has the model.")] = DEFAULT,
    settings: Settings = None,
    plugin: PluginFiles = None,
    device: Device = "cpu",
) -> None:
    """List the layers of a target model: path, type, output shape and number of units."""
    from le_bench.errors import BenchError, unknown_name
    from le_bench.networks.recording import list_layers
    from le_bench.running.devices import choose_device

    opened = open_experiment(Choices(experiment, settings, plugin))
    rows = {row.id: row for row in opened.experiment.models}
    if model not in rows:
        raise BenchError(unknown_name("model", model, list(rows)))
    target = rows[model].component.load(choose_device(device))
    images = opened.experiment.dataset.component.load().images
    table = [
        (
            layer.path,
            layer.type,
            "x".join(map(str, layer.shape or ())),
            layer.units,
            " ".join(layer.poolings) or layer.remark,
        )
        for layer in list_layers(target, images)
    ]
    typer.echo(tabulate(table, headers=("path", "type", "output", "units", "pooling")))
