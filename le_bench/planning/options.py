"""From a TOML table to a component: every option checked, every fault collected."""

from __future__ import annotations

import json
import re
import shlex
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from le_bench.components import Component, Encoder
from le_bench.errors import ExperimentError, PluginError, unknown_name
from le_bench.planning.paths import resolve_path
from le_bench.plugins import Plugins
from le_bench.types import ConceptSet

T = TypeVar("T")
ROW = re.compile(r"(?P<key>[a-z]+) (?P<number>[0-9]+) \((?P<id>.*)\)")


@dataclass(slots=True)
class Faults:
    """The faults found so far in one experiment, in the order of the file."""

    messages: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def add(self, where: str, message: str) -> None:
        """Note one fault at a place such as `explainers 2 (le-label)`."""
        self.messages.append(f"{where}: {message}")

    def add_missing(self, where: str, message: str) -> None:
        """Note a file or folder that is not on this machine, which hinders running alone."""
        self.add(where, message)
        self.missing.append(self.messages[-1])

    @property
    def num_mistakes(self) -> int:
        """How many of the faults are no missing files."""
        return len(self.messages) - len(self.missing)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What options may refer to: named encoders and concept sets, and the file's folder."""

    folder: Path
    encoders: Mapping[str, Encoder]
    concept_sets: Mapping[str, ConceptSet]


def make_component(
    component: type[Component],
    table: Mapping[str, Any],
    where: str,
    surroundings: Surroundings,
    faults: Faults,
) -> Component | None:
    """Make a component from its options; None (and faults noted) if the table is no good.

    A file that is missing is noted too, but the component is made.
    """
    before = faults.num_mistakes
    hints = typing.get_type_hints(component)
    known = {f.name: f for f in fields(component) if f.init}
    for key in table:
        if key not in known:
            faults.add(where, unknown_name("option", key, list(known)))
    values: dict[str, Any] = {}
    for name, option in known.items():
        if name in table:
            place = f"{where}, {name}"
            advice = component.how_to_get.get(name, "")
            if Path in _alternatives(hints[name]) and isinstance(table[name], str):
                ways = (advice, another_path(where, name))
                values[name] = _path(table[name], place, ways, surroundings, faults)
            else:
                value = _value(table[name], hints[name], place, surroundings, faults)
                ways = (advice, f"name another in `{name}` (relative to the experiment file)")
                values[name] = _resolved(value, place, ways, surroundings, faults)
        elif option.default is MISSING and option.default_factory is MISSING:
            faults.add(where, f"option '{name}' is missing; {component.name} needs it")
    if faults.num_mistakes > before:
        return None
    try:
        return component(**values)
    except ValueError as error:
        faults.add(where, str(error))
        return None


def require_hashable(component: Component) -> None:
    """Refuse a component of which an option has no hash. Raises PluginError."""
    for option in fields(component):
        value = getattr(component, option.name)
        if isinstance(value, Component):
            require_hashable(value)
        elif option.compare if option.hash is None else option.hash:
            try:
                hash(value)
            except TypeError:
                raise PluginError(
                    f"{component.kind} '{component.name}' cannot be hashed, for its option "
                    f"'{option.name}' is a {type(value).__name__}; let it be a tuple, or declare "
                    "it with field(hash=False)"
                ) from None


def _path(
    given: str, where: str, ways: Iterable[str], surroundings: Surroundings, faults: Faults
) -> Path | None:
    """A path of an experiment; `ways` are what one may do if nothing is there."""
    try:
        path = resolve_path(given, surroundings.folder)
    except ExperimentError as error:
        faults.add(where, str(error))
        return None
    if not path.exists():
        faults.add_missing(where, f"{path} does not exist; {', or '.join(filter(None, ways))}")
    return path


def _resolved(
    value: Any, where: str, ways: Iterable[str], surroundings: Surroundings, faults: Faults
) -> Any:
    """A value with the paths that its tuples hold resolved, as an option that is a path is."""
    if isinstance(value, Path):
        return _path(str(value), where, ways, surroundings, faults)
    if isinstance(value, tuple):
        return tuple(_resolved(part, where, ways, surroundings, faults) for part in value)
    return value


def another_path(where: str, option: str) -> str:
    """How to name another file for an option at a place such as `models 2 (net)`.

    >>> another_path("dataset", "folder")
    'give another path with --set dataset.folder=PATH (relative to the experiment file)'
    """
    row = ROW.fullmatch(where)
    if row is not None:  # a row goes by its id, or by its number where the id would be cut at a dot
        name = row["number"] if set(".=") & set(row["id"]) else row["id"]
        where = f"{row['key']}.{name}"
    setting = shlex.quote(f"{where}.{option}=PATH")
    return f"give another path with --set {setting} (relative to the experiment file)"


def short_options(component: type[Component], use: str) -> dict[str, str]:
    """The options in a short form such as `torchvision:resnet50@IMAGENET1K_V1`; none in a name.

    Raises ExperimentError if the component has no short form or has another one.
    """
    name, colon, text = use.partition(":")
    if not colon:
        return {}
    form = "@".join(option.upper() for option in component.short_form)
    if not form:
        raise ExperimentError(
            f"{component.kind} '{name}' has no short form; write use = \"{name}\" and its options"
        )
    values = text.split("@")
    if not all(values) or len(values) > len(component.short_form):
        raise ExperimentError(f"'{use}' is no short form of '{name}'; write {name}:{form}")
    return dict(zip(component.short_form, values, strict=False))


def component_of_short_form(use: str, kind: str, plugins: Plugins) -> Component:
    """The component of a short form alone, without an experiment. Raises a BenchError."""
    component = plugins.offer(kind, use.partition(":")[0]).component
    faults = Faults()
    nothing = Surroundings(Path(), {}, {})
    made = make_component(component, short_options(component, use), use, nothing, faults)
    if made is None:
        raise ExperimentError("; ".join(faults.messages))
    return made


def read_options(kind: type[T], table: Any, where: str, faults: Faults) -> T | None:
    """A plain dataclass of options from its table; None (and faults noted) if it is no good."""
    if not isinstance(table, Mapping):
        faults.add(where, f"must be a table such as [{where}], not {table!r}")
        return None
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]  # it is a dataclass
    unknown = [key for key in table if key not in known]
    for key in unknown:
        faults.add(where, unknown_name("option", key, known))
    if unknown:
        return None
    try:
        made = TypeAdapter(kind).validate_json(json.dumps(dict(table), default=str))
    except ValidationError as error:
        detail = error.errors()[0]
        place = ".".join(str(part) for part in detail["loc"])
        message = detail["msg"].removeprefix("Value error, ")
        faults.add(where, f"{place}: {message[:1].lower()}{message[1:]}" if place else message)
        return None
    odd = [f.name for f in fields(made) if any(_not_finite(getattr(made, f.name)))]  # type: ignore[arg-type]  # it is a dataclass
    for name in odd:
        faults.add(where, f"{name}: input should be a finite number, not {table[name]!r}")
    return None if odd else made


def _value(given: Any, hint: Any, where: str, surroundings: Surroundings, faults: Faults) -> Any:
    parts = _alternatives(hint)
    if any(isinstance(part, type) and issubclass(part, Encoder) for part in parts):
        return _named(given, "encoder", surroundings.encoders, where, faults)
    if ConceptSet in parts:
        return _named(given, "concept set", surroundings.concept_sets, where, faults)
    try:
        value = TypeAdapter(hint).validate_json(json.dumps(given, default=str), strict=True)
    except ValidationError as error:
        detail = error.errors()[0]
        place = "".join(f"[{part}]" for part in detail["loc"])
        faults.add(where + place, f"{detail['msg'].lower()}, not {given!r}")
        return None
    if any(_not_finite(value)):
        faults.add(where, f"input should be a finite number, not {given!r}")
        return None
    return value


def _not_finite(value: Any) -> Iterator[bool]:
    """Whether each number in an option is NaN or infinite, which no record could hold."""
    if isinstance(value, float):
        yield not isfinite(value)
    elif is_dataclass(value):
        for part in fields(value):
            yield from _not_finite(getattr(value, part.name))
    elif isinstance(value, Mapping | tuple | list | set | frozenset):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _not_finite(part)


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """The members of a union type, or the type itself."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return typing.get_args(hint)
    return (hint,)


def _named(given: Any, what: str, known: Mapping[str, Any], where: str, faults: Faults) -> Any:
    if isinstance(given, str) and given in known:
        return known[given]
    if isinstance(given, str):
        faults.add(where, unknown_name(what, given, list(known)))
    else:
        faults.add(where, f"give the name of one {what} of this experiment, not {given!r}")
    return None
