"""Bringing what a run needs onto this machine, before anything is planned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from le_bench.components import Component
from le_bench.errors import MissingFileError
from le_bench.planning.experiment import Experiment


def components_of(experiment: Experiment) -> Iterator[Component]:
    """Every component that an experiment uses, each once; those in options of others come last.

    Encoders that stand in a table and in no option are not among them.
    """
    waiting: list[Component] = [
        experiment.dataset.component,
        *(row.component for row in experiment.models),
        *(row.component for row in experiment.explainers),
        *(row.component for row in experiment.simulators),
        *(row.component for row in experiment.scorers),
    ]
    found: dict[Component, None] = {}
    for component in waiting:  # grows while it is walked
        if component not in found:
            found[component] = None
            options = (getattr(component, option.name) for option in fields(component))
            waiting += [value for value in options if isinstance(value, Component)]
    yield from found


def fetch_files(experiment: Experiment) -> None:
    """Fetch what libraries know how to fetch; the digests of these files are part of the keys.

    Raises one MissingFileError that tells of everything that has to be brought by hand.
    """
    faults: dict[str, None] = {}
    for component in components_of(experiment):
        try:
            component.fetch()
        except MissingFileError as error:
            faults[str(error)] = None
    if len(faults) > 1:
        raise MissingFileError("\n".join(["nothing was run:", *(f"  - {f}" for f in faults)]))
    if faults:
        raise MissingFileError(next(iter(faults)))
