"""Rendering all boards of a folder from its records; no torch, no plugins."""

from __future__ import annotations

from pathlib import Path

from le_bench.errors import BenchError


def render_boards(folder: Path, *, include_partial: bool = False) -> dict[str, Path]:
    """Write the boards of a folder; the path of each experiment's board by its name."""
    from le_bench.boards.leaderboard import board_files, write_boards

    files = board_files(folder, include_partial=include_partial)
    write_boards(folder, files)
    return {Path(name).stem: folder / name for name in files if name.endswith(".md")}


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be written, before time is spent; leaves no trace."""
    existing = folder
    while not existing.exists():
        existing = existing.parent
    probe = existing / ".le-bench-probe"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise BenchError(
            f"--out {folder}: cannot be written ({error.strerror}); give another folder"
        ) from error


def check_whole(folder: Path, experiment: str) -> None:
    """Refuse a folder with values over all units, for an experiment over some units only."""
    from le_bench.boards.files import file_name
    from le_bench.boards.folders import read_if_sound
    from le_bench.boards.impact import IMPACTS
    from le_bench.boards.results import RESULTS

    def results(path: Path) -> bool:
        found = read_if_sound(path, RESULTS)
        return found is not None and not found.partial

    def impacts(path: Path) -> bool:
        found = read_if_sound(path, IMPACTS)
        return found is not None and not found.partial

    for name, what, whole in (("results", "results", results), ("impact", "Top Impact", impacts)):
        if any(map(whole, (folder / name / file_name(experiment)).rglob("*.json"))):
            raise BenchError(
                f"{folder / name} holds {what} over all units of '{experiment}'; this would be "
                "over some units only, so give another folder with --out; nothing was written"
            )
