"""`le-bench plugins`: every component there is, and every plugin that could not be used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from tabulate import tabulate

from le_bench.cli.session import PluginFiles

if TYPE_CHECKING:
    from le_bench.plugins import Plugins

NAME = "plugins"
COLUMNS = ("kind", "name", "version", "plugin", "distribution", "state")


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    kind: Annotated[str | None, typer.Option(help="Only one kind, e.g. explainer.")] = None,
    plugin: PluginFiles = None,
) -> None:
    """List every component with its kind, plugin, distribution, version and state."""
    from le_bench.components import KINDS
    from le_bench.errors import BenchError, unknown_name
    from le_bench.plugins import Plugins

    if kind is not None and kind not in KINDS:
        raise BenchError(f"--kind {kind}: {unknown_name('kind', kind, list(KINDS))}")
    rows = _rows(Plugins.find(plugin or ()), kind)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    typer.echo(tabulate([[row[c] for c in COLUMNS] for row in rows], headers=COLUMNS))
    for row in rows:
        if row["reason"]:
            typer.echo(f"\n{row['plugin']} of {row['distribution']}: {row['reason']}")


def _rows(plugins: Plugins, kind: str | None) -> list[dict[str, Any]]:
    loaded = [
        {
            "kind": offer.component.kind,
            "name": offer.component.name,
            "version": offer.component.version,
            "plugin": offer.plugin,
            "distribution": f"{offer.distribution} {offer.distribution_version}".strip(),
            "state": "loaded",
            "reason": "",
            "reference": offer.component.reference,
        }
        for offer in plugins.offers(kind)
    ]
    failed = [
        {
            "kind": "",
            "name": "",
            "version": "",
            "plugin": report.plugin,
            "distribution": f"{report.distribution} {report.distribution_version}".strip(),
            "state": "left out",
            "reason": report.reason,
            "reference": "",
        }
        for report in plugins.reports
        if report.reason
    ]
    return loaded + failed
