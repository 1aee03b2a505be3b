"""Records that are damaged, edited or misplaced are refused, all faults in one message."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from le_bench.boards.files import ResultError
from le_bench.boards.folders import encode
from le_bench.boards.records import Result
from le_bench.boards.results import (
    read_results,
    result_path,
    write_result,
)

RESTORE = "restore it from version control, or delete it and run `le-bench run` again"


ResultMaker = Callable[..., Result]


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda d: d.update(schema=2),
            "schema 2 is newer than this le_bench knows (1); upgrade le_bench",
        ),
        (
            lambda d: d.update(schema=0),
            "schema 0 is older than this le_bench can migrate; delete the file and run "
            "`le-bench run` again",
        ),
        (lambda d: d.update(schema=True), f"schema is True, not a whole number; {RESTORE}"),
        (lambda d: d.pop("schema"), f"schema is None, not a whole number; {RESTORE}"),
        (lambda d: d.update(extra=1), f"extra: unknown field; {RESTORE}"),
        (lambda d: d.pop("key"), f"key: field is missing; {RESTORE}"),
        (
            lambda d: d.update(key="A" * 64),
            f"key: string should match pattern '^[0-9a-f]{{64}}$'; {RESTORE}",
        ),
        (
            lambda d: d["cell"].update(layer=""),
            f"cell.layer: string should have at least 1 character; {RESTORE}",
        ),
        (
            lambda d: d["values"].__setitem__(1, "0.2"),
            f"values[1]: input should be a valid number; {RESTORE}",
        ),
        (
            lambda d: (d["score"].pop("mean"), d["values"].__setitem__(0, True)),
            f"score.mean: field is missing; values[0]: input should be a valid number; {RESTORE}",
        ),
        (lambda d: d["score"].update(mean=0.9), f"mean is 0.9 but the values have 0.15; {RESTORE}"),
        (
            lambda d: d["score"].update(mean=None),
            f"mean is None but the values have 0.15; {RESTORE}",
        ),
        (
            lambda d: d["score"].update(standard_error=9.0),
            f"standard_error is 9.0 but the values have 0.05; {RESTORE}",
        ),
        (
            lambda d: d["score"].update(standard_error=None),
            f"standard_error is None but the values have 0.05; {RESTORE}",
        ),
        (
            lambda d: d["score"].update(live_mean=0.2),
            f"live_mean is 0.2 but the values have 0.15; {RESTORE}",
        ),
        (
            lambda d: (d.update(dead=[0]), d["score"].update(num_dead=1)),
            f"live_mean is 0.15 but the values have 0.2; {RESTORE}",
        ),
        (
            lambda d: d.update(values=[0.15, None]),
            "num_undefined is 0 but 1 values are null; reasons are given for 0 of 1 undefined "
            f"units; {RESTORE}",
        ),
        (
            lambda d: d.update(values=[0.15]),
            f"num_units is 2 but there are 1 values; {RESTORE}",
        ),
        (
            lambda d: d.update(dead=[2]),
            "num_dead is 0 but dead lists 1 units; dead is not a rising list of unit numbers; "
            f"{RESTORE}",
        ),
        (
            lambda d: d.update(values=["x"] * 12),
            "; ".join(f"values[{n}]: input should be a valid number" for n in range(10))
            + f"; and 2 more; {RESTORE}",
        ),
        (
            lambda d: d["made_by"]["components"]["model"].update(version="1"),
            f"made_by.components.model.version: input should be a valid integer; {RESTORE}",
        ),
    ],
)  # fmt: skip
def test_malformed_records_are_refused(
    tmp_path: Path, result_of: ResultMaker, change: Change, told: str
) -> None:
    """Every fault of a record is told in one message that names the file."""
    result = result_of([0.1, 0.2])
    path = result_path(tmp_path, result.cell)
    document = json.loads(encode(result))
    change(document)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(document))

    with pytest.raises(ResultError) as caught:
        read_results(tmp_path)

    shown = "tiny/cnn/layer1/le-label/siglip.correlation.json"
    assert str(caught.value) == f"1 fault in the results under {tmp_path}:\n- {shown}: {told}"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", f"not valid JSON at line 1, column 1 (Expecting value); {RESTORE}"),
        (
            b'{"schema": 1,\n "val',
            f"not valid JSON at line 2, column 2 (Unterminated string starting at); {RESTORE}",
        ),
        (
            b'{"values": [NaN]}',
            f"not valid JSON (NaN is no number; undefined scores are null); {RESTORE}",
        ),
        (b"\xff\xfe", f"not UTF-8 text; {RESTORE}"),
        (b"\x80\x04pickle", f"not UTF-8 text; {RESTORE}"),
        (b"[1]", f"not a JSON object; {RESTORE}"),
        (b"1" * 5000, f"not valid JSON (a number has 5,000 digits); {RESTORE}"),
    ],
)  # fmt: skip
def test_malformed_files_are_refused(tmp_path: Path, content: bytes, told: str) -> None:
    """Whatever a file holds, the message says what is wrong with it."""
    (tmp_path / "a.json").write_bytes(content)

    with pytest.raises(ResultError) as caught:
        read_results(tmp_path)

    assert str(caught.value) == f"1 fault in the results under {tmp_path}:\n- a.json: {told}"


def test_truncated_file_is_refused(tmp_path: Path, result_of: ResultMaker) -> None:
    """A file cut anywhere is refused, never read as another result or answered with a traceback."""
    result = result_of([0.1, 0.2])
    text = encode(result).encode()
    path = result_path(tmp_path, result.cell)
    path.parent.mkdir(parents=True)

    for length in range(0, len(text) - 1, 7):
        path.write_bytes(text[:length])

        with pytest.raises(ResultError, match="1 fault in the results"):
            read_results(tmp_path)


def test_changed_digit_of_a_score_is_noticed(tmp_path: Path, result_of: ResultMaker) -> None:
    """A score edited by hand no longer agrees with the figures."""
    result = result_of([0.125, 0.25, 0.5])
    write_result(tmp_path, result)
    path = result_path(tmp_path, result.cell)
    path.write_text(path.read_text().replace("0.125, 0.25, 0.5", "0.125, 0.25, 0.9"))

    with pytest.raises(ResultError) as caught:
        read_results(tmp_path)

    assert str(caught.value) == (
        f"1 fault in the results under {tmp_path}:\n"
        "- tiny/cnn/layer1/le-label/siglip.correlation.json: mean is 0.291667 but the values have "
        "0.425; standard_error is 0.11024 but the values have 0.240226; live_mean is 0.291667 but "
        f"the values have 0.425; {RESTORE}"
    )


def test_all_faults_of_all_files_come_in_one_message(
    tmp_path: Path, result_of: ResultMaker
) -> None:
    """Unreadable, misplaced, mixed and doubled files are all told at once."""
    result = result_of([0.1, 0.2])
    write_result(tmp_path, result)
    good = result_path(tmp_path, result.cell)
    (tmp_path / "copy.json").write_bytes(good.read_bytes())
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "half.json").write_text("{")
    (tmp_path / ".0123.tmp").write_text("left behind by a kill")

    with pytest.raises(ResultError) as caught:
        read_results(tmp_path)

    assert str(caught.value) == (
        f"5 faults in the results under {tmp_path}:\n"
        "- copy.json: its content belongs in tiny/cnn/layer1/le-label/siglip.correlation.json; "
        "move it or delete it\n"
        f"- folder.json: cannot be read (Is a directory); {RESTORE}\n"
        f"- gone.json: cannot be read (No such file or directory); {RESTORE}\n"
        "- half.json: not valid JSON at line 1, column 2 (Expecting property name enclosed in "
        f"double quotes); {RESTORE}\n"
        "- tiny: cnn, layer1, le-label, siglip, correlation: this cell is there more than once"
    )
