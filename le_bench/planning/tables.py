"""The raw tables of experiment files."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from le_bench.errors import ExperimentError
from le_bench.planning.settings import layer_paths, row_name, without_other_layers, without_others

ROWS = ("models", "explainers", "simulators", "scorers")


def read_table(path: Path) -> dict[str, Any]:
    """The raw TOML content of an experiment file.

    With `extends = "OTHER.toml"`, a file of the same folder, whatever the file itself does not
    give is taken from the other one, key by key of the top level. Published figures and pairs to
    compare of rows that are not among the file's own are left out. Raises ExperimentError.
    """
    return _read_table(path, ())


def _read_table(path: Path, below: tuple[str, ...]) -> dict[str, Any]:
    table = _read_toml(path)
    base = table.pop("extends", None)
    if base is None:
        return table
    if not isinstance(base, str) or not re.fullmatch(r"[^/\x00]+\.toml", base):
        raise ExperimentError(
            f"{path}: extends must name a .toml file of this folder, not {base!r}"
        )
    if base in (*below, path.name):
        raise ExperimentError(f"{path}: extends itself, by way of {base}")
    other = _read_table(path.with_name(base), (*below, path.name))
    for key in ROWS:
        rows = table.get(key)
        if isinstance(rows, list):
            other = without_others(other, key, [row_name(row) for row in rows])
            if key == "models":
                other = without_other_layers(other, layer_paths(rows))
    return other | table


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ExperimentError(f"{path}: no such experiment file; check the path") from None
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ExperimentError(f"{path}: is not UTF-8 text ({error.reason})") from error
    except (ValueError, RecursionError) as error:  # tomllib's own errors are of the first kind
        raise ExperimentError(f"{path}: is not valid TOML: {error}") from error
