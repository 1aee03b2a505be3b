"""`le-bench check`: does a plugin keep to the laws of its kind?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from le_bench.cli.session import PluginFiles

if TYPE_CHECKING:
    from le_bench.plugins import Offer
    from le_bench.testing.checking import Checked
    from le_bench.testing.laws import Law

NAME = "check"


def command(
    plugin: Annotated[
        str,
        typer.Argument(
            metavar="PLUGIN",
            help="A Python file, or the name of a component, of an installed plugin or of its "
            "distribution.",
        ),
    ],
    kind: Annotated[str | None, typer.Option(help="Only one kind, e.g. explainer.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="OPTION=VALUE",
            help="An option of the component, e.g. num_images=5. Repeatable.",
        ),
    ] = None,
    plugin_files: PluginFiles = None,
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the verdicts there.")
    ] = None,
) -> None:
    """Hold the components of a plugin against the laws of their kinds, and say what is broken.

    Each law is tried on small planted worlds whose answers are known: the same input twice, units
    and images in another order and one by one, without test images, dead units, NaN, one image,
    thousands of images, another device. Encoders and concept sets are given by themselves; other
    options without a default by --set.

    Example: le-bench check nearest_word.py

    Exit codes: 0 all laws hold or do not apply, 4 a law is broken, 2 your mistake.
    """
    from le_bench.boards.files import write_text
    from le_bench.errors import DifferenceError
    from le_bench.planning.settings import apply_settings
    from le_bench.testing.checking import check_offers, find_offers

    table = apply_settings({}, settings or ())
    offers = find_offers(plugin, kind, plugin_files or ())
    checked = []
    for each in check_offers(offers, table, Path(), _tell):
        _show(each)
        checked.append(each)
    if as_json is not None:
        write_text(as_json, json.dumps([each.record() for each in checked], indent=2) + "\n")
    broken = [f"{each.kind} '{each.name}'" for each in checked if not each.holds]
    if broken:
        raise DifferenceError(f"{', '.join(broken)}: see above what to mend")


def _tell(offer: Offer, law: Law) -> None:
    """A line of progress on stderr, so that stdout holds verdicts alone."""
    typer.echo(f"{offer.component.kind} {offer.component.name}: {law.name} ...", err=True)


def _show(checked: Checked) -> None:
    from tabulate import tabulate

    typer.echo(f"\n{checked.kind} {checked.name}")
    if checked.not_made:
        typer.echo(f"  not checked: {checked.not_made}")
        return
    rows = [(v.law, v.state, f"{v.seconds:.1f} s") for v in checked.verdicts]
    typer.echo(tabulate(rows, headers=("law", "state", "time"), tablefmt="simple"))
    for state, one, many in (
        ("n/a", "does not apply", "do not apply"),
        ("broken", "is broken", "are broken by one cause"),
    ):
        for same in checked.causes(state):
            names = ", ".join(f"'{verdict.law}'" for verdict in same)
            if len(same) > 1:
                typer.echo(f"\n{len(same)} laws {many}: {same[0].words}\n  The laws: {names}")
                continue
            typer.echo(f"\n{names} {one}: {same[0].words}")
            if state == "broken":
                typer.echo(f"  The law: {same[0].demand}")
    counts = f"{checked.count('holds')} hold, {checked.count('n/a')} do not apply"
    typer.echo(f"\n{checked.name}: {counts}, {checked.count('broken')} broken")
