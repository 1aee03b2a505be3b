"""`le-bench layers`: the modules of a target model, with shapes and unit counts."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from tabulate import tabulate

from le_bench.cli.session import (
    DEFAULT,
    Choices,
    PluginFiles,
    Settings,
    open_experiment,
    warn_of_plugins,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from le_bench.networks.layers import ListedLayer
    from le_bench.types import Images

NAME = "layers"


def command(
    model: Annotated[
        str,
        typer.Argument(
            help="A model of the experiment by its id, or a short form such as "
            "torchvision:resnet50@IMAGENET1K_V1."
        ),
    ],
    experiment: Annotated[str, typer.Option(help="The experiment that has the model.")] = DEFAULT,
    settings: Settings = None,
    plugin: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the layers of a target model: path, type, output shape and number of units.

    Weights are not needed where the network can be built without them.
    """
    short = ":" in model and experiment == DEFAULT
    listed = (
        _of_short_form(model, plugin) if short else _of_row(model, experiment, settings, plugin)
    )
    if as_json:
        typer.echo(json.dumps([asdict(layer) for layer in listed], indent=2))
        return
    table = [
        (
            layer.path,
            layer.type,
            "x".join(map(str, layer.shape or ())),
            layer.units,
            ", ".join(filter(None, (" ".join(layer.poolings), layer.remark))),
        )
        for layer in listed
    ]
    typer.echo(tabulate(table, headers=("path", "type", "output", "units", "pooling")))


def _of_short_form(model: str, plugin: Sequence[Path] | None) -> tuple[ListedLayer, ...]:
    """The layers of a model that no experiment needs to name, on a black square image."""
    from le_bench.components import ModelSource
    from le_bench.networks.layers import list_layers
    from le_bench.planning.options import component_of_short_form
    from le_bench.plugins import Plugins

    plugins = Plugins.find(plugin or ())
    warn_of_plugins(plugins)
    source = component_of_short_form(model, "model", plugins)
    if not isinstance(source, ModelSource):
        raise TypeError(f"{model} is no model")
    return list_layers(source.skeleton(), _black(source.image_side()))


def _black(side: int) -> Images:
    """One black square picture."""
    import numpy as np

    from le_bench.probing.images import ArrayImages

    return ArrayImages(np.zeros((1, side, side, 3), np.uint8))


def _of_row(
    model: str, experiment: str, settings: list[str] | None, plugin: list[Path] | None
) -> tuple[ListedLayer, ...]:
    """The layers of a model of an experiment, on its first image or else on a black one.

    No file of the experiment needs to be there.
    """
    from le_bench.errors import BenchError, MissingFileError, unknown_name
    from le_bench.networks.layers import list_layers

    opened = open_experiment(Choices(experiment, settings, plugin), to_run=False)
    rows = {row.id: row for row in opened.experiment.models}
    if model not in rows:
        raise BenchError(unknown_name("model", model, list(rows)))
    source = rows[model].component
    try:
        images = opened.experiment.dataset.component.load().images
    except MissingFileError as error:
        side = source.image_side()
        typer.echo(f"on a black picture of {side} x {side} pixels, since {error}", err=True)
        images = _black(side)
    return list_layers(source.skeleton(), images)
