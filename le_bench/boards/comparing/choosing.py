"""Which results to compare: one experiment of some folders, narrowed down by names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import unquote

from le_bench.boards.companions import ABOUT, EXPLANATIONS, costs_path
from le_bench.boards.files import ResultError, faults_message, file_name
from le_bench.boards.folders import read_records
from le_bench.boards.records import About, Cell, Failure, LayerExplanations, Result
from le_bench.boards.results import FAILURES, RESULTS, layer_folder, mixed_faults
from le_bench.errors import unknown_name

Axis = Literal["simulator", "explainer", "scorer", "model"]
AXES: tuple[Axis, ...] = get_args(Axis)
FALLBACK = "picturebook"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Results and failed cells of one experiment, and what boards say of it."""

    experiment: str
    results: tuple[Result, ...]
    failures: tuple[Failure, ...] = ()
    about: About | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """Names to keep by kind (model, layer, explainer, simulator, scorer); none keeps all."""

    kept: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def hold(self, cell: Cell) -> bool:
        """Whether a cell is among them."""
        return all(not names or getattr(cell, kind) in names for kind, names in self.kept.items())


def choose(folders: Sequence[Path], experiment: str | None, names: Names) -> Chosen:
    """The results of an experiment under these leaderboards folders, and only those named.

    Without a name the experiment is the only one there is, or else the default one. Raises
    ResultError for folders without results, unknown names (with near misses), malformed files, a
    cell that two folders have, and results that do not go together.
    """
    known = _experiments(folders)
    if experiment is None:
        experiment = next(iter(known)) if len(known) == 1 else FALLBACK
    if experiment not in known:
        raise ResultError(
            f"{_listed(folders)} has no results of it: "
            f"{unknown_name('experiment', experiment, list(known))}"
        )
    results: list[Result] = []
    failures: list[Failure] = []
    about: list[About] = []
    for folder in folders:
        paths = list((folder / "results" / file_name(experiment)).rglob("*.json"))
        failed = [path for path in paths if path.name.endswith(".failed.json")]
        scored = sorted(set(paths) - set(failed))
        results += read_records(folder / "results", scored, RESULTS)
        failures += read_records(folder / "results", failed, FAILURES)
        texts = [path for path in [costs_path(folder / "about", experiment)] if path.is_file()]
        about += read_records(folder / "about", texts, ABOUT)
    faults = mixed_faults(results)
    if faults:
        raise ResultError(faults_message("results", Path(_listed(folders)), faults))
    _check_names(results, failures, names)
    return Chosen(
        experiment,
        tuple(sorted((r for r in results if names.hold(r.cell)), key=lambda r: r.cell)),
        tuple(sorted((f for f in failures if names.hold(f.cell)), key=lambda f: f.cell)),
        about[0] if about else None,
    )


def _experiments(folders: Sequence[Path]) -> dict[str, None]:
    found: dict[str, None] = {}
    for folder in folders:
        results = folder / "results"
        if not results.is_dir():
            raise ResultError(f"there is no results folder {results}; run `le-bench run` first")
        names = sorted(path.name for path in results.iterdir() if any(path.rglob("*.json")))
        found |= dict.fromkeys(map(unquote, names))
    return found


def _listed(folders: Sequence[Path]) -> str:
    return ", ".join(map(str, folders))


def _check_names(results: Sequence[Result], failures: Sequence[Failure], names: Names) -> None:
    cells = [*(each.cell for each in results), *(each.cell for each in failures)]
    faults = []
    for kind, kept in names.kept.items():
        known = sorted({getattr(cell, kind) for cell in cells})
        faults += [unknown_name(kind, name, known) for name in kept if name not in known]
    if faults:
        raise ResultError("; ".join(faults))


def explanations_of(
    folders: Sequence[Path], experiment: str, places: Sequence[tuple[str, str, str]]
) -> dict[tuple[str, str, str], LayerExplanations]:
    """The explanations of these places (model, layer, explainer), of those that are on record."""
    found: dict[tuple[str, str, str], LayerExplanations] = {}
    for folder in folders:
        root = folder / "explanations"
        paths = {
            layer_folder(root, experiment, model, layer) / f"{file_name(explainer)}.json"
            for model, layer, explainer in places
        }
        existing = [path for path in paths if path.is_file()]
        found |= {
            (each.model, each.layer, each.explainer): each
            for each in read_records(root, existing, EXPLANATIONS)
        }
    return found
