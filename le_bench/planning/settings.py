"""Changing an experiment's raw table from the command line, before it is checked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from le_bench.errors import ExperimentError, unknown_name
from le_bench.networks.layers import wildcards


def apply_settings(table: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """A copy of the table with each `key=value` applied.

    A key is a dotted path; rows of [[...]] tables go by their id (or `use`) or number from 1.
    A value is TOML, or else plain text. Raises ExperimentError.

    >>> apply_settings({"dataset": {"num_images": 5}}, ["dataset.num_images=9", "seed=1"])
    {'dataset': {'num_images': 9}, 'seed': 1}
    """
    changed = deepcopy(dict(table))
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not path:
            raise ExperimentError(f"--set {setting}: write KEY=VALUE, such as seed=3")
        *parents, last = path.split(".")
        place: Any = changed
        for part in parents:
            place = _descend(place, part, setting)
        if isinstance(place, list):
            raise ExperimentError(
                f"--set {setting}: '{last}' is a whole row; name one option of it"
            )
        if not isinstance(place, dict):
            raise ExperimentError(f"--set {setting}: '{parents[-1]}' is a value, not a table")
        place[last] = _value(text)
    return changed


def select_rows(table: Mapping[str, Any], key: str, names: Sequence[str]) -> dict[str, Any]:
    """A copy of the table with only the named rows of [[key]]; all of them if none is named.

    Pairs to compare and published figures go with the rows they name.
    """
    rows = table.get(key, [])
    if not names or not isinstance(rows, list):
        return dict(table)
    known = {row_name(row): row for row in rows}
    for name in names:
        if name not in known:
            message = unknown_name(key.removesuffix("s"), name, list(known))
            raise ExperimentError(f"--{key.removesuffix('s')} {name}: {message}")
    kept = {**table, key: [row for row in rows if row_name(row) in names]}
    return without_others(kept, key, names)


def without_others(table: Mapping[str, Any], key: str, names: Sequence[str]) -> dict[str, Any]:
    """A copy of the table without pairs to compare and published figures of rows not named."""
    kept = dict(table)
    compare, published = table.get("compare"), table.get("published")
    if key == "explainers" and isinstance(compare, list):
        kept["compare"] = [
            pair for pair in compare if isinstance(pair, list) and all(n in names for n in pair)
        ]
    if isinstance(published, list):
        kept["published"] = _of_these(published, key.removesuffix("s"), names)
    return kept


def select_layers(table: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """A copy of the table with only these layers; models without any of them are left out.

    A listed layer with wildcards is narrowed to the paths that it matches. Nothing is selected from
    models or layers that are no lists, which are refused when the table is read.
    """
    rows = table.get("models")
    if not paths or not isinstance(rows, list):
        return dict(table)
    if not all(isinstance(row, Mapping) and isinstance(row.get("layers"), list) for row in rows):
        return dict(table)
    known = [_layer_name(layer) for row in rows for layer in row["layers"]]
    for path in paths:
        if not any(_covers(name, path) for name in known):
            raise ExperimentError(f"--layer {path}: {unknown_name('layer', path, known)}")
    kept = []
    for row in rows:
        layers = [
            layer if _layer_name(layer) == path else _narrowed(layer, path)
            for layer in row["layers"]
            for path in paths
            if _covers(_layer_name(layer), path)
        ]
        if layers:
            kept.append({**row, "layers": layers})
    return without_other_layers({**table, "models": kept}, paths)


def without_other_layers(table: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """A copy of the table without published figures of layers that none of these paths covers."""
    published = table.get("published")
    if not isinstance(published, list):
        return dict(table)
    kept = [
        each
        for each in published
        if isinstance(each, Mapping)
        and any(_covers(path, _path_of(str(each.get("layer")))) for path in paths)
    ]
    return {**table, "published": kept}


def layer_paths(rows: Sequence[Any]) -> list[str]:
    """The paths of all layers that rows of [[models]] list."""
    lists = [row.get("layers") for row in rows if isinstance(row, Mapping)]
    return [_layer_name(layer) for listed in lists if isinstance(listed, list) for layer in listed]


def _path_of(layer: str) -> str:
    """The path in a layer's name, which pooling and directions may follow."""
    return re.sub(r":[a-z]+$", "", layer.partition(" via ")[0])


def _of_these(published: Sequence[Any], key: str, names: Sequence[str]) -> list[Any]:
    """Published figures whose `key` is among these names."""
    return [each for each in published if isinstance(each, Mapping) and each.get(key) in names]


def _descend(place: Any, part: str, setting: str) -> Any:
    if isinstance(place, list):
        names = [row_name(row) for row in place]
        if part in names:
            return place[names.index(part)]
        if part.isdecimal() and 1 <= int(part) <= len(place):
            return place[int(part) - 1]
        raise ExperimentError(f"--set {setting}: {unknown_name('row', part, names)}")
    if not isinstance(place, dict):
        raise ExperimentError(f"--set {setting}: '{part}' is inside a value that is not a table")
    return place.setdefault(part, {})


def row_name(row: Any) -> str:
    """The id of a row of a [[...]] table, or else what it uses; empty for what is no row."""
    return str(row.get("id", row.get("use", ""))) if isinstance(row, Mapping) else ""


def _layer_name(layer: Any) -> str:
    return str(layer.get("path", "")) if isinstance(layer, Mapping) else str(layer)


def _covers(listed: str, path: str) -> bool:
    """Whether a listed layer is this one or has wildcards that match it."""
    return listed == path or ("*" in listed and re.fullmatch(wildcards(listed), path) is not None)


def _narrowed(layer: Any, path: str) -> Any:
    return {**layer, "path": path} if isinstance(layer, Mapping) else path


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # tomllib's own errors are of the first kind
        return text
