"""The command line: one module a command, nothing heavy imported before it is needed."""

from __future__ import annotations

import logging
import signal
import sys
import traceback
from types import FrameType

import typer

from le_bench.cli import (
    cache,
    check,
    compare,
    doctor,
    impact,
    layers,
    leaderboard,
    new,
    plan,
    plugins,
    run,
    scorers,
)
from le_bench.errors import BenchError

app = typer.Typer(
    name="le-bench",
    help="Compare methods that explain single units of vision models.\n\n"
    "Start with `le-bench run`: it needs no data, no GPU and no network.",
    epilog="Exit codes: 0 fine, 1 a bug of ours, 2 your mistake, 4 a check found a difference, "
    "5 finished but some cells failed, 6 data or weights are missing, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for module in (
    run,
    plan,
    doctor,
    plugins,
    check,
    new,
    layers,
    impact,
    leaderboard,
    compare,
    scorers,
):
    app.command(name=module.NAME)(module.command)
app.add_typer(cache.app, name="cache")

INTERRUPTED = 130
GO_ON = "interrupted: finished steps are kept; run the same command again to go on"


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(call(sys.argv[1:]))


def call(arguments: list[str]) -> int:
    """Run one command and give its exit code; messages go to stderr."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        app(args=arguments, prog_name="le-bench")
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 0
        if code == INTERRUPTED:
            typer.echo(GO_ON, err=True)
        return code
    except BenchError as error:
        typer.echo(f"error: {error}", err=True)
        return error.exit_code
    except KeyboardInterrupt:
        typer.echo(GO_ON, err=True)
        return INTERRUPTED
    except Exception:
        traceback.print_exc()
        typer.echo(
            "error: this is a bug in le_bench; please report it with the lines above", err=True
        )
        return 1
    else:
        return 0
    finally:
        signal.signal(signal.SIGTERM, previous)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
