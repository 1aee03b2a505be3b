"""Options of components: those that laws give by themselves, and other values to try."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any, Literal

from le_bench.components import Component, Encoder
from le_bench.errors import ExperimentError
from le_bench.planning.options import Faults, Surroundings, make_component
from le_bench.testing.planted import PlantedEncoder
from le_bench.types import ConceptSet

OWN: Mapping[str, str] = {"simulator": "simulator"}  # which planted encoder a kind sees with


def planted_options(component: type[Component]) -> dict[str, Any]:
    """Options without a default that a planted world has: its encoder and its vocabulary."""
    hints = typing.get_type_hints(component)
    given: dict[str, Any] = {}
    for option in fields(component):
        if option.default is not MISSING or option.default_factory is not MISSING:
            continue
        if alternatives(hints[option.name]) == (Encoder,):
            given[option.name] = PlantedEncoder(OWN.get(component.kind, "explainer"))
        elif alternatives(hints[option.name]) == (ConceptSet,):
            given[option.name] = ConceptSet("dataset")
    return given


def make_for_laws(component: type[Component], table: Mapping[str, Any], folder: Path) -> Component:
    """A component with these options, as an experiment file gives them, and planted ones.

    Encoders are named "explainer" and "simulator", the only concept set "dataset". Raises
    ExperimentError with every fault.
    """
    names = {"encoder": "explainer", "concepts": "dataset"}
    planted = {
        name: value.label if isinstance(value, PlantedEncoder) else names["concepts"]
        for name, value in planted_options(component).items()
    }
    encoders = {label: PlantedEncoder(label) for label in ("explainer", "simulator")}
    surroundings = Surroundings(folder, encoders, {"dataset": ConceptSet("dataset")})
    faults = Faults()
    where = f"{component.kind} {component.name}"
    made = make_component(component, {**planted, **table}, where, surroundings, faults)
    if made is None or faults.messages:
        raise ExperimentError("; ".join(faults.messages))
    return made


def varied(component: Component) -> Iterator[tuple[str, Component]]:
    """The component with one option changed, for each option of which another value is known."""
    hints = typing.get_type_hints(type(component))
    for option in fields(component):
        value = getattr(component, option.name)
        for other in _others(value, hints.get(option.name)):
            try:
                changed = replace(component, **{option.name: other})
            except (ValueError, TypeError):  # refused by the component, or no option of init
                continue
            yield option.name, changed
            break


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The members of a union type but None, or the type itself."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return tuple(part for part in typing.get_args(hint) if part is not type(None))
    return (hint,)


def _others(value: Any, hint: Any) -> Iterator[Any]:
    choices = [
        c for p in alternatives(hint) if typing.get_origin(p) is Literal for c in typing.get_args(p)
    ]
    if choices:
        yield from (choice for choice in choices if choice != value)
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1)
    elif isinstance(value, float):
        yield from (value / 2, value * 2, value + 1)
    elif isinstance(value, str):
        yield value + "x"
    elif isinstance(value, PlantedEncoder):
        yield PlantedEncoder(f"other {value.label}")
    elif isinstance(value, ConceptSet):
        yield ConceptSet("other", ("one", "two"))
    elif value is None:
        yield from (
            v for kind, v in ((int, 3), (float, 0.5), (str, "x")) if kind in alternatives(hint)
        )
