"""Explanations and costs are kept beside results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from le_bench.boards.companions import (
    add_costs,
    read_costs,
    read_explanations,
    write_explanations,
)
from le_bench.boards.files import ResultError
from le_bench.boards.records import Cost, Costs, LayerExplanations

RESTORE = "restore it from version control, or delete it and run `le-bench run` again"


def test_explanations_come_back_equal(
    tmp_path: Path, explanations: list[LayerExplanations]
) -> None:
    """Explanations are written where their names say, one unit a line, and read back."""
    layer = explanations[0]

    changed = write_explanations(tmp_path, layer)

    text = (tmp_path / "tiny" / "cnn" / "layer1" / "le-siglip.json").read_text()
    assert changed
    assert read_explanations(tmp_path) == explanations
    assert not write_explanations(tmp_path, layer)
    assert (
        '  {\n   "bias": -0.12,\n   "figures": {"val correlation": 0.5},\n   "reason": "",\n'
    ) in text


def test_malformed_explanations_are_refused(
    tmp_path: Path, explanations: list[LayerExplanations]
) -> None:
    """A fault is told with its place."""
    write_explanations(tmp_path, explanations[0])
    path = tmp_path / "tiny" / "cnn" / "layer1" / "le-siglip.json"
    path.write_text(path.read_text().replace('["cat", 0.83]', '["cat", "0.83"]'))

    with pytest.raises(ResultError) as caught:
        read_explanations(tmp_path)

    assert str(caught.value) == (
        f"1 fault in the explanations under {tmp_path}:\n- tiny/cnn/layer1/le-siglip.json: "
        f"units[0].terms[0][1]: input should be a valid number; {RESTORE}"
    )


def test_costs_are_added_up(tmp_path: Path) -> None:
    """A cell measured again replaces its figure; others keep theirs."""
    first = Cost("cnn", "layer1", "le-label", 1.23456, "cpu", "2 cores")
    second = Cost("cnn", "layer1", "random", 0.5, "cpu", "2 cores")
    again = replace(first, seconds=0.75, device="cuda")

    add_costs(tmp_path, "tiny", [second, first])
    before = read_costs(tmp_path)
    add_costs(tmp_path, "tiny", [again])

    assert before == [Costs("tiny", (replace(first, seconds=1.235), second))]
    assert read_costs(tmp_path) == [Costs("tiny", (again, second))]
    assert not add_costs(tmp_path, "tiny", [])


def test_malformed_costs_are_refused(tmp_path: Path) -> None:
    """Costs are measured, so a malformed file is never overwritten unasked."""
    (tmp_path / "tiny.json").write_text('{"schema": 1}')

    with pytest.raises(ResultError) as caught:
        add_costs(tmp_path, "tiny", [])

    told = (
        f"1 fault in the costs under {tmp_path}:\n- tiny.json: experiment: field is missing; "
        f"cells: field is missing; {RESTORE}"
    )
    assert str(caught.value) == told
    with pytest.raises(ResultError, match="1 fault in the costs"):
        read_costs(tmp_path)


def test_nothing_is_read_from_missing_folders(tmp_path: Path) -> None:
    """Companions are optional."""
    assert read_explanations(tmp_path / "none") == []
    assert read_costs(tmp_path / "none") == []
