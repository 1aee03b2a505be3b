"""`le-bench impact`: what it computes, and that its records and those of a run live together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from le_bench.boards.impact import read_impacts
from le_bench.cli import call

if TYPE_CHECKING:
    from conftest import Bench

IMPACT = "\n[impact]\nfractions = [0.5]\n"


def measure(bench: Bench, *arguments: str) -> int:
    """`le-bench impact toy.toml` with the toy plugin; the exit code."""
    return call(["impact", "toy.toml", "--plugin", str(bench.plugin), *arguments])


def test_nothing_is_embedded_or_explained(bench: Bench) -> None:
    """Whatever the simulators look with, only networks and their losses are computed."""
    bench.edit(lambda text: text.replace('use = "labels"', 'use = "siglip"\nencoder = "eye"'))

    code = measure(bench)

    kept = {path.parent.parent.name for path in (bench.folder / "cache").glob("*/??/*.json")}
    assert code == 0
    assert kept == {"record", "temper", "impact"}


def test_an_unwritable_out_is_found_before_anything_is_loaded(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder for records that cannot be made is refused at the start."""
    (bench.folder / "file").write_text("")

    code = measure(bench, "--out", "file/boards")

    assert code == 2
    assert capsys.readouterr().err == (
        "error: --out file/boards: cannot be written (Not a directory); give another folder\n"
    )
    assert not (bench.folder / "cache").exists()


def test_missing_weights_are_told_before_the_cache_is_made(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has to be fetched is said at once, with exit code 6, as by `le-bench run`."""
    monkeypatch.setenv("TORCH_HOME", str(bench.folder))
    row = '[[models]]\nuse = "torchvision:{}@IMAGENET1K_V1"\nlayers = ["layer"]\n'
    rows = row.format("resnet18") + row.format("alexnet")
    bench.edit(lambda text: text.replace("[[models]]", rows + "[[models]]", 1))

    code = measure(bench)

    lines = capsys.readouterr().err.splitlines()
    assert code == 6
    assert [line.split("@")[0] for line in lines] == [
        "error: nothing was run:",
        "  - torchvision resnet18",
        "  - torchvision alexnet",
    ]
    assert not (bench.folder / "cache").exists()


@pytest.mark.parametrize("first", ["impact", "run"])
@pytest.mark.parametrize("second", ["impact", "run"])
def test_some_units_never_replace_or_join_all_of_them(
    bench: Bench, first: str, second: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """--limit-units is refused, before anything is loaded, where all units are on record."""
    common = ["toy.toml", "--plugin", str(bench.plugin), "--out", "boards"]
    call([first, *common])
    before = bench.files("boards")
    capsys.readouterr()

    code = call([second, *common, "--limit-units", "2"])

    place = {"impact": "impact holds Top Impact", "run": "results holds results"}[first]
    assert code == 2
    assert capsys.readouterr().err == (
        f"error: boards/{place} over all units of 'toy'; this would be over some units only, "
        "so give another folder with --out; nothing was written\n"
    )
    assert bench.files("boards") == before


def test_all_units_replace_some_of_them(bench: Bench) -> None:
    """A whole measurement in a folder of partial ones leaves whole records alone."""
    measure(bench, "--limit-units", "2", "--out", "leaderboards")

    code = measure(bench)

    impacts = read_impacts(bench.folder / "leaderboards" / "impact")
    assert code == 0
    assert [(each.num_units, each.partial) for each in impacts] == [(6, False), (6, False)]


def test_a_run_without_impact_keeps_what_was_measured(bench: Bench) -> None:
    """An experiment without the table [impact] leaves records of the command on its board."""
    measure(bench)
    before = bench.files("leaderboards/impact")

    code = bench.run()

    assert code == 0
    assert len(before) == 2
    assert bench.files("leaderboards/impact") == before
    assert "## Top Impact" in (bench.folder / "leaderboards" / "toy.md").read_text()


def test_a_run_with_impact_removes_layers_that_left(bench: Bench) -> None:
    """With the table [impact] a whole run keeps records of the experiment's layers alone."""
    bench.edit(lambda text: text + IMPACT)
    bench.run()
    bench.edit(lambda text: text.replace('"first", ', ""))

    bench.run()

    impacts = read_impacts(bench.folder / "leaderboards" / "impact")
    assert [each.layer for each in impacts] == ["second:max"]
