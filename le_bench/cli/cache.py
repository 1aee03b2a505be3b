"""`le-bench cache`: where finished steps are kept, whether they are whole, and removing them."""

from __future__ import annotations

import shutil
from collections import Counter
from typing import Annotated

import typer
from tabulate import tabulate

from le_bench.cli.session import Cache, cache_folder

app = typer.Typer(help="Look at, check or clear the finished steps.", no_args_is_help=True)


@app.command()
def path(cache: Cache = None) -> None:
    """Print the folder."""
    typer.echo(cache_folder(cache))


@app.command("list")
def list_steps(cache: Cache = None) -> None:
    """Count the kept steps by stage."""
    from le_bench.running.store import Store

    store = Store(cache_folder(cache))
    counts = Counter(stage for stage, _ in store.entries())
    typer.echo(tabulate(sorted(counts.items()), headers=("stage", "steps")))
    typer.echo(f"cache: {store.root}")


@app.command()
def verify(cache: Cache = None) -> None:
    """Read every kept step whole; damaged ones are set aside and made again when needed."""
    from le_bench.running.store import Store

    store = Store(cache_folder(cache))
    entries = list(store.entries())
    damaged = [entry for entry in entries if store.read(*entry) is None]
    typer.echo(f"{len(entries)} steps checked, {len(damaged)} damaged")


@app.command()
def clear(
    cache: Cache = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove every finished step. Results and boards stay."""
    from le_bench.planning.plan import STAGES

    folder = cache_folder(cache)
    if not yes:
        typer.confirm(f"Remove all finished steps in {folder}?", abort=True)
    for name in (*STAGES, "shared", "quarantine", "digests"):
        shutil.rmtree(folder / name, ignore_errors=True)
    typer.echo(f"cleared {folder}")
