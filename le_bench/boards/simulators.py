"""The board of simulators: how far what each of them sees can be trusted.

One record a simulator lies at `<leaderboards>/simulators/<experiment>/<simulator>.json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field, NonNegativeInt
from pydantic.dataclasses import dataclass

from le_bench.boards.files import file_name
from le_bench.boards.folders import RecordKind, read_records, write_record
from le_bench.boards.grid import natural
from le_bench.boards.markdown import number, page, reason_shown, shown, table
from le_bench.boards.records import SCHEMA, Constants, Key, Name, Number, Schema
from le_bench.boards.statistics import Floats, draw_resamples, mean_and_error, paired_differences

PAGE = "simulators"
MOST_CONCEPTS = 40

_STRICT = ConfigDict(extra="forbid")
_LEGEND = (
    "How well the presence of concepts that a simulator sees agrees with the ground truth of the "
    "test images; explanations play no part. **AP**: mean average precision over concepts that "
    "are present in some test images but not in all; in it only the order of images counts. "
    "**ECE**: expected calibration error (15 bins, over all cells of image and concept), "
    "**Brier**: mean squared error of presence, each *before* calibrating (the cosine of image and "
    "text, cut to [0, 1], taken as presence) and *after* (presence = sigmoid(a · (cosine + b))). "
    "*Constant* is the Brier score of always answering a concept's share of images: a simulator "
    "that does not beat it sees nothing beyond frequencies. *AP to best* is the difference to the "
    "simulator with the best AP, with its 95% interval (paired bootstrap over concepts, not "
    "corrected for the number of simulators)."
)


@dataclass(frozen=True, config=_STRICT)
class TruthAgreement:
    """Calibration error and Brier score before and after calibrating."""

    ece_before: Number
    ece_after: Number
    brier_before: Number
    brier_after: Number


@dataclass(frozen=True, config=_STRICT)
class ConceptFidelity:
    """One concept: `share` of test images that have it, average precision, agreement.

    `average_precision` is null for a concept that no test image has, or every one.
    """

    concept: str
    category: Name
    share: Annotated[Number, Field(ge=0, le=1)]
    average_precision: Number | None
    agreement: TruthAgreement


@dataclass(frozen=True, config=_STRICT)
class CategoryFidelity:
    """All concepts of a category: mean average precision over the defined ones, pooled agreement.

    `constant_brier` is the Brier score of always answering each concept's share.
    """

    category: Name
    num_concepts: NonNegativeInt
    num_undefined: NonNegativeInt
    average_precision: Number | None
    constant_brier: Number
    agreement: TruthAgreement


@dataclass(frozen=True, config=_STRICT)
class SimulatorFidelity:
    """What one simulator's encoder sees of the truth; `reason` says why nothing can be said.

    The first of `categories` holds all concepts. `key` is that of the fidelity step.
    """

    key: Key
    experiment: Name
    dataset: Name
    simulator: Name
    encoder: Name
    num_images: NonNegativeInt = 0
    constants: Constants | None = None
    categories: tuple[CategoryFidelity, ...] = ()
    concepts: tuple[ConceptFidelity, ...] = ()
    reason: str = ""
    schema: Schema = SCHEMA


def fidelity_path(folder: Path, found: SimulatorFidelity) -> Path:
    """Where the record of a simulator lies."""
    return folder / file_name(found.experiment) / f"{file_name(found.simulator)}.json"


FIDELITIES = RecordKind("fidelities of simulators", SimulatorFidelity, fidelity_path)


def write_fidelity(folder: Path, found: SimulatorFidelity) -> bool:
    """Write what was found of one simulator; say whether the file changed."""
    return write_record(folder, found, FIDELITIES)


def read_fidelities(folder: Path) -> list[SimulatorFidelity]:
    """What was found of all simulators, by experiment; none if there is no such folder.

    Raises ResultError with every fault of every file.
    """
    found = read_records(folder, folder.rglob("*.json"), FIDELITIES)
    return sorted(found, key=lambda each: (each.experiment, natural([each.simulator])))


def simulators_page(found: Sequence[SimulatorFidelity], mark: str) -> str:
    """The board of simulators, one section an experiment."""
    experiments = sorted({each.experiment for each in found})
    blocks = [mark, "# Simulators", _LEGEND]
    for experiment in experiments:
        blocks += _experiment([each for each in found if each.experiment == experiment])
    return page(*blocks)


def _experiment(found: Sequence[SimulatorFidelity]) -> Iterator[str]:
    measured = [each for each in found if each.categories]
    measured.sort(key=lambda each: (-(each.categories[0].average_precision or 0), each.simulator))
    yield f"## {shown(found[0].experiment)}"
    yield f"Probe dataset: {shown(found[0].dataset)}."
    yield table([_line(each, measured[0]) for each in measured], right=_NUMERIC)
    yield "  \n".join(
        f"{shown(each.simulator)}: n/a, {reason_shown(each.reason)}"
        for each in found
        if not each.categories
    )
    if measured:
        yield "### By category"
        yield table([line for each in measured for line in _categories(each)], right=_NUMERIC)
        yield from _concepts(measured)


_NUMERIC = [
    "a", "b", "AP", "concepts", "undefined", "ECE before", "ECE after", "Brier before",
    "Brier after", "constant", "AP to best",
]  # fmt: skip


def _line(each: SimulatorFidelity, best: SimulatorFidelity) -> dict[str, str]:
    constants = each.constants
    return {
        "simulator": shown(each.simulator),
        "encoder": shown(each.encoder),
        "a": number(constants.a if constants else None, 2),
        "b": number(constants.b if constants else None, 3),
        **_figures(each.categories[0]),
        "AP to best": "best" if each is best else _lag(each, best),
    }


def _figures(category: CategoryFidelity) -> dict[str, str]:
    agreement = category.agreement
    return {
        "AP": number(category.average_precision, 3),
        "concepts": f"{category.num_concepts:,}",
        "undefined": f"{category.num_undefined:,}",
        "ECE before": number(agreement.ece_before, 4),
        "ECE after": number(agreement.ece_after, 4),
        "Brier before": number(agreement.brier_before, 4),
        "Brier after": number(agreement.brier_after, 4),
        "constant": number(category.constant_brier, 4),
    }


def _lag(each: SimulatorFidelity, best: SimulatorFidelity) -> str:
    """AP of one minus the best's, over concepts that both have; n/a if these do not match."""
    first, second = _precisions(each), _precisions(best)
    shared = [concept for concept in first if concept in second]
    if len(shared) < 2:
        return "n/a"
    rows = [np.array([side[concept] for concept in shared]) for side in (first, second)]
    gap = paired_differences(rows[0][None], rows[1][None], draw_resamples(len(shared)))[0]
    low, high = (number(bound, 3, signed=True) for bound in (gap.low, gap.high))
    return f"{number(gap.mean, 3, signed=True)} [{low}, {high}]"


def _precisions(each: SimulatorFidelity) -> dict[str, float]:
    return {
        found.concept: found.average_precision
        for found in each.concepts
        if found.average_precision is not None
    }


def _categories(each: SimulatorFidelity) -> Iterator[dict[str, str]]:
    for category in each.categories[1:]:
        yield {
            "category": shown(category.category),
            "simulator": shown(each.simulator),
            **_figures(category),
        }


def _concepts(measured: Sequence[SimulatorFidelity]) -> Iterator[str]:
    """Average precision and calibration error of each concept, hardest first."""
    precisions = {
        concept: mean_and_error(_side(measured, concept)).mean for concept in _shared(measured)
    }
    order = sorted(precisions, key=lambda concept: (round(precisions[concept], 9), concept))
    chosen = order[:MOST_CONCEPTS]
    yield "### By concept"
    yield (
        f"The {len(chosen)} of {len(order):,} concepts with the lowest mean average precision: AP, "
        "and calibration error after calibrating. The records hold all."
    )
    by_name = [{found.concept: found for found in each.concepts} for each in measured]
    rows = []
    for concept in chosen:
        first = by_name[0][concept]
        row = {
            "concept": shown(concept),
            "category": shown(first.category),
            "share of images": f"{first.share:.1%}",
        }
        for each, own in zip(measured, by_name, strict=True):
            found = own[concept]
            error = number(found.agreement.ece_after, 3)
            row[f"seen by {shown(each.simulator)}"] = (
                f"{number(found.average_precision, 3)}, {error}"
            )
        rows.append(row)
    yield table(
        rows,
        right=["share of images", *(f"seen by {shown(each.simulator)}" for each in measured)],
    )


def _shared(measured: Sequence[SimulatorFidelity]) -> list[str]:
    known = [_precisions(each) for each in measured]
    return [concept for concept in known[0] if all(concept in own for own in known)]


def _side(measured: Sequence[SimulatorFidelity], concept: str) -> Floats:
    return np.array([_precisions(each)[concept] for each in measured])
