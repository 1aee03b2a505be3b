"""What lies beside results: explanations of a layer, what they cost, and what was asked.

Explanations: `<explanations>/<experiment>/<model>/<layer>/<explainer>.json`, deterministic.
Costs: `<costs>/<experiment>.json`, measured and machine-dependent, hence kept apart.
About: `<about>/<experiment>.json`, title, description and chosen pairs of an experiment.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from le_bench.boards.files import ResultError, faults_message, file_name
from le_bench.boards.folders import RecordKind, decode, read_records, write_record
from le_bench.boards.records import About, Cost, Costs, LayerExplanations
from le_bench.boards.results import layer_folder


def explanations_path(folder: Path, layer: LayerExplanations) -> Path:
    """Where the explanations of a layer by one explainer lie."""
    parent = layer_folder(folder, layer.experiment, layer.model, layer.layer)
    return parent / f"{file_name(layer.explainer)}.json"


def costs_path(folder: Path, experiment: str) -> Path:
    """Where the costs, or the description, of an experiment lie."""
    return folder / f"{file_name(experiment)}.json"


EXPLANATIONS = RecordKind("explanations", LayerExplanations, explanations_path)
COSTS = RecordKind("costs", Costs, lambda folder, costs: costs_path(folder, costs.experiment))


ABOUT = RecordKind(
    "descriptions of experiments", About, lambda folder, about: costs_path(folder, about.experiment)
)


def write_about(folder: Path, about: About) -> bool:
    """Write what boards say of an experiment; say whether the file changed."""
    return write_record(folder, about, ABOUT)


def read_about(folder: Path) -> list[About]:
    """What boards say of all experiments, sorted; none if there is no such folder.

    Raises ResultError with every fault of every file.
    """
    return sorted(read_records(folder, folder.glob("*.json"), ABOUT), key=lambda a: a.experiment)


def write_explanations(folder: Path, layer: LayerExplanations) -> bool:
    """Write the explanations of one layer by one explainer; say whether the file changed."""
    return write_record(folder, layer, EXPLANATIONS)


def read_explanations(folder: Path) -> list[LayerExplanations]:
    """All explanations under a folder, sorted by experiment, model, layer and explainer.

    None if there is no such folder. Raises ResultError with every fault of every file.
    """
    layers = read_records(folder, folder.rglob("*.json"), EXPLANATIONS)
    return sorted(
        layers, key=lambda each: (each.experiment, each.model, each.layer, each.explainer)
    )


def add_costs(folder: Path, experiment: str, measured: Sequence[Cost]) -> bool:
    """Add measured costs to those of an experiment; say whether the file changed.

    A cell measured again replaces its older figure; cells not measured now (found in the cache)
    keep theirs. Raises ResultError if the existing file is malformed.
    """
    path = costs_path(folder, experiment)
    cells = {(cost.model, cost.layer, cost.explainer): cost for cost in _old_cells(folder, path)}
    cells |= {(cost.model, cost.layer, cost.explainer): cost for cost in measured}
    return write_record(folder, Costs(experiment, tuple(cells[at] for at in sorted(cells))), COSTS)


def _old_cells(folder: Path, path: Path) -> tuple[Cost, ...]:
    try:
        return decode(path.read_text(encoding="utf-8"), COSTS).cells
    except FileNotFoundError:
        return ()
    except ValueError as error:
        raise ResultError(faults_message("costs", folder, [f"{path.name}: {error}"])) from error


def read_costs(folder: Path) -> list[Costs]:
    """The costs of all experiments, sorted by experiment; none if there is no such folder.

    Raises ResultError with every fault of every file.
    """
    return sorted(read_records(folder, folder.glob("*.json"), COSTS), key=lambda c: c.experiment)
