"""`le-bench new`: a plugin project to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "new"


def command(
    kind: Annotated[
        str,
        typer.Argument(metavar="KIND", help="explainer, simulator, scorer, model or dataset."),
    ],
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="In lower-case words joined by hyphens: nearest-word."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The folder to make. Default: ./NAME."),
    ] = None,
) -> None:
    """Write a small installable plugin that works, with tests that pass and an experiment.

    The folder holds one module, its tests (every law of `le-bench check` is one), a pyproject.toml
    with the entry point by which it is found, and an experiment in which it has a row. Change the
    module, not the rest. Nothing that exists is overwritten.

    Example: le-bench new explainer nearest-word
    """
    from le_bench.testing.projects import write_project

    project = write_project(kind, name, out or Path(name))
    for file in project.files:
        typer.echo(file)
    typer.echo(f"\nnext: cd {project.folder} && le-bench check {project.module}.py{project.given}")
