"""Experiments: one TOML file, read whole or refused whole with every fault listed."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

from le_bench.components import DatasetSource, Encoder
from le_bench.errors import BenchError, ExperimentError, MissingFileError, PluginError, unknown_name
from le_bench.planning.concept_sets import ConceptSets
from le_bench.planning.experiment import Experiment, ModelRow, Row
from le_bench.planning.layer_rows import ROW_NAME, LayerReader
from le_bench.planning.options import (
    Faults,
    Surroundings,
    make_component,
    read_options,
    require_hashable,
    short_options,
)
from le_bench.planning.plan import encoders_of
from le_bench.planning.published import CELL_KEYS, Place, read_published
from le_bench.plugins import Plugins
from le_bench.types import ImpactOptions, Precision

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
KEYS = (
    "name",
    "title",
    "description",
    "seed",
    "units",
    "precision",
    "embeddings",
    "allow_same_encoder",
    "dataset",
    "encoders",
    "concepts",
    "models",
    "explainers",
    "simulators",
    "scorers",
    "published",
    "compare",
    "impact",
)


def build_experiment(table: Mapping[str, Any], source: Path, plugins: Plugins) -> Experiment:
    """The experiment of a table read from `source`.

    Raises ExperimentError with all faults at once, or MissingFileError if files that are not there
    are the only ones; nothing is loaded or written.
    """
    experiment, missing = read_experiment(table, source, plugins)
    if missing:
        raise MissingFileError(_listed(source, missing, "missing file"))
    return experiment


def read_experiment(
    table: Mapping[str, Any], source: Path, plugins: Plugins
) -> tuple[Experiment, list[str]]:
    """The experiment of a table, and a message for each of its files that is not there.

    With files missing it can be planned, not run. Raises ExperimentError if it has other faults.
    """
    reader = _Reader(table, source, plugins)
    experiment = reader.read()
    if experiment is None:
        raise ExperimentError(_listed(source, reader.faults.messages, "fault"))
    return experiment, reader.faults.missing


def _listed(source: Path, messages: Sequence[str], noun: str) -> str:
    count = f"{len(messages)} {noun}" + ("" if len(messages) == 1 else "s")
    return "\n".join(
        [f"{source}: {count}, nothing was run:", *(f"  - {message}" for message in messages)]
    )


class _Reader:
    """Reads one table; every method notes faults and goes on."""

    def __init__(self, table: Mapping[str, Any], source: Path, plugins: Plugins) -> None:
        self.table = table
        self.source = source
        self.plugins = plugins
        self.faults = Faults()
        self.surroundings = Surroundings(source.parent, {}, {})

    def read(self) -> Experiment | None:
        for key in self.table:
            if key not in KEYS:
                self.faults.add("top level", unknown_name("key", key, KEYS))
        concepts = ConceptSets(self._tables("concepts"), self.source.parent, self.faults)
        self.surroundings = Surroundings(self.source.parent, self._encoders(), concepts.read())
        name = self._plain("name", str, None)
        if isinstance(name, str) and not NAME.fullmatch(name):
            self.faults.add(
                "name",
                f"use 1 to 80 lower-case letters, digits, '.', '_' and '-', not {name!r}",
            )
        values = {
            "name": name,
            "title": self._plain("title", str, name if isinstance(name, str) else ""),
            "description": self._plain("description", str, ""),
            "seed": self._plain("seed", int, 0),
            "units": self._plain("units", int, 1) if "units" in self.table else None,
            "allow_same_encoder": self._plain("allow_same_encoder", bool, False),
            "impact": self._impact(),
            "precision": self._one_of("precision", get_args(Precision)),
            "embeddings": self._one_of("embeddings", ("fp32", "fp16")),
            "dataset": self._dataset(),
            "models": tuple(self._rows("models", self._model_row)),
            "explainers": tuple(self._rows("explainers", self._row("explainer"))),
            "simulators": tuple(self._rows("simulators", self._row("simulator"))),
            "scorers": tuple(self._rows("scorers", self._row("scorer"))),
        }
        if isinstance(values["units"], int) and values["units"] < 1:
            self.faults.add("units", f"must be at least 1, not {values['units']}")
        values["encoders"] = self._all_encoders([*values["explainers"], *values["simulators"]])
        values["published"] = self._published(values)
        values["compare"] = self._compare([row.id for row in values["explainers"]])
        if self.faults.num_mistakes:
            return None
        return Experiment(**cast(Any, values))

    def _plain(self, key: str, kind: type, default: Any) -> Any:
        value = self.table.get(key, default)
        if value is None:
            self.faults.add("top level", f"key '{key}' is missing")
        elif not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            words = {str: "text", int: "a whole number", bool: "true or false"}
            self.faults.add(key, f"must be {words[kind]}, not {value!r}")
        elif isinstance(value, int) and abs(value) >= 2**63:
            self.faults.add(key, f"must lie between -2**63 and 2**63, not {reprlib.repr(value)}")
        return value

    def _one_of(self, key: str, known: Sequence[str]) -> Any:
        value = self._plain(key, str, known[0])
        if isinstance(value, str) and value not in known:
            self.faults.add(key, unknown_name("number type", value, known))
        return value

    def _component(self, kind: str, table: Any, where: str, drop: Sequence[str]) -> Any:
        if not isinstance(table, Mapping):
            self.faults.add(where, f"must be a table with the key 'use', not {table!r}")
            return None
        use = table.get("use")
        if not isinstance(use, str):
            known = ", ".join(o.component.name for o in self.plugins.offers(kind))
            self.faults.add(where, f"key 'use' must name the {kind}; there are: {known}")
            return None
        try:
            component = self.plugins.offer(kind, use.partition(":")[0]).component
            short = short_options(component, use)
        except BenchError as error:
            self.faults.add(where, str(error))
            return None
        options = {key: value for key, value in table.items() if key not in ("use", *drop)}
        for key in short:
            if key in options:
                self.faults.add(where, f"option '{key}' is already given by '{use}'")
        made = make_component(component, options | short, where, self.surroundings, self.faults)
        if made is not None:
            try:
                require_hashable(made)
            except PluginError as error:
                self.faults.add(where, str(error))
                return None
        return made

    def _dataset(self) -> Row[DatasetSource] | None:
        if "dataset" not in self.table:
            self.faults.add("top level", "table [dataset] is missing")
            return None
        table = self.table["dataset"]
        component = self._component("dataset", table, "dataset", ("id",))
        return component and Row(self._id(table, "dataset"), component)

    def _encoders(self) -> dict[str, Encoder]:
        encoders: dict[str, Encoder] = {}
        for name, table in self._tables("encoders").items():
            encoder = self._component("encoder", table, f"encoders.{name}", ())
            if encoder is not None:
                encoders[name] = encoder
        return encoders

    def _all_encoders(self, rows: Sequence[Row[Any]]) -> dict[str, Encoder]:
        """Those of the experiment, and those that components have by default under their names."""
        encoders = dict(self.surroundings.encoders)
        for row in rows:
            for encoder in encoders_of(row.component):
                if encoder not in encoders.values():
                    if encoder.name in encoders:
                        self.faults.add(
                            row.id,
                            f"there is another encoder '{encoder.name}' than its default one; "
                            "name the encoder that it is to use",
                        )
                    encoders[encoder.name] = encoder
        return encoders

    def _tables(self, key: str) -> Mapping[str, Any]:
        tables = self.table.get(key, {})
        if isinstance(tables, Mapping):
            return tables
        self.faults.add(key, f"must be tables such as [{key}.NAME], not {tables!r}")
        return {}

    def _rows(self, key: str, read: Callable[[Any, str], Any]) -> list[Any]:
        tables = self.table.get(key)
        if not isinstance(tables, list) or not tables:
            self.faults.add("top level", f"needs at least one [[{key}]] table")
            return []
        rows = []
        seen: set[str] = set()
        for number, table in enumerate(tables, start=1):
            label = table.get("id", table.get("use", "?")) if isinstance(table, Mapping) else "?"
            where = f"{key} {number} ({label})"
            row = read(table, where)
            if row is not None:
                if row.id in seen:
                    self.faults.add(where, f"the id '{row.id}' is used twice; give another id")
                seen.add(row.id)
                rows.append(row)
        return rows

    def _row(self, kind: str) -> Callable[[Any, str], Row[Any] | None]:
        def read(table: Any, where: str) -> Row[Any] | None:
            component = self._component(kind, table, where, ("id",))
            return component and Row(self._id(table, where), component)

        return read

    def _model_row(self, table: Any, where: str) -> ModelRow | None:
        component = self._component("model", table, where, ("id", "layers"))
        given = table.get("layers") if isinstance(table, Mapping) else None
        layers = LayerReader(component, self.source.parent, where, self.faults).read(given)
        return component and ModelRow(self._id(table, where), component, layers)

    def _id(self, table: Mapping[str, Any], where: str) -> str:
        name = table.get("id", table.get("use"))
        if not isinstance(name, str) or not ROW_NAME.fullmatch(name):
            self.faults.add(where, f"id must be 1 to 80 characters without / \\ |, not {name!r}")
            return ""
        return name

    def _impact(self) -> ImpactOptions | None:
        if "impact" not in self.table:
            return None
        return read_options(ImpactOptions, self.table["impact"], "impact", self.faults)

    def _compare(self, known: Sequence[str]) -> tuple[tuple[str, str], ...]:
        pairs = self.table.get("compare", [])
        if not isinstance(pairs, list) or not all(
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(n, str) for n in pair)
            for pair in pairs
        ):
            self.faults.add("compare", f"must be a list of pairs of explainer ids, not {pairs!r}")
            return ()
        for name in dict.fromkeys(name for pair in pairs for name in pair):
            if name not in known:
                self.faults.add("compare", unknown_name("explainer", str(name), known))
        return tuple((first, second) for first, second in pairs)

    def _published(self, values: Mapping[str, Any]) -> dict[Place, dict[str, float]]:
        known = {
            "model": [row.id for row in values["models"]],
            "layer": [str(layer) for row in values["models"] for layer in row.layers],
            **{k: [row.id for row in values[f"{k}s"]] for k in CELL_KEYS[2:]},
        }
        return read_published(self.table.get("published", []), known, self.faults)
