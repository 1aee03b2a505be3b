"""`le-bench cache`: where finished steps are kept, whether they are whole, and removing them."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from tabulate import tabulate

from le_bench.cli.session import Cache, cache_folder
from le_bench.errors import BenchError

app = typer.Typer(help="Look at, check or clear the finished steps.", no_args_is_help=True)


@app.command()
def path(cache: Cache = None) -> None:
    """Print the folder."""
    typer.echo(cache_folder(cache))


@app.command("list")
def list_steps(cache: Cache = None) -> None:
    """Count the kept steps by stage."""
    from le_bench.running.store import Store

    store = Store(_own_folder(cache))
    counts = Counter(stage for stage, _ in store.entries())
    typer.echo(tabulate(sorted(counts.items()), headers=("stage", "steps")))
    typer.echo(f"cache: {store.root}")


@app.command()
def verify(cache: Cache = None) -> None:
    """Read every kept step whole; damaged ones are set aside and made again when needed."""
    from le_bench.running.store import Store

    store = Store(_own_folder(cache))
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

    folder = _own_folder(cache)
    if not (yes or _confirmed(folder)):
        typer.echo("nothing was removed")
        return
    kept = [folder / "quarantine", folder / "digests"]
    for stage in (*STAGES, "shared"):
        kept += folder.glob(f"{stage}/[0-9a-f][0-9a-f]")  # never what boards keep under such a name
    try:
        for each in kept:
            if each.exists():
                shutil.rmtree(each)
    except OSError as error:
        raise BenchError(
            f"cannot clear {folder}: {error.filename}: {error.strerror}; end the runs that use it "
            "and check its permissions, then run the same command again"
        ) from error
    typer.echo(f"cleared {folder}")


def _own_folder(cache: Path | None) -> Path:
    """The folder of finished steps, which may be absent or empty. Refuses any other folder."""
    from le_bench.running.store import CACHE_TAG

    folder = cache_folder(cache)
    tag = folder / "CACHEDIR.TAG"
    if folder.exists() and not folder.is_dir():
        raise BenchError(f"--cache {folder}: is a file; give a folder of finished steps")
    tagged = tag.is_file() and tag.read_bytes() == CACHE_TAG
    if folder.is_dir() and any(folder.iterdir()) and not tagged:
        raise BenchError(
            f"--cache {folder}: is no cache of le_bench, for it has no {tag.name} of ours; "
            "give the folder that runs use, as `le-bench cache path` shows it"
        )
    return folder


def _confirmed(folder: Path) -> bool:
    try:
        return typer.confirm(f"Remove all finished steps in {folder}?")
    except typer.Abort:
        raise BenchError("nothing was removed, for nobody answered; give --yes") from None
