"""Results from elsewhere: read, held against those that are here, and taken whole or not at all.

A submission is written down completely before any result moves into place, so that a killed
process leaves either nothing or something that `settle` finishes.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from le_bench.boards.files import ResultError, faults_message
from le_bench.boards.folders import decode, encode, remove
from le_bench.boards.records import Cell, Failure, Origin, Result
from le_bench.boards.results import (
    RESULTS,
    failure_path,
    interval_faults,
    read_failures,
    read_results,
    result_path,
    traits,
)
from le_bench.errors import unknown_name

LARGEST = 64 * 2**20  # bytes of one result: two million units
MOST_FILES = 20_000
TOLERANCE = 2e-6  # two runs of one key differ by rounding to six decimals
_WRITING, _READY = ".submission.tmp", ".submission"
_UNIT, _BOTH = (0.0, 1.0), (-1.0, 1.0)
RANGES: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("correlation", "spearman", "cosine"), _BOTH),
    **dict.fromkeys(("auroc", "auprc", "inverse-auroc", "inverse-auprc"), _UNIT),
    **dict.fromkeys(("f1", "iou", "precision", "recall", "accuracy"), _UNIT),
    **dict.fromkeys(("balanced-accuracy", "inverse-balanced-accuracy"), _UNIT),
}
_NAMES = ("dataset", "model", "layer", "simulator", "scorer")


@dataclass(frozen=True, slots=True)
class Submitted:
    """What a submission did: cells taken, and cells that were here with the same numbers."""

    taken: tuple[Cell, ...]
    known: tuple[Cell, ...]


def submit(folder: Path, given: Path, by: str) -> Submitted:
    """Take the results of a file or folder into a leaderboards folder, marked with their origin.

    Raises ResultError with every fault of every file, and then changes nothing: see `faults_of`
    for what is asked of a result. A result that is here already, with the same numbers, is left.
    """
    if not by.strip():
        raise ResultError("--by: say who submits; boards show it beside the results")
    settle(folder)
    here = _Here.read(folder / "results")
    submitted, faults = _read(given)
    seen: dict[Cell, str] = {}
    for shown, result in submitted.items():
        first = seen.setdefault(result.cell, shown)
        twice = [] if first == shown else [f"cell: {first} has the same one"]
        faults += [f"{shown}: {fault}" for fault in [*twice, *here.faults_of(result)]]
    if not faults and not submitted:
        faults = ["there is no result in it"]
    if faults:
        raise ResultError(f"refused, nothing was written: {faults_message('files', given, faults)}")
    new = [each for each in submitted.values() if each.cell not in here.results]
    origin = Origin(given.name or given.resolve().name, by.strip())
    _write(folder, [replace(each, origin=origin) for each in new])
    cells = sorted(each.cell for each in submitted.values())
    return Submitted(
        tuple(cell for cell in cells if cell not in here.results),
        tuple(cell for cell in cells if cell in here.results),
    )


def _read(given: Path) -> tuple[dict[str, Result], list[str]]:
    """The results by the name of their file, and what is wrong with files."""
    results, faults = {}, []
    for path in _files(given):
        shown = path.name if path == given else path.relative_to(given).as_posix()
        try:
            results[shown] = decode(_text(path), RESULTS)
        except UnicodeDecodeError:
            faults.append(f"{shown}: not UTF-8 text")
        except (OSError, ValueError) as error:
            faults.append(f"{shown}: {getattr(error, 'strerror', None) or error}")
    return results, faults


def _files(given: Path) -> list[Path]:
    if given.is_file():
        return [given]
    if not given.is_dir():
        raise ResultError(f"--submit {given}: no such file or folder")
    root = given / "results" if (given / "results").is_dir() else given
    found = (path for path in root.rglob("*.json") if not path.name.endswith(".failed.json"))
    paths = [path for _, path in zip(range(MOST_FILES + 1), found, strict=False)]
    if len(paths) > MOST_FILES:
        raise ResultError(f"--submit {given}: has more than {MOST_FILES:,} files; submit parts")
    return sorted(paths)


def _text(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        raise ValueError("not a regular file")
    size = path.stat().st_size
    if size > LARGEST:
        raise ValueError(f"has {size:,} bytes, more than the {LARGEST:,} of the largest result")
    return path.read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True, eq=False)
class _Here:
    """What there is already: results and failures by cell, names and traits by experiment."""

    results: Mapping[Cell, Result]
    failures: Mapping[Cell, Failure]
    names: Mapping[str, Mapping[str, set[str]]]
    traits: dict[tuple[str, str], str]

    @classmethod
    def read(cls, folder: Path) -> _Here:
        results = read_results(folder)
        names: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        known: dict[tuple[str, str], str] = {}
        for each in results:
            for kind in _NAMES:
                names[each.cell.experiment][kind].add(_name(each.cell, kind))
            known |= {(each.cell.experiment, t.what): t.value for t in traits(each)}
        failures = {each.cell: each for each in read_failures(folder)}
        return cls({each.cell: each for each in results}, failures, names, known)

    def faults_of(self, result: Result) -> Iterator[str]:
        """What is wrong with a result, a field each; what it says anew binds the next ones.

        Experiment, dataset, model, layer, simulator and scorer must have results already. Numbers
        must follow from the values, which must lie in the range of the scorer. A component that is
        here under the same name must be the same, over the same units. A result that is here must
        have the same key or the same numbers; a cell that makes no sense takes none.
        """
        cell, experiment = result.cell, result.cell.experiment
        if experiment not in self.names:
            known = sorted(self.names)
            yield f"cell.experiment: {unknown_name('experiment', experiment, known)}"
            return
        for kind in _NAMES:
            names, name = sorted(self.names[experiment][kind]), _name(cell, kind)
            if name not in names:
                yield f"cell.{kind}: {unknown_name(kind, name, names)}"
        if result.partial:
            yield "partial: made with --limit-units; run it on all units"
        if result.published is not None:
            yield "published: only figures of the paper stand there; leave it null"
        if result.published_further:
            yield "published_further: only figures of the paper stand there; leave it out"
        if result.origin is not None:
            yield "origin: is written when a result is taken; leave it out"
        yield from _numbers(result)
        for trait in traits(result):
            value = self.traits.setdefault((experiment, trait.what), trait.value)
            if value != trait.value:
                yield f"{trait.field}: {trait.what} here: {value}, not {trait.value}"
        yield from self._clash(result)

    def _clash(self, result: Result) -> Iterator[str]:
        old, failure = self.results.get(result.cell), self.failures.get(result.cell)
        if old is not None and not _alike(old.values, result.values):
            key = "the same key" if old.key == result.key else f"key {old.key[:12]}"
            yield f"values: this cell has a result here, with {key} and other numbers"
        if failure is not None and failure.not_applicable:
            yield f"cell: not applicable here: {failure.reason}"


def _name(cell: Cell, kind: str) -> str:
    """The name of a kind; a layer is known within its model only."""
    return f"{cell.model}, {cell.layer}" if kind == "layer" else str(getattr(cell, kind))


def _alike(first: Sequence[float | None], second: Sequence[float | None]) -> bool:
    if len(first) != len(second):
        return False
    one, other = (np.array(values, dtype=np.float64) for values in (first, second))
    return bool(np.allclose(one, other, rtol=0, atol=TOLERANCE, equal_nan=True))


def _numbers(result: Result) -> Iterator[str]:
    """Values out of range, and an interval that does not follow from the values."""
    scorer = result.made_by.components.get("scorer")
    if scorer is None:
        yield "made_by.components.scorer: is missing"
    elif scorer.name in RANGES:
        low, high = RANGES[scorer.name]
        for unit, value in enumerate(result.values):
            if value is not None and not low <= value <= high:
                yield f"values[{unit}]: {value:g} is outside [{low:g}, {high:g}] of {scorer.name}"
                break
    yield from interval_faults(result)


def _write(folder: Path, results: Sequence[Result]) -> None:
    """Write all results aside and flush them, then declare them ready, then move them."""
    if not results:
        return
    writing = folder / _WRITING
    try:
        for result in results:
            path = result_path(writing, result.cell)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(encode(result).encode())
                file.flush()
                os.fsync(file.fileno())
        writing.rename(folder / _READY)
    except OSError as error:
        shutil.rmtree(writing, ignore_errors=True)
        raise ResultError(
            f"cannot write under {folder}: {error.strerror}; nothing was taken"
        ) from error
    settle(folder)


def unsettled(folder: Path) -> bool:
    """Whether a submission was interrupted after all of it was written down."""
    return (folder / _READY).is_dir()


def settle(folder: Path) -> None:
    """Finish a submission that was interrupted: one that is whole is taken, any other dropped."""
    ready = folder / _READY
    try:
        for path in sorted(ready.rglob("*.json")):
            result = decode(path.read_text(encoding="utf-8"), RESULTS)
            place = result_path(folder / "results", result.cell)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
            remove(failure_path(folder / "results", result.cell))
        for leftover in (path for path in (ready, folder / _WRITING) if path.is_dir()):
            shutil.rmtree(leftover)
    except (OSError, ValueError) as error:
        raise ResultError(
            f"cannot finish the submission in {ready}: {error}; make room, or delete that folder, "
            "then run the same command again"
        ) from error
