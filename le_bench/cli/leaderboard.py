"""`le-bench leaderboard`: the boards from the results alone, or whether they still agree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from le_bench.cli.boards import render_boards
from le_bench.cli.session import BOARDS
from le_bench.errors import DifferenceError

NAME = "leaderboard"


def command(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 4 with the diff if boards differ.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of results and boards.")] = BOARDS,
) -> None:
    """Render the leaderboards from the committed results, or check that they agree."""
    from le_bench.boards.leaderboard import board_files, check_boards

    if check:
        difference = check_boards(out, board_files(out))
        if difference:
            typer.echo(difference)
            raise DifferenceError(
                f"the boards in {out} do not agree with its results; run `le-bench leaderboard` "
                "and commit what it writes"
            )
        typer.echo(f"the boards in {out} agree with its results")
        return
    for path in render_boards(out).values():
        typer.echo(path)
