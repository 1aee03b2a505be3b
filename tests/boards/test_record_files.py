"""Safe names, stable JSON text, strict parsing and atomic writing."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from le_bench.boards.files import ResultError, dump_json, file_name, load_json, write_text


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("le-label", "le-label"),
        ("encoder.layers.encoder_layer_11.mlp.1", "encoder.layers.encoder_layer_11.mlp.1"),
        ("resnet50@IMAGENET1K_V2", "resnet50@IMAGENET1K_V2"),
        ("clip:ViT-L-14-336/openai", "clip%3AViT-L-14-336%2Fopenai"),
        ("../../x", "%2E.%2F..%2Fx"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        (".hidden", "%2Ehidden"),
        ("ends.", "ends%2E"),
        ("a\0b", "a%00b"),
        ("CON", "%43ON"),
        ("nul.txt", "%6Eul.txt"),
        ("console", "console"),
        ("a b*c?", "a%20b%2Ac%3F"),
        ("été", "%C3%A9t%C3%A9"),
        ("а", "%D0%B0"),  # noqa: RUF001 -- a Cyrillic letter that looks like a Latin one
        ("100%", "100%25"),
        ("~", "%7E"),
    ],
)
def test_names_become_safe_file_names(name: str, safe: str) -> None:
    """Separators, dots at the ends, reserved and look-alike names are percent-encoded."""
    assert file_name(name) == safe
    assert unquote(safe) == name


def test_long_names_are_cut_and_stay_apart() -> None:
    """Names of 300 characters fit in a file name and differ if their ends do."""
    first, second = file_name("x" * 299 + "a"), file_name("x" * 299 + "b")

    assert len(first) == len(second) == 94
    assert first != second
    assert first.startswith("x" * 60 + "%~")


def test_dots_can_be_encoded_too() -> None:
    """A name without dots can be joined to another by one."""
    assert file_name("a.b", keep_dots=False) == "a%2Eb"


@given(st.text(min_size=1), st.text(min_size=1))
def test_different_names_have_different_files(first: str, second: str) -> None:
    """No two names share a file, and each is plain ASCII without separators."""
    names = [file_name(first), file_name(second)]

    assert (names[0] == names[1]) == (first == second)
    for name in names:
        assert name.isascii()
        assert name.isprintable()
        assert not set(name) & set('/\\:*?"<>| ')
        assert name not in {".", ".."}
        assert len(name) <= 100


def test_json_text_is_for_reading_in_a_diff() -> None:
    """Keys are sorted, short things share a line, numbers stand eight a line."""
    content = {
        "b": {"x": 1, "a": [["cat", 0.5]]},
        "a": [0.1] * 9 + [None],
        "long": ["word " * 12, "word " * 12],
        "é": True,
    }

    text = dump_json(content)

    assert text == (
        "{\n"
        ' "a": [\n'
        "  0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1,\n"
        "  0.1, null\n"
        " ],\n"
        ' "b": {"a": [["cat", 0.5]], "x": 1},\n'
        ' "long": [\n'
        '  "word word word word word word word word word word word word ",\n'
        '  "word word word word word word word word word word word word "\n'
        " ],\n"
        ' "é": true\n'
        "}\n"
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)  # fmt: skip


@given(values)
def test_json_text_holds_its_content(content: object) -> None:
    """Any content comes back from its text, also by the parser of the standard library."""
    text = dump_json(content)

    assert json.loads(text) == content
    assert load_json(text) == content


def test_json_text_refuses_nan() -> None:
    """NaN is no JSON and is never written."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        dump_json({"mean": float("nan")})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON at line 1, column 1 (Expecting value)"),
        ('{\n "a": [1, 2', "not valid JSON at line 2, column 12 (Expecting ',' delimiter)"),
        ('{"a": NaN}', "not valid JSON (NaN is no number; undefined scores are null)"),
        ('{"a": -Infinity}', "not valid JSON (-Infinity is no number; undefined scores are null)"),
        ('{"a": {"b": 1, "b": 2}}', "not valid JSON (key 'b' is there twice)"),
        ("1" * 101, "not valid JSON (a number has 101 digits)"),
        ("[" * 100_000, "not valid JSON (nested too deeply)"),
    ],
)
def test_malformed_json_is_refused(text: str, message: str) -> None:
    """The message says where and what, also where Python's parser would let it pass."""
    with pytest.raises(ValueError, match="not valid JSON") as caught:
        load_json(text)

    assert str(caught.value) == message


def test_equal_text_leaves_the_file_untouched(tmp_path: Path) -> None:
    """Writing what is there already changes neither the file nor its time."""
    path = tmp_path / "new" / "a.json"
    first = write_text(path, "x\n")
    os.utime(path, ns=(1, 1))

    second = write_text(path, "x\n")

    assert (first, second) == (True, False)
    assert path.stat().st_mtime_ns == 1
    assert write_text(path, "y\n")
    assert path.read_bytes() == b"y\n"


def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk is full the old content stays, nothing is left behind and the message says so."""
    path = tmp_path / "a.json"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(ResultError) as caught:
        write_text(path, "new")

    assert str(caught.value) == (
        f"cannot write {path}: No space left on device; make room or give a place that can be "
        "written, then run the same command again"
    )
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_interrupted_write_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt in the middle of a write removes the temporary file."""

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)

    with pytest.raises(KeyboardInterrupt):
        write_text(tmp_path / "a.json", "new")

    assert list(tmp_path.iterdir()) == []
