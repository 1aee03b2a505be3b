"""Bringing what a run needs onto this machine, before anything is planned."""

from __future__ import annotations

from collections.abc import Iterator

from le_bench.components import Component
from le_bench.errors import MissingFileError
from le_bench.planning.experiment import Experiment


def components_of(experiment: Experiment) -> Iterator[Component]:
    """Every component of an experiment that may need files: dataset, models, encoders."""
    yield experiment.dataset.component
    yield from (row.component for row in experiment.models)
    yield from experiment.encoders.values()


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
