"""`--precision` and `embeddings`: part of the keys, and close to the usual numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from le_bench.boards.results import read_results

if TYPE_CHECKING:
    from conftest import Bench


def scores(bench: Bench) -> dict[str, tuple[float | None, ...]]:
    """Unit scores by explainer and layer."""
    results = read_results(bench.folder / "leaderboards" / "results")
    return {f"{r.cell.explainer} {r.cell.layer}": r.values for r in results}


@pytest.mark.parametrize(
    ("arguments", "kept"), [(["--precision", "bf16"], 0), (["--set", "embeddings=fp16"], 8)]
)
def test_number_types_never_meet_values_of_another_type(
    bench: Bench, capsys: pytest.CaptureFixture[str], arguments: list[str], kept: int
) -> None:
    """Steps that a number type touches are computed anew; the rest comes from the cache."""
    bench.run()
    usual = scores(bench)
    capsys.readouterr()

    code = bench.run(*arguments)

    out = capsys.readouterr().out
    found = int(out.split(" computed, ")[1].split()[0])
    assert code == 0
    assert found >= kept
    assert " 0 steps computed" not in f" {out}"
    for cell, values in scores(bench).items():
        assert values == pytest.approx(usual[cell], abs=0.02)


def test_unknown_number_type_is_refused(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """With the types that there are."""
    code = bench.run("--precision", "fp8")

    assert code == 2
    assert (
        "precision: unknown number type 'fp8'; there are: bf16, fp16, fp32"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("option", [["--batch-size", "auto"], ["--channels-last"]])
def test_pace_does_not_change_results(bench: Bench, option: list[str]) -> None:
    """Batch size and memory layout leave scores as they are up to rounding, under the same key."""
    bench.run()
    usual = scores(bench)

    code = bench.run(*option, "--cache", str(bench.folder / "other"))

    assert code == 0
    for cell, values in scores(bench).items():
        assert values == pytest.approx(usual[cell], abs=1e-4)


def test_impossible_batch_size_is_refused(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """A number of at least 1, or auto."""
    code = bench.run("--batch-size", "none")

    assert code == 2
    assert capsys.readouterr().err == (
        "error: --batch-size none: give a number of at least 1, or auto\n"
    )
