"""Whether the probe dataset of an experiment is as it must be, before anything is run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from le_bench.components import Component, DatasetSource
from le_bench.errors import BenchError, MissingFileError


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a probe dataset told: its images if they are known, and what is wrong."""

    num_images: int | None
    missing: str = ""
    broken: str = ""


def look_at(source: DatasetSource) -> Look:
    """Open a dataset as a run would; what has no files and says its number is not even drawn.

    If a part of it is known to be missing, only the expected number is told.
    """
    expected = source.expected_images()
    paths = list(_paths(source))
    if source.missing() or not all(path.exists() for path in paths):
        return Look(expected)
    if expected is not None and not paths:
        return Look(expected)
    try:
        return Look(len(source.load().images))
    except MissingFileError as error:
        return Look(expected, missing=str(error))
    except BenchError as error:
        return Look(expected, broken=str(error))
    except Exception as error:  # a fault of one plugin hinders no other experiment
        return Look(
            expected,
            broken=f"dataset '{source.name}' cannot be loaded: {type(error).__name__}: {error}; "
            "this is a fault of its plugin",
        )


def _paths(component: Component) -> Iterator[Path]:
    for option in fields(component):
        value = getattr(component, option.name)
        if isinstance(value, Path):
            yield value
