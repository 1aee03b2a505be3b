"""`le-bench compare`: results side by side, or against an earlier run; reads records alone."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from le_bench.cli.session import (
    BOARDS,
    Explainers,
    Layers,
    Models,
    Scorers,
    Simulators,
    find_experiment,
)
from le_bench.errors import BenchError, DifferenceError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from le_bench.boards.comparing.blocks import Block
    from le_bench.boards.comparing.choosing import Names

NAME = "compare"


def command(
    experiment: Annotated[
        str | None,
        typer.Argument(
            metavar="[EXPERIMENT]",
            help="The name of an experiment with results, or its TOML file. "
            "Default: the only one, or else picturebook.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str, typer.Option(metavar="AXIS", help="simulator, explainer, scorer or model.")
    ] = "simulator",
    out: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER", help="Folder of results and boards. Repeatable: all are taken."
        ),
    ] = None,
    model: Models = None,
    layer: Layers = None,
    explainer: Explainers = None,
    simulator: Simulators = None,
    scorer: Scorers = None,
    units: Annotated[
        int, typer.Option(min=0, metavar="N", help="Units to list on which a pair disagrees most.")
    ] = 3,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the page as Markdown.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Compare each cell with that of these earlier boards instead."
        ),
    ] = None,
    fail_on: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT", help="With --against: exit 4 on a regression, or on any change."
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(min=0, help="With --against: differences of means up to this do not count."),
    ] = 0.005,
) -> None:
    """Show simulators, explainers, scorers or models side by side on the same cells and units.

    Reads results alone. Prints Markdown, or tables where stdout is a terminal.

    Examples: `le-bench compare`; `le-bench compare --by explainer --simulator SigLIP`;
    `le-bench compare mine --out boards --out leaderboards --markdown page.md`;
    `le-bench compare --against old-boards --fail-on regression`.
    """
    # before numpy comes: threads would cost its small products more than they save
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    names = _names(model, layer, explainer, simulator, scorer)
    folders = out or [BOARDS]
    if against is not None or fail_on is not None:
        run = _Gated(against, folders, _experiment_name(experiment), names, tolerance, fail_on)
        run.publish(markdown, as_json=as_json)
        return
    from le_bench.boards.comparing.choosing import AXES, choose, explanations_of
    from le_bench.boards.comparing.document import document_of
    from le_bench.boards.comparing.pairing import compare
    from le_bench.boards.comparing.report import blocks_of

    axis = next((each for each in AXES if each == by), None)
    if axis is None:
        raise BenchError(f"--by {by}: {unknown_name('axis', by, AXES)}")
    chosen = choose(folders, _experiment_name(experiment), names)
    comparison = compare(chosen, axis, units)
    places = [(*each.column, name) for each in comparison.disagreements for name in each.explainers]
    explanations = explanations_of(folders, chosen.experiment, places)
    document = document_of(comparison, explanations) if as_json else None
    publish(blocks_of(comparison, explanations), document, markdown)


@dataclass(frozen=True, slots=True)
class _Gated:
    """The comparison with an earlier run, as the command line asks for it."""

    against: Path | None
    folders: Sequence[Path]
    experiment: str | None
    names: Names
    tolerance: float
    fail_on: str | None

    def publish(self, markdown: Path | None, *, as_json: bool) -> None:
        """Print what changed. Raises DifferenceError if that is to fail."""
        from le_bench.boards.comparing.gate import FAIL_ON, gate
        from le_bench.boards.comparing.gate_report import gate_blocks, gate_document

        if self.against is None:
            raise BenchError("--fail-on needs --against FOLDER, the boards to compare with")
        fail_on = next((each for each in FAIL_ON if each == self.fail_on), None)
        if self.fail_on is not None and fail_on is None:
            raise BenchError(f"--fail-on {self.fail_on}: give regression or any")
        found = gate(self.against, self.folders, self.experiment, self.names, self.tolerance)
        document = gate_document(found, fail_on) if as_json else None
        publish(gate_blocks(found, fail_on), document, markdown)
        if fail_on is not None and (failing := found.failing(fail_on)):
            raise DifferenceError(
                f"{found.verdict(fail_on)} against {self.against}, the first: {failing[0].state}, "
                f"{failing[0].cell}; if that is wanted, commit these results as the baseline"
            )


def _names(*kinds: Sequence[str] | None) -> Names:
    from le_bench.boards.comparing.choosing import Names

    names = ("model", "layer", "explainer", "simulator", "scorer")
    return Names({name: given for name, given in zip(names, kinds, strict=True) if given})


def _experiment_name(given: str | None) -> str | None:
    """The name itself, or the `name` in the file that `le-bench run` would take."""
    if given is None or not (given.endswith(".toml") or "/" in given):
        return given
    from le_bench.planning.tables import read_table

    source = find_experiment(given)
    name = read_table(source).get("name")
    if not isinstance(name, str):
        raise BenchError(f"{source}: has no name; give the name of an experiment with results")
    return name


def publish(blocks: Sequence[Block], document: Any, markdown: Path | None) -> None:
    """Print a document as JSON or else the blocks, and write them as Markdown if asked to."""
    from le_bench.boards.comparing.blocks import as_markdown
    from le_bench.boards.files import dump_json, write_text

    if markdown is not None:
        write_text(markdown, as_markdown(blocks))
    if document is not None:
        typer.echo(dump_json(document), nl=False)
    elif sys.stdout.isatty():
        from rich.console import Console

        from le_bench.cli.terminal import show

        show(blocks, Console())
    else:
        typer.echo(as_markdown(blocks), nl=False)
