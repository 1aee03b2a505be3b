"""`le-bench leaderboard`: the boards from the results alone, or whether they still agree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from le_bench.cli.boards import render_boards
from le_bench.cli.session import BOARDS
from le_bench.errors import BenchError, DifferenceError

NAME = "leaderboard"


def command(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 4 with the diff if boards differ.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of results and boards.")] = BOARDS,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Show results over some units too, with a watermark."),
    ] = False,
    submit: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="First take these results from elsewhere: a file, or the folder of a run's "
            "boards. All or none are taken.",
        ),
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --submit: who submits; boards show it.")
    ] = None,
) -> None:
    """Render the leaderboards from the committed results, or check that they agree.

    Example: `le-bench leaderboard --submit their-boards --by "Ada Lovelace"`.
    """
    from le_bench.boards.leaderboard import board_files, check_boards
    from le_bench.boards.submissions import settle, unsettled

    if (submit is None) != (by is None):
        raise BenchError("--submit PATH and --by NAME go together")
    if submit is not None and check:
        raise BenchError("--check writes nothing; give --submit without it")
    if check:
        if unsettled(out):
            raise BenchError(
                f"a submission to {out} was interrupted; run `le-bench leaderboard` to finish it"
            )
        files = board_files(out, include_partial=partial, intervals=True)
        difference = check_boards(out, files)
        if difference:
            typer.echo(difference)
            raise DifferenceError(
                f"the boards in {out} do not agree with its results; run `le-bench leaderboard` "
                "and commit what it writes"
            )
        typer.echo(f"the boards in {out} agree with its results")
        return
    if submit is not None and by is not None:
        _take(out, submit, by)
    settle(out)
    for path in render_boards(out, include_partial=partial).values():
        typer.echo(path)


def _take(out: Path, submit: Path, by: str) -> None:
    from le_bench.boards import submissions

    done = submissions.submit(out, submit, by)
    typer.echo(
        f"{len(done.taken):,} results taken from {submit}, "
        f"{len(done.known):,} were here with the same numbers"
    )
