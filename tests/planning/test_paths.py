"""Paths as experiments write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from le_bench.errors import ExperimentError
from le_bench.planning.paths import resolve_path


def test_paths_are_relative_to_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole paths stay, `~` is the home, and nothing has to be there."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    file = tmp_path / "file"
    file.touch()

    found = [resolve_path(given, tmp_path) for given in ("a/b", "/c", "~/d", "file/e")]

    assert found == [tmp_path / "a/b", Path("/c"), tmp_path / "home/d", file / "e"]


def test_steps_back_are_taken(tmp_path: Path) -> None:
    """Paths are short; behind a symbolic link a step back leads elsewhere, so it stays."""
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "deep")

    found = [resolve_path(given, tmp_path) for given in ("real/../x", "no/../../x", "link/../x")]

    assert found == [tmp_path / "x", tmp_path.parent / "x", tmp_path / "link" / ".." / "x"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "~nosuchuser/x",
            "'~nosuchuser/x' leads nowhere (its ~ stands for no home that is known here); check "
            "the path",
        ),
        (
            "a\0b",
            "'a\\x00b' leads nowhere (it holds a character that no path may have); check the path",
        ),
        (
            "d" * 4000,
            "'dddddddddddd...ddddddddddddd' leads nowhere (File name too long); check the path",
        ),
    ],
)
def test_what_is_no_path_is_refused(given: str, message: str, tmp_path: Path) -> None:
    """With the reason, and long texts shortened."""
    with pytest.raises(ExperimentError) as caught:
        resolve_path(given, tmp_path)

    assert str(caught.value) == message
