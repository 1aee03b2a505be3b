"""`le-bench scorers`: the sanity checks of every scorer, and their board."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from le_bench.cli.boards import check_folder, render_boards
from le_bench.cli.session import BOARDS, PluginFiles, warn_of_plugins
from le_bench.errors import BenchError, unknown_name

NAME = "scorers"


def command(
    scorer: Annotated[
        list[str] | None,
        typer.Option("--scorer", metavar="NAME", help="Only this scorer. Repeatable."),
    ] = None,
    plugin: PluginFiles = None,
    out: Annotated[Path, typer.Option(help="Folder of results and boards.")] = BOARDS,
) -> None:
    """Check that scorers notice missing and extra labels, and write the board of scorers.

    Each scorer, with its default options, is asked for the scores of planted units with their own
    concepts, with half of the labels taken away, and with as many added at random.
    """
    from le_bench.boards.scorers import PAGE, write_check
    from le_bench.plugins import Plugins
    from le_bench.running.sanity import check_by_name, plant_units

    plugins = Plugins.find(plugin or ())
    warn_of_plugins(plugins)
    known = [offer.component.name for offer in plugins.offers("scorer")]
    unknown = [name for name in scorer or () if name not in known]
    if unknown:
        raise BenchError("; ".join(unknown_name("scorer", name, known) for name in unknown))
    check_folder(out)
    planted = plant_units()
    for name in scorer or known:
        start = perf_counter()
        check = check_by_name(name, plugins, planted)
        write_check(out / PAGE, check)
        verdict = "passes" if check.passes else "does not pass"
        if check.not_checked:
            verdict = f"not checked: {check.not_checked}"
        typer.echo(f"{name}: {verdict} ({perf_counter() - start:.1f} s)")
    render_boards(out)
    typer.echo(f"board: {out / PAGE}.md")
