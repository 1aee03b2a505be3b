"""Leaderboards: results to Markdown and JSON, written or checked. No torch, no plugin.

The same records in any order give the same bytes; nothing depends on time, folder or machine.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from le_bench.boards.companions import read_about, read_costs, read_explanations
from le_bench.boards.files import RESTORE, ResultError, faults_message, file_name, write_text
from le_bench.boards.folders import remove
from le_bench.boards.grid import layer_order, make_grids
from le_bench.boards.impact import LayerImpact, read_impacts
from le_bench.boards.pages import MARKS, Board, board_json, board_page, index_page
from le_bench.boards.records import About, Costs, Failure, LayerExplanations, Result
from le_bench.boards.results import (
    interval_faults,
    mixed_faults,
    read_failures,
    read_results,
    result_path,
)
from le_bench.boards.scorers import PAGE as SCORERS
from le_bench.boards.scorers import ScorerCheck, read_checks, scorers_page
from le_bench.boards.simulators import PAGE as SIMULATORS
from le_bench.boards.simulators import SimulatorFidelity, read_fidelities, simulators_page

INDEX = "README"
RESERVED = (INDEX.lower(), SCORERS, SIMULATORS)  # names of pages that are no experiment's


def render(
    results: Iterable[Result],
    *,
    explanations: Sequence[LayerExplanations] = (),
    costs: Sequence[Costs] = (),
    failures: Sequence[Failure] = (),
    about: Sequence[About] = (),
    scorers: Sequence[ScorerCheck] = (),
    simulators: Sequence[SimulatorFidelity] = (),
    impacts: Sequence[LayerImpact] = (),
    include_partial: bool = False,
) -> dict[str, str]:
    """The boards as texts by file name, relative to the leaderboards folder.

    `README.md` is the index, `<experiment>.md` one board, `<experiment>.json` the same numbers
    for machines, `scorers.md` and `simulators.md` what was found of these if anything was. `about`
    gives titles, descriptions and further pairs of explainers to compare. The order of no argument
    matters.

    Raises ResultError for partial results, unless asked for with `include_partial` (boards then
    carry a watermark), and for results that do not go together.
    """
    ordered = sorted(results, key=lambda result: result.cell)
    _check(ordered, impacts, include_partial)
    grids = make_grids(ordered, failures, about)
    boards = [
        Board(
            experiment=experiment,
            file=_board_name(experiment),
            grids=tuple(grid for grid in grids if grid.experiment == experiment),
            results=tuple(each for each in ordered if each.cell.experiment == experiment),
            explanations={
                (each.model, each.layer, each.explainer): each
                for each in explanations
                if each.experiment == experiment
            },
            costs={
                (cost.model, cost.layer, cost.explainer): cost
                for each in costs
                if each.experiment == experiment
                for cost in each.cells
            },
            about=next((each for each in about if each.experiment == experiment), None),
            impacts=_in_order(impacts, about, experiment),
        )
        for experiment in sorted(
            {grid.experiment for grid in grids} | {each.experiment for each in impacts}
        )
    ]
    files = {f"{board.file}.md": board_page(board) for board in boards}
    files |= {f"{board.file}.json": board_json(board) for board in boards}
    further = {}
    if scorers:
        in_order = sorted(scorers, key=lambda check: check.scorer.name)
        further[SCORERS] = scorers_page(in_order, MARKS[".md"])
    if simulators:
        by_name = sorted(simulators, key=lambda each: (each.experiment, each.simulator))
        further[SIMULATORS] = simulators_page(by_name, MARKS[".md"])
    files |= {f"{name}.md": text for name, text in further.items()}
    return files | {f"{INDEX}.md": index_page(boards, further=list(further))}


def _in_order(
    impacts: Sequence[LayerImpact], about: Sequence[About], experiment: str
) -> tuple[LayerImpact, ...]:
    """Those of one experiment, layers as it lists them."""
    order = layer_order(about, experiment)
    own = (each for each in impacts if each.experiment == experiment)
    return tuple(sorted(own, key=lambda each: order((each.model, each.layer))))


def board_files(
    folder: Path, *, include_partial: bool = False, intervals: bool = False
) -> dict[str, str]:
    """The boards of a leaderboards folder, rendered from the records under it.

    Read are `results/`, `explanations/`, `costs/`, `about/`, `impact/`, `scorers/` and
    `simulators/`. There may be no results if there are impacts or checks of scorers. With
    `intervals` each bootstrap interval is made anew and checked, which takes the most time. Raises
    ResultError as reading them and `render` do.
    """
    impacts, scorers = read_impacts(folder / "impact"), read_checks(folder / SCORERS)
    alone = bool(impacts or scorers) and not (folder / "results").is_dir()
    results = [] if alone else read_results(folder / "results")
    if intervals:
        _check_intervals(folder / "results", results)
    return render(
        results,
        explanations=read_explanations(folder / "explanations"),
        costs=read_costs(folder / "costs"),
        failures=read_failures(folder / "results"),
        about=read_about(folder / "about"),
        scorers=scorers,
        simulators=read_fidelities(folder / SIMULATORS),
        impacts=impacts,
        include_partial=include_partial,
    )


def _check_intervals(folder: Path, results: Sequence[Result]) -> None:
    faults = [
        f"{result_path(folder, result.cell).relative_to(folder).as_posix()}: {fault}; {RESTORE}"
        for result in results
        for fault in interval_faults(result)
    ]
    if faults:
        raise ResultError(faults_message("results", folder, faults))


def _check(
    results: Sequence[Result], impacts: Sequence[LayerImpact], include_partial: bool
) -> None:
    faults = mixed_faults(results)
    if faults:
        listed = "".join(f"\n- {fault}" for fault in sorted(faults))
        raise ResultError(f"these results do not go on one board:{listed}")
    limited = [result.cell for result in results if result.partial]
    if limited and not include_partial:
        raise ResultError(
            f"{len(limited)} of {len(results)} results are partial (made with --limit-units), the "
            f"first is {limited[0]}; run them again without --limit-units, or give --partial "
            "to see a board with a watermark"
        )
    some = [impact for impact in impacts if impact.partial]
    if some and not include_partial:
        raise ResultError(
            f"{len(some)} of {len(impacts)} records of Top Impact are partial (made with "
            f"--limit-units), the first is {some[0].experiment}: {some[0].model}, {some[0].layer}; "
            "run `le-bench impact` again without --limit-units"
        )


def _board_name(experiment: str) -> str:
    """The file name, without suffix, of an experiment's board; never that of another page."""
    name = file_name(experiment)
    return f"%{ord(name[0]):02X}{name[1:]}" if name.lower() in RESERVED else name


def write_boards(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Write rendered boards and delete generated ones that are no longer rendered.

    Gives the names of the files that changed, sorted. Files that do not carry the mark of a
    generated board are never deleted.
    """
    changed = [name for name, text in files.items() if write_text(folder / name, text)]
    orphans = [name for name in _generated(folder) if name not in files]
    for name in orphans:
        remove(folder / name)
    return sorted([*changed, *orphans])


def check_boards(folder: Path, files: Mapping[str, str]) -> str:
    """How the boards in a folder differ from the rendered ones: a unified diff, "" if not at all.

    A board that is missing or no longer rendered counts as a difference. Line ends may be those
    of the platform.
    """
    names = sorted({*files, *_generated(folder)})
    return "".join(_difference(folder / name, files.get(name)) for name in names)


def _generated(folder: Path) -> list[str]:
    """The files directly in a folder that carry the mark of a generated board."""
    found = [path for pattern in MARKS for path in folder.glob(f"*{pattern}") if path.is_file()]
    return [path.name for path in found if MARKS[path.suffix] in _read(path)[:1000]]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ResultError(f"cannot read {path}: {error.strerror}; check its permissions") from error


def _difference(path: Path, rendered: str | None) -> str:
    committed = _read(path) if path.exists() else None
    if committed == rendered:
        return ""
    old = "/dev/null" if committed is None else f"{path.name} (committed)"
    new = "/dev/null" if rendered is None else f"{path.name} (from results)"
    return "".join(difflib.unified_diff(_lines(committed), _lines(rendered), old, new))


def _lines(text: str | None) -> list[str]:
    """Lines with their ends; a last line without one says so, as `diff -u` does."""
    lines = (text or "").split("\n")
    last = [f"{lines[-1]}\n\\ No newline at end of file\n"] if lines[-1] else []
    return [f"{line}\n" for line in lines[:-1]] + last
