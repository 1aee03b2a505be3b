"""Whatever changes is computed again: no run meets a value that another input gave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Bench


STALE: dict[str, Callable[[str], str]] = {
    "data set": lambda text: text.replace("[dataset]\n", "[dataset]\nseed = 5\n"),
    "model": lambda text: text.replace('id = "net"', 'id = "net"\nseed = 5'),
    "option": lambda text: text.replace('use = "toy-label"', 'use = "toy-label"\nshift = 1'),
}


@pytest.mark.parametrize("change", STALE)
def test_a_changed_input_never_meets_a_stale_value(bench: Bench, change: str) -> None:
    """After a change the scores are those of a run that never had a cache."""
    bench.run()
    before = bench.values()
    bench.edit(STALE[change])

    bench.run()
    cached = bench.files("leaderboards/results")
    bench.run("--cache", str(bench.folder / "fresh"), "--out", str(bench.folder / "fresh-out"))

    assert bench.values() != before
    assert cached == bench.files("fresh-out/results")


def test_a_changed_checkpoint_never_meets_a_stale_value(bench: Bench) -> None:
    """New weights under an old file name give new scores."""
    bench.edit(lambda text: text.replace('id = "net"', 'id = "net"\ncheckpoint = "w.txt"'))
    (bench.folder / "w.txt").write_text("0.0")
    bench.run()
    before = bench.values()

    (bench.folder / "w.txt").write_text("0.3")
    bench.run()

    assert bench.values() != before


def test_a_raised_version_never_meets_a_stale_value(bench: Bench, tmp_path: Path) -> None:
    """A component whose version is raised is computed again, and what depends on it."""
    file = tmp_path / "mine.py"
    code = bench.plugin.read_text()
    file.write_text(code)
    bench.plugin = file
    bench.run()
    steps = len(list((bench.folder / "cache" / "explain").rglob("*.json")))

    file.write_text(
        code.replace('name: ClassVar[str] = "toy-label"', 'name = "toy-label"\n    version = 2')
    )
    bench.run()

    assert len(list((bench.folder / "cache" / "explain").rglob("*.json"))) == 2 * steps
