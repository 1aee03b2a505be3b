"""Results on disk: made from unit scores, written one small file a cell, read back, migrated.

A cell lies at `<experiment>/<model>/<layer>/<explainer>/<simulator>.<scorer>.json` under the
results folder, a failed one at `….failed.json`. Neither torch nor any plugin is imported here:
boards are made and checked where neither is installed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from le_bench.boards.files import ResultError, file_name
from le_bench.boards.folders import (
    Migration,
    RecordKind,
    read_if_sound,
    read_records,
    remove,
    write_record,
)
from le_bench.boards.records import (
    FURTHER_FIGURES,
    Cell,
    Failure,
    MadeWith,
    Provenance,
    Result,
    Summary,
    agree,
)
from le_bench.boards.statistics import (
    Floats,
    bootstrap_intervals,
    draw_resamples,
    mean_and_error,
    seed_from_key,
)

INTERVAL_TOLERANCE = 1e-4  # of a bound, made on two machines
MIGRATIONS: Mapping[int, Migration] = {}


@dataclass(frozen=True, slots=True, eq=False)
class UnitScores:
    """What a scorer and the recording say of each unit of a layer, by unit number from 0.

    `values` (U,) with NaN where undefined and `undefined` the reason for each of these; `dead`
    the numbers of dead units; `lengths` (U,) the terms of each explanation, 0 for none.
    """

    values: ArrayLike
    lengths: Sequence[int]
    undefined: Mapping[int, str] = field(default_factory=dict)
    dead: Sequence[int] = ()


def make_result(
    cell: Cell,
    key: str,
    units: UnitScores,
    made_by: Provenance,
    *,
    higher_is_better: bool = True,
    published: Mapping[str, float] = MappingProxyType({}),
    partial: bool = False,
    reference_row: bool = False,
) -> Result:
    """The result of one cell.

    Values are rounded to six decimals first, so that every number on a board follows from the
    committed values. Mean and standard error are over defined units, the interval is a percentile
    bootstrap over them seeded from the key. `published` are the paper's figures, `value` the mean.

    Raises ResultError if a score is infinite, a NaN has no reason or a reason no NaN, lengths do
    not match, or a dead unit does not exist.
    """
    values = np.asarray(units.values, dtype=np.float64).round(6) + 0.0
    _check_units(cell, units, values)
    missing = np.isnan(values)
    live = np.ones(len(values), dtype=bool)
    live[list(units.dead)] = False
    explained = [length for length in units.lengths if length > 0]
    whole = mean_and_error(values)
    defined = values[~missing]
    low, high = _interval(defined, key)
    return Result(
        key=key,
        cell=cell,
        score=Summary(
            mean=_or_none(whole.mean),
            standard_error=_or_none(whole.standard_error),
            ci_low=_or_none(low),
            ci_high=_or_none(high),
            num_units=len(values),
            num_undefined=int(missing.sum()),
            undefined=dict(Counter(units.undefined.values())),
            num_dead=int((~live).sum()),
            live_mean=_or_none(mean_and_error(values[live]).mean),
            mean_length=sum(explained) / len(explained) if explained else None,
        ),
        values=tuple(map(_or_none, values)),
        dead=tuple(sorted({int(unit) for unit in units.dead})),
        made_by=made_by,
        higher_is_better=higher_is_better,
        published=published.get("value"),
        published_further={key: published[key] for key in FURTHER_FIGURES if key in published},
        partial=partial,
        reference_row=reference_row,
    )


def _interval(defined: Floats, key: str) -> tuple[float, float]:
    resamples = draw_resamples(len(defined), seed_from_key(key))
    low, high = bootstrap_intervals(defined[None], resamples)[0]
    return float(low), float(high)


def interval_faults(result: Result) -> Iterator[str]:
    """What of the bootstrap interval does not follow from values and key, a bound each.

    Reading a result checks all that is cheap; this takes as long as making the result did.
    """
    values = result.unit_values
    bounds = _interval(values[~np.isnan(values)], result.key)
    for name, right in zip(("ci_low", "ci_high"), bounds, strict=True):
        given = getattr(result.score, name)
        if not agree(given, right, INTERVAL_TOLERANCE):
            shown = f"{right:.6g}" if isfinite(right) else "none"
            yield f"score.{name}: is {given} but the values have {shown}"


def _or_none(number: float) -> float | None:
    return float(number) if isfinite(number) else None


def _check_units(cell: Cell, units: UnitScores, values: NDArray[np.float64]) -> None:
    infinite = np.flatnonzero(np.isinf(values)).tolist()
    nameless = set(np.flatnonzero(np.isnan(values)).tolist()) ^ set(units.undefined)
    if infinite:
        raise ResultError(
            f"{cell}: the scorer gave infinite scores for units {infinite[:5]}; it must give NaN "
            "with a reason where a score is undefined"
        )
    if nameless:
        raise ResultError(
            f"{cell}: units {sorted(nameless)[:5]} have a NaN score without a reason or a reason "
            "without a NaN score; the scorer must give both"
        )
    if len(units.lengths) != len(values):
        raise ResultError(
            f"{cell}: {len(units.lengths)} explanations for {len(values)} scores; "
            "the explainer must give one a unit"
        )
    outside = sorted(unit for unit in units.dead if not 0 <= unit < len(values))
    if outside:
        raise ResultError(f"{cell}: dead units {outside[:5]} are not among {len(values)} units")


def layer_folder(folder: Path, experiment: str, model: str, layer: str) -> Path:
    """The folder of one layer of one experiment, with names made safe."""
    return folder.joinpath(*map(file_name, (experiment, model, layer)))


def result_path(folder: Path, cell: Cell) -> Path:
    """Where the result of a cell lies. Dots within the last two names are encoded."""
    last = ".".join(file_name(name, keep_dots=False) for name in (cell.simulator, cell.scorer))
    names = cell.experiment, cell.model, cell.layer, cell.explainer
    return folder.joinpath(*map(file_name, names), f"{last}.json")


def failure_path(folder: Path, cell: Cell) -> Path:
    """Where the failure of a cell lies: beside where its result would."""
    return result_path(folder, cell).with_suffix(".failed.json")


RESULTS = RecordKind(
    "results", Result, lambda folder, result: result_path(folder, result.cell), MIGRATIONS
)
FAILURES = RecordKind(
    "failed cells", Failure, lambda folder, failure: failure_path(folder, failure.cell)
)


def write_result(folder: Path, result: Result) -> bool:
    """Write one result and remove the failure of its cell; say whether the result file changed.

    A file that differs in nothing but the environment (versions, device) stays untouched, for
    it tells what the same key was first computed with.
    """
    remove(failure_path(folder, result.cell))
    old = read_if_sound(result_path(folder, result.cell), RESULTS)
    if old is not None:
        made_by = replace(result.made_by, environment=old.made_by.environment)
        if replace(result, made_by=made_by) == old:
            return write_record(folder, old, RESULTS)
    return write_record(folder, result, RESULTS)


def write_failure(folder: Path, failure: Failure) -> bool:
    """Write one failed cell; say whether a file changed.

    An older result with another key is removed: it no longer says anything about what the
    experiment now asks for. A result with the same key is still true, so it stays and no failure
    is written.
    """
    path = result_path(folder, failure.cell)
    old = read_if_sound(path, RESULTS)
    if old is not None and old.key == failure.key:
        return remove(failure_path(folder, failure.cell))
    removed = remove(path)
    return write_record(folder, failure, FAILURES) or removed


def read_results(folder: Path, kind: RecordKind[Result] = RESULTS) -> list[Result]:
    """All results under a folder, sorted by cell.

    Raises ResultError with every fault of every file: unreadable or malformed files, a schema
    that is too new or too old, files in the wrong place, and results that do not go together
    (see `mixed_faults`); also if there is no such folder.
    """
    if not folder.is_dir():
        raise ResultError(f"there is no results folder {folder}; run `le-bench run` first")
    paths = [path for path in folder.rglob("*.json") if not path.name.endswith(".failed.json")]
    results = read_records(folder, paths, kind, mixed_faults)
    return sorted(results, key=lambda result: result.cell)


def read_failures(folder: Path) -> list[Failure]:
    """All failed cells under a folder, sorted by cell; none if there is no such folder.

    Raises ResultError with every fault of every file.
    """
    failures = read_records(folder, folder.rglob("*.failed.json"), FAILURES)
    return sorted(failures, key=lambda failure: failure.cell)


def mixed_faults(results: Sequence[Result]) -> list[str]:
    """Why these results do not go together on boards, one sentence a fault; none if they do.

    A cell occurs once. An experiment has one dataset and one seed. A component name means one
    version and one set of options within an experiment. A scorer ranks one way. All results of a
    layer are over the same units, and an explainer is a reference row everywhere or nowhere.
    """
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for result in results:
        where = f"experiment '{result.cell.experiment}'"
        for trait in traits(result):
            seen[where, trait.what].add(trait.value)
    faults = [
        f"{where} mixes {what}: {' and '.join(sorted(found))}; delete the files of one and run "
        "`le-bench run` again"
        for (where, what), found in seen.items()
        if len(found) > 1
    ]
    repeated = [cell for cell, count in Counter(r.cell for r in results).items() if count > 1]
    return faults + [f"{cell}: this cell is there more than once" for cell in sorted(repeated)]


@dataclass(frozen=True, slots=True)
class Trait:
    """What all results of an experiment must have in common: the field, what it is, its value."""

    field: str
    what: str
    value: str


def traits(result: Result) -> Iterator[Trait]:
    """What other results of the same experiment must say as this one does."""
    cell = result.cell
    yield Trait("cell.dataset", "datasets", cell.dataset)
    yield Trait("made_by.seed", "seeds", str(result.made_by.seed))
    better = "higher is better" if result.higher_is_better else "lower is better"
    yield Trait("higher_is_better", f"directions of scorer '{cell.scorer}'", better)
    rank = "reference row" if result.reference_row else "contender"
    yield Trait("reference_row", f"roles of explainer '{cell.explainer}'", rank)
    units = f"{result.score.num_units} units"
    yield Trait("score.num_units", f"sizes of {cell.model}, {cell.layer}", units)
    for kind, component in sorted(result.made_by.components.items()):
        label = getattr(cell, kind, component.name)
        what = f"configurations of {kind} '{label}'"
        yield Trait(f"made_by.components.{kind}", what, _configuration(component))


def _configuration(component: MadeWith) -> str:
    options = ", ".join(f"{key}={value!r}" for key, value in sorted(component.options.items()))
    return f"{component.name} version {component.version} ({options or 'no options'})"
