"""What several commands share: their options, and opening an experiment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import platformdirs
import typer

from le_bench.errors import ExperimentError, unknown_name

if TYPE_CHECKING:
    from le_bench.components import DatasetSource
    from le_bench.planning.experiment import Experiment
    from le_bench.plugins import Plugins
    from le_bench.running.readiness import Look

DEFAULT = "picturebook"
BOARDS = Path("leaderboards")

ExperimentName = Annotated[
    str,
    typer.Argument(
        metavar="EXPERIMENT",
        help="A TOML file, or the name of one in leaderboards/experiments or in the package.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one option, e.g. seed=3. Repeatable."),
]
PluginFiles = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE.py", help="Use a Python file as a plugin. Repeatable."),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder of finished steps. Default: $LE_BENCH_HOME or the user's cache.",
    ),
]
Explainers = Annotated[
    list[str] | None,
    typer.Option("--explainer", metavar="NAME", help="Only this explainer. Repeatable."),
]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="NAME", help="Only this target model. Repeatable."),
]
Layers = Annotated[
    list[str] | None, typer.Option("--layer", metavar="NAME", help="Only this layer. Repeatable.")
]
Simulators = Annotated[
    list[str] | None,
    typer.Option("--simulator", metavar="NAME", help="Only this simulator. Repeatable."),
]
Scorers = Annotated[
    list[str] | None, typer.Option("--scorer", metavar="NAME", help="Only this scorer. Repeatable.")
]
LimitUnits = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Only the first units of each layer; marks results as partial."
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        metavar="TYPE",
        help="Number type of networks that are recorded or embed images: fp32, bf16 or fp16. "
        "Changes results a little; slower on processors without such arithmetic. Losses, "
        "ablation and impact stay fp32.",
    ),
]
Device = Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:1 or mps.")]


@dataclass(frozen=True, slots=True)
class Choices:
    """What the command line says about an experiment; None for an option that is not given."""

    name: str
    settings: Sequence[str] | None = None
    plugin_files: Sequence[Path] | None = None
    explainers: Sequence[str] | None = None
    models: Sequence[str] | None = None
    layers: Sequence[str] | None = None
    simulators: Sequence[str] | None = None
    scorers: Sequence[str] | None = None
    limit_units: int | None = None
    precision: str | None = None

    @property
    def selective(self) -> bool:
        """Whether only some of the experiment's rows are asked for."""
        rows = (self.explainers, self.models, self.layers, self.simulators, self.scorers)
        return any(rows)


@dataclass(frozen=True, slots=True)
class Opened:
    """An experiment that has been read and checked, and what it was read from.

    `missing` has a message for each of its files that is not on this machine, `broken` for what is
    there and no good; `num_images` is the size of the dataset if it is known. A run finds these out
    by itself.
    """

    experiment: Experiment
    plugins: Plugins
    table: dict[str, Any]
    source: Path
    missing: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    num_images: int | None = None


def open_experiment(
    choices: Choices, *, to_run: bool = True, looks: dict[DatasetSource, Look] | None = None
) -> Opened:
    """Read, change and check an experiment. Raises a BenchError; writes nothing.

    Unless it is `to_run`, files may be missing, and the dataset is looked at; `looks` keeps what
    was seen, so that experiments with the same dataset open it once.
    """
    from le_bench.planning.reading import build_experiment, read_experiment
    from le_bench.planning.settings import (
        apply_settings,
        select_layers,
        select_rows,
    )
    from le_bench.planning.tables import read_table
    from le_bench.plugins import Plugins
    from le_bench.running.fetching import components_of
    from le_bench.running.readiness import look_at

    source = find_experiment(choices.name)
    table = apply_settings(read_table(source), choices.settings or ())
    table = select_rows(table, "explainers", choices.explainers or ())
    table = select_rows(table, "models", choices.models or ())
    table = select_rows(table, "simulators", choices.simulators or ())
    table = select_rows(table, "scorers", choices.scorers or ())
    table = select_layers(table, choices.layers or ())
    if choices.limit_units is not None:
        table["units"] = choices.limit_units
    if choices.precision is not None:
        table["precision"] = choices.precision
    plugins = Plugins.find(choices.plugin_files or ())
    warn_of_plugins(plugins)
    if to_run:
        return Opened(build_experiment(table, source, plugins), plugins, table, source)
    experiment, missing = read_experiment(table, source, plugins)
    named = [component.missing() for component in components_of(experiment)]
    looks = {} if looks is None else looks
    dataset = experiment.dataset.component
    look = looks[dataset] = looks.get(dataset) or look_at(dataset)
    messages = dict.fromkeys(filter(None, [*missing, look.missing, *named]))
    broken = (look.broken,) if look.broken else ()
    return Opened(experiment, plugins, table, source, tuple(messages), broken, look.num_images)


def known_experiments() -> dict[str, Path]:
    """Every experiment by name: those of leaderboards/experiments and of the package."""
    own = BOARDS / "experiments"
    packaged = Path(str(files("le_bench"))) / "experiments"
    return {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for folder in (packaged, own)
        for path in sorted(folder.rglob("*.toml"))
    }


def find_experiment(name: str) -> Path:
    """The file of an experiment given as a path or by its name: paper/table2, paper/table2.toml."""
    known = known_experiments()
    if name in known:
        return known[name]
    if Path(name).is_file():
        return Path(name)
    if name.removesuffix(".toml") in known:
        return known[name.removesuffix(".toml")]
    if name.endswith(".toml") and not get_close_matches(name.removesuffix(".toml"), known):
        return Path(name)  # whoever reads it says that it is not there
    raise ExperimentError(unknown_name("experiment", name, list(known)))


def warn_of_plugins(plugins: Plugins) -> None:
    """Say on stderr which installed plugins were left out."""
    for report in plugins.reports:
        if report.reason:
            typer.echo(
                f"warning: plugin '{report.plugin}' of {report.distribution} was left out: "
                f"{report.reason}",
                err=True,
            )


def cache_folder(given: Path | None) -> Path:
    """The folder of finished steps: the option, $LE_BENCH_HOME, or the user's cache folder."""
    if given is not None:
        return given
    home = os.environ.get("LE_BENCH_HOME")
    return Path(home) if home else Path(platformdirs.user_cache_dir("le-bench"))


def remember_digests(cache: Path | None) -> None:
    """Keep the digests of files beside the finished steps, so that no run reads them again."""
    from le_bench.fingerprint import keep_digests

    keep_digests(cache_folder(cache))
