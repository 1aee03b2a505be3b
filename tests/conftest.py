"""What several tests share: the toy world, a command line to call, and where real data lies."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from le_bench.boards.results import read_results
from le_bench.cli import call
from le_bench.plugins import Plugins

ROOT = Path(__file__).parent.parent
TOY = ROOT / "tests" / "toy"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests that need a CUDA device where there is none."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(scope="session")
def toy_plugin() -> Path:
    """The plugin file of the toy world."""
    return TOY / "toy_plugin.py"


@pytest.fixture(scope="session")
def plugins(toy_plugin: Path) -> Plugins:
    """All installed plugins and the toy world."""
    return Plugins.find([toy_plugin])


@pytest.fixture
def bench(tmp_path: Path, toy_plugin: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A folder with the toy experiment and its own cache, and a command line in it."""
    shutil.copy(TOY / "toy.toml", tmp_path / "toy.toml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LE_BENCH_HOME", str(tmp_path / "cache"))
    return Bench(tmp_path, toy_plugin)


class Bench:
    """The command line in a folder of its own."""

    def __init__(self, folder: Path, plugin: Path) -> None:
        self.folder = folder
        self.plugin = plugin

    def run(self, *arguments: str) -> int:
        """`le-bench run toy.toml` with the toy plugin; the exit code."""
        return call(["run", "toy.toml", "--plugin", str(self.plugin), *arguments])

    def edit(self, change: Callable[[str], str]) -> None:
        """Change the text of the experiment."""
        path = self.folder / "toy.toml"
        path.write_text(change(path.read_text()))

    def values(self) -> dict[str, tuple[float | None, ...]]:
        """Unit scores on its boards by explainer and layer."""
        results = read_results(self.folder / "leaderboards" / "results")
        return {f"{r.cell.explainer} {r.cell.layer}": r.values for r in results}

    def files(self, folder: str = "leaderboards") -> dict[str, bytes]:
        """Every file under a folder by relative path."""
        root = self.folder / folder
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images and weights; the test is skipped if it is not there."""
    folder = Path(os.environ.get("LE_BENCH_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set LE_BENCH_REAL_DATA")
    return folder
