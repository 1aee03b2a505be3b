"""Rendering all boards of a folder from its records; no torch, no plugins."""

from __future__ import annotations

from pathlib import Path


def render_boards(folder: Path, *, include_partial: bool = False) -> dict[str, Path]:
    """Write the boards of a folder; the path of each experiment's board by its name."""
    from le_bench.boards.leaderboard import board_files, write_boards

    files = board_files(folder, include_partial=include_partial)
    write_boards(folder, files)
    return {Path(name).stem: folder / name for name in files if name.endswith(".md")}
