"""`le-bench doctor`: what this machine has, and what can be run on it."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from tabulate import tabulate

from le_bench.cli.session import (
    DEFAULT,
    Cache,
    Choices,
    PluginFiles,
    cache_folder,
    known_experiments,
    open_experiment,
)
from le_bench.errors import BenchError, MissingFileError

if TYPE_CHECKING:
    from le_bench.components import DatasetSource
    from le_bench.running.readiness import Look

NAME = "doctor"
LITTLE = 5 * 2**30


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `state` is ok, missing (can be fetched), note or broken."""

    subject: str
    state: str
    about: str


def command(
    experiments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[EXPERIMENT]...",
            help="Experiments that must be able to run. Default: the one that needs no files.",
        ),
    ] = None,
    plugin: PluginFiles = None,
    cache: Cache = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Check packages, device, cache, data and weights, and say what can run.

    Leaves with 2 if something is broken, 6 if files of the named experiments are missing, else 0.
    """
    wanted = experiments or [DEFAULT]
    names = list(dict.fromkeys([*wanted, *known_experiments()]))
    findings = [
        *_packages(),
        *_devices(),
        _cache(cache_folder(cache)),
        *_plugins(plugin),
        *_experiments(names, plugin),
    ]
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        rows = [(each.state, each.subject, each.about) for each in findings]
        typer.echo(tabulate(rows, headers=("", "subject", "about"), maxcolwidths=[None, None, 100]))
    own = [finding for finding in findings if finding.subject in map(_title, wanted)]
    general = [finding for finding in findings if not finding.subject.startswith("experiment ")]
    if any(finding.state == "broken" for finding in (*own, *general)):
        raise typer.Exit(BenchError.exit_code)
    if any(finding.state == "missing" for finding in own):
        raise typer.Exit(MissingFileError.exit_code)


def _packages() -> list[Finding]:
    """Python, and each package that is required or that an extra would add."""
    findings = [Finding("python", "ok", platform.python_version())]
    for requirement in requires("le-bench") or ():
        match = re.match(r"[A-Za-z0-9._-]+", requirement)
        extra = re.search(r"extra == ['\"]([^'\"]+)['\"]", requirement)
        if match is None or (extra and extra.group(1) == "test"):
            continue
        name = match.group()
        try:
            findings.append(Finding(name, "ok", version(name)))
        except PackageNotFoundError:
            if extra:
                remedy = f"not installed; pip install 'le-bench[{extra.group(1)}]' adds it"
                findings.append(Finding(name, "note", remedy))
            else:
                findings.append(Finding(name, "broken", f"not installed; pip install {name}"))
    return findings


def _devices() -> list[Finding]:
    import torch

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cpu = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, {memory:.1f} GiB of memory"
    findings = [Finding("device cpu", "ok", cpu)]
    for number in range(torch.cuda.device_count()):
        found = torch.cuda.get_device_properties(number)
        size = f"{found.name}, {found.total_memory / 2**30:.1f} GiB"
        findings.append(Finding(f"device cuda:{number}", "ok", size))
    if torch.backends.mps.is_available():
        findings.append(Finding("device mps", "ok", ""))
    if len(findings) == 1:
        findings.append(Finding("device cuda", "note", "none found; networks run on the CPU"))
    return findings


def _cache(folder: Path) -> Finding:
    """Whether finished steps can be kept, how much they take and how much room is left."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".doctor"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return Finding("cache", "broken", f"{folder} cannot be written ({error.strerror})")
    used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    free = shutil.disk_usage(folder).free
    about = f"{folder}: {used / 2**20:,.0f} MiB used, {free / 2**30:,.1f} GiB free"
    return Finding("cache", "note" if free < LITTLE else "ok", about)


def _plugins(files: list[Path] | None) -> list[Finding]:
    from le_bench.plugins import Plugins

    plugins = Plugins.find(files or ())
    left_out = [report for report in plugins.reports if report.reason]
    findings = [Finding("plugins", "ok", f"{len(plugins.offers())} components")]
    for report in left_out:
        findings.append(Finding(f"plugin {report.plugin}", "broken", report.reason))
    return findings


def _experiments(names: list[str], plugin: list[Path] | None) -> list[Finding]:
    """Whether each experiment can run here; a dataset that several have is opened once."""
    looks: dict[DatasetSource, Look] = {}
    return [_experiment(name, plugin, looks) for name in names]


def _experiment(name: str, plugin: list[Path] | None, looks: dict[DatasetSource, Look]) -> Finding:
    try:
        opened = open_experiment(Choices(name, plugin_files=plugin), to_run=False, looks=looks)
    except BenchError as error:
        return Finding(_title(name), "broken", str(error))
    wrong = (*opened.broken, *opened.missing)
    if not wrong:
        return Finding(_title(name), "ok", "can run")
    more = f" (and {len(wrong) - 1} more: le-bench plan {name})" if len(wrong) > 1 else ""
    return Finding(_title(name), "broken" if opened.broken else "missing", wrong[0] + more)


def _title(name: str) -> str:
    return f"experiment {name}"
