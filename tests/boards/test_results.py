"""Results are made from unit scores, written, read back and migrated; faults are told at once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from le_bench.boards.files import ResultError
from le_bench.boards.folders import RecordKind, decode, encode
from le_bench.boards.records import Cell, Failure, Provenance, Result
from le_bench.boards.results import (
    RESULTS,
    UnitScores,
    failure_path,
    make_result,
    read_failures,
    read_results,
    result_path,
    write_failure,
    write_result,
)

KEY = "a" * 64
OTHER_KEY = "b" * 64
RESTORE = "restore it from version control, or delete it and run `le-bench run` again"

ResultMaker = Callable[..., Result]


def message(error: pytest.ExceptionInfo[ResultError]) -> str:
    """The whole message of an expected error."""
    return str(error.value)


def test_summary_agrees_with_scipy(cell: Cell, provenance: Provenance) -> None:
    """Mean, error, live mean and length are the plain formulas over defined units."""
    scores = np.random.default_rng(0).normal(0.3, 0.1, size=100)
    scores[[4, 9]] = nan
    units = UnitScores(
        scores, lengths=[0, 2, 4, 3] * 25, undefined={4: "constant", 9: "no terms"}, dead=[9, 1]
    )

    result = make_result(cell, KEY, units, provenance)

    defined = np.delete(scores, [4, 9])
    oracle = stats.bootstrap((defined,), np.mean, method="percentile", rng=0).confidence_interval
    assert result.score.mean == pytest.approx(defined.mean(), abs=1e-6)
    assert result.score.standard_error == pytest.approx(stats.sem(defined), abs=1e-6)
    assert result.score.ci_low == pytest.approx(oracle.low, abs=0.002)
    assert result.score.ci_high == pytest.approx(oracle.high, abs=0.002)
    assert result.score.live_mean == pytest.approx(np.delete(scores, [1, 4, 9]).mean(), abs=1e-6)
    assert result.score.mean_length == 3
    assert result.score.undefined == {"constant": 1, "no terms": 1}
    assert (result.score.num_units, result.score.num_undefined) == (100, 2)
    assert result.dead == (1, 9)
    assert result.values[4] is None


def test_interval_depends_on_the_key_only(cell: Cell, provenance: Provenance) -> None:
    """The same scores have the same interval under one key and almost the same under another."""
    units = UnitScores(np.random.default_rng(1).normal(size=50), lengths=[1] * 50)

    first, again, other = (
        make_result(cell, key, units, provenance) for key in (KEY, KEY, OTHER_KEY)
    )

    assert first == again
    assert first.score.ci_low != other.score.ci_low
    assert first.score.ci_low == pytest.approx(other.score.ci_low, abs=0.05)


def test_half_precision_scores_are_welcome(cell: Cell, provenance: Provenance) -> None:
    """float16 scores are averaged in float64."""
    scores = np.full(3000, 0.1, dtype=np.float16)

    result = make_result(cell, KEY, UnitScores(scores, lengths=[1] * 3000), provenance)

    assert result.score.mean == round(float(np.float16(0.1)), 6)


@pytest.mark.parametrize(
    ("scores", "undefined", "numbers"),
    [
        ([nan, nan], {0: "dead", 1: "dead"}, (None, None, None, None, None)),
        ([0.25], {}, (0.25, None, None, None, 0.25)),
        ([], {}, (None, None, None, None, None)),
        ([0.5, 0.5], {}, (0.5, 0.0, 0.5, 0.5, 0.5)),
    ],
)
def test_summary_of_few_units(
    cell: Cell,
    provenance: Provenance,
    scores: list[float],
    undefined: dict[int, str],
    numbers: tuple[float | None, ...],
) -> None:
    """What cannot be computed is null, never 0."""
    units = UnitScores(
        scores, [int(unit not in undefined) for unit in range(len(scores))], undefined
    )

    score = make_result(cell, KEY, units, provenance).score

    assert (
        score.mean, score.standard_error, score.ci_low, score.ci_high, score.live_mean
    ) == numbers  # fmt: skip


@pytest.mark.parametrize(
    ("units", "told"),
    [
        (
            UnitScores([0.1, float("inf")], [1, 1]),
            "the scorer gave infinite scores for units [1]; it must give NaN with a reason where "
            "a score is undefined",
        ),
        (
            UnitScores([0.1, nan], [1, 1], {0: "dead"}),
            "units [0, 1] have a NaN score without a reason or a reason without a NaN score; the "
            "scorer must give both",
        ),
        (
            UnitScores([0.1, 0.2], [1]),
            "1 explanations for 2 scores; the explainer must give one a unit",
        ),
        (UnitScores([0.1], [1], dead=[3]), "dead units [3] are not among 1 units"),
    ],
)
def test_impossible_scores_are_refused(
    cell: Cell, provenance: Provenance, units: UnitScores, told: str
) -> None:
    """A scorer's mistake names the cell and the units."""
    with pytest.raises(ResultError) as caught:
        make_result(cell, KEY, units, provenance)

    assert message(caught) == f"tiny: cnn, layer1, le-label, siglip, correlation: {told}"


def test_results_come_back_equal(tmp_path: Path, tiny: list[Result]) -> None:
    """Writing and reading changes nothing, and results are sorted by cell."""
    for result in tiny:
        write_result(tmp_path, result)

    assert read_results(tmp_path) == sorted(tiny, key=lambda result: result.cell)


def test_file_of_a_result(tmp_path: Path, result_of: ResultMaker) -> None:
    """The file is small JSON with sorted keys and six decimals, where its cell says."""
    result = result_of([0.123456789, nan, 1 / 3], dead=[1], length=2)

    write_result(tmp_path, result)

    path = tmp_path / "tiny" / "cnn" / "layer1" / "le-label" / "siglip.correlation.json"
    text = path.read_text()
    assert text == encode(result)
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert ' "values": [0.123457, null, 0.333333]\n}\n' in text
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    "name", ["../../x", "a\0b", "x" * 300, "CON", "été", "a.b", "..", "*", "a/b\\c", "README"]
)
def test_any_name_stays_inside_the_folder_and_comes_back(
    tmp_path: Path, result_of: ResultMaker, name: str
) -> None:
    """Hostile names are harmless as file names and unchanged in the record."""
    names = dict.fromkeys(
        ("experiment", "model", "layer", "explainer", "simulator", "scorer"), name
    )
    result = result_of([0.1, 0.2], **names)
    folder = tmp_path / "results"

    write_result(folder, result)

    assert read_results(folder) == [result]
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    assert len(result_path(folder, result.cell).relative_to(folder).parts) == 5


def test_joined_names_do_not_collide(result_of: ResultMaker) -> None:
    """Simulator and scorer are joined by a dot, but dots within them are encoded."""
    first = result_of([0.1], simulator="a.b", scorer="c").cell
    second = result_of([0.1], simulator="a", scorer="b.c").cell
    failed = result_of([0.1], simulator="a", scorer="failed").cell

    paths = [result_path(Path("r"), first), result_path(Path("r"), second)]

    assert [path.name for path in paths] == ["a%2Eb.c.json", "a.b%2Ec.json"]
    assert result_path(Path("r"), failed).name == "a.failed.json"
    assert failure_path(Path("r"), failed).name == "a.failed.failed.json"


def test_unchanged_result_is_left_untouched(tmp_path: Path, result_of: ResultMaker) -> None:
    """The same result, also one recomputed with newer versions, does not touch the file."""
    result = result_of([0.1, 0.2])
    environment = replace(result.made_by.environment, torch="9.9", device="cuda")
    newer = replace(result, made_by=replace(result.made_by, environment=environment))
    path = result_path(tmp_path, result.cell)

    first = write_result(tmp_path, result)
    os.utime(path, ns=(1, 1))
    second = write_result(tmp_path, newer)

    assert (first, second) == (True, False)
    assert path.stat().st_mtime_ns == 1


def test_changed_result_is_rewritten_with_its_own_environment(
    tmp_path: Path, result_of: ResultMaker
) -> None:
    """If a number moved, the file tells the versions that moved it."""
    result = result_of([0.1, 0.2])
    environment = replace(result.made_by.environment, torch="9.9")
    newer = result_of([0.1, 0.3])
    newer = replace(newer, made_by=replace(newer.made_by, environment=environment))
    write_result(tmp_path, result)

    changed = write_result(tmp_path, newer)

    assert changed
    assert read_results(tmp_path) == [newer]


def test_malformed_result_is_replaced(tmp_path: Path, result_of: ResultMaker) -> None:
    """A truncated file from a crash does not stop the next run from writing."""
    result = result_of([0.1, 0.2])
    path = result_path(tmp_path, result.cell)
    path.parent.mkdir(parents=True)
    path.write_text("{")

    write_result(tmp_path, result)

    assert read_results(tmp_path) == [result]


def test_failure_is_removed_when_the_cell_succeeds(tmp_path: Path, result_of: ResultMaker) -> None:
    """A cell has a failure or a result, never both."""
    result = result_of([0.1, 0.2])
    failure = Failure(OTHER_KEY, result.cell, "explain", "out of memory")

    write_failure(tmp_path, failure)
    failed = read_failures(tmp_path), read_results(tmp_path)
    write_result(tmp_path, result)

    assert failed == ([failure], [])
    assert (read_failures(tmp_path), read_results(tmp_path)) == ([], [result])


def test_failure_removes_a_result_of_another_key(tmp_path: Path, result_of: ResultMaker) -> None:
    """A number that the experiment no longer asks for does not outlive a failed run."""
    result = result_of([0.1, 0.2])
    failure = Failure(OTHER_KEY, result.cell, "explain", "out of memory")
    write_result(tmp_path, result)

    changed = write_failure(tmp_path, failure)

    assert changed
    assert (read_failures(tmp_path), read_results(tmp_path)) == ([failure], [])


def test_failure_keeps_a_result_of_the_same_key(tmp_path: Path, result_of: ResultMaker) -> None:
    """A number that is still true is not lost because it could not be made again."""
    result = result_of([0.1, 0.2])
    write_result(tmp_path, result)

    changed = write_failure(tmp_path, Failure(result.key, result.cell, "explain", "no weights"))

    assert not changed
    assert (read_failures(tmp_path), read_results(tmp_path)) == ([], [result])


def test_missing_folder(tmp_path: Path) -> None:
    """Without a results folder the message says how to get one; failures are simply none."""
    with pytest.raises(ResultError) as caught:
        read_results(tmp_path / "none")

    assert message(caught) == (
        f"there is no results folder {tmp_path / 'none'}; run `le-bench run` first"
    )
    assert read_failures(tmp_path / "none") == []


def test_old_schema_is_migrated(tmp_path: Path, result_of: ResultMaker) -> None:
    """A file of an artificial version 0 is read through its migration."""
    result = result_of([0.1, 0.2])
    document = json.loads(encode(result))
    document["schema"] = 0
    document["scores"] = document.pop("values")
    path = result_path(tmp_path, result.cell)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(document))

    def rename_scores(old: dict[str, Any]) -> dict[str, Any]:
        return {
            **{k: v for k, v in old.items() if k != "scores"},
            "values": old["scores"],
            "schema": 1,
        }

    kind = RecordKind(RESULTS.what, Result, RESULTS.place, {0: rename_scores})

    assert read_results(tmp_path, kind) == [result]


def test_migration_that_forgets_the_schema_is_our_bug(result_of: ResultMaker) -> None:
    """A migration must say which schema it gives, lest it run for ever."""
    kind = RecordKind(RESULTS.what, Result, RESULTS.place, {0: lambda old: old})

    with pytest.raises(TypeError, match="the migration of schema 0 does not give 1"):
        decode('{"schema": 0}', kind)
