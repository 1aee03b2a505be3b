"""Laws of every component: it is a value, its options are its identity."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import torch

from le_bench.components import Component
from le_bench.errors import PluginError
from le_bench.fingerprint import digest, fingerprint
from le_bench.testing.laws.law import Law, law, raised
from le_bench.testing.laws.options import varied


def hashable(component: Component) -> str:
    """Two components with equal options are equal and have the same hash."""
    twin = replace(component)
    if twin != component:
        return "a second one with the same options is not equal to it; leave `eq` as it is"
    try:
        first, second = hash(component), hash(twin)
    except TypeError as error:
        return (
            f"{error}; declare such an option as `field(default_factory=dict, hash=False)`, or "
            "take a tuple"
        )
    return "" if first == second else "a second one with the same options has another hash"


def key_by_options(component: Component) -> str:
    """The cache key can be had, is the same for equal options, and other options change it.

    Each option of which another value is known is changed once.
    """
    try:
        own = key_of(component)
    except PluginError as error:
        return str(error)
    if key_of(replace(component)) != own:
        return "a second one with the same options has another key; `identity` must not change"
    for option, other in varied(component):
        if key_of(other) == own:
            return f"option '{option}' can be changed without a change of the key"
        if other == component:
            return f"with another '{option}' it still counts as equal; leave out `compare=False`"
    return ""


def files_by_content(component: Component) -> str:
    """An option that names a file or folder is a `Path`, so that the content enters the key."""
    for option in fields(component):
        value = getattr(component, option.name)
        if isinstance(value, str) and len(value) < 1000 and "\0" not in value and value:
            place = Path(value)
            if place.exists() and (place.is_file() or place.is_absolute()):
                return (
                    f"option '{option.name}' is the text '{value}', which names a file or folder; "
                    "declare it as `Path`, else its changes go unnoticed"
                )
    return ""


def picklable(component: Component) -> str:
    """Pickled and unpickled it is equal to itself, as on the way to another process."""
    try:
        copy = pickle.loads(pickle.dumps(component))  # noqa: S301  # our own bytes
    except Exception as error:  # pickle raises many kinds
        return f"pickle refuses it: {raised(error)}"
    return "" if copy == component else "unpickled it is not equal to itself"


def torch_left_as_it_was(act: Callable[[Component], object]) -> Law:
    """The law that `act`, the component's work, leaves the settings of torch alone."""

    def leaves_torch_alone(component: Component) -> str:
        """Number type, gradient mode and threads of torch are afterwards what they were."""
        before = _settings()
        act(component)
        after = _settings()
        for name, value in before.items():
            if after[name] != value:
                return f"it set torch's {name} from {value} to {after[name]}"
        return ""

    return law(leaves_torch_alone)


def key_of(component: Component) -> str:
    """The component's cache key, but for the code it comes from."""
    return digest(fingerprint(component, {}))


def _settings() -> dict[str, object]:
    return {
        "default number type": torch.get_default_dtype(),
        "default device": str(torch.get_default_device()),
        "gradient mode": torch.is_grad_enabled(),
        "number of threads": torch.get_num_threads(),
    }
