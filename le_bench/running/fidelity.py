"""The fidelity step: how well a simulator's encoder sees the truth of the test images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import zip_longest
from math import isclose, isnan
from typing import Any

import torch
from torch import Tensor

from le_bench.boards.records import Constants
from le_bench.boards.simulators import (
    CategoryFidelity,
    ConceptFidelity,
    SimulatorFidelity,
    TruthAgreement,
)
from le_bench.errors import NotApplicableError
from le_bench.formulas.fidelity import Fidelity, measure_fidelity
from le_bench.planning.plan import Step
from le_bench.probing.presence import union_by_name
from le_bench.running.agreement import TOLERANCE
from le_bench.running.store import Artifact
from le_bench.running.workspace import Workspace
from le_bench.types import ProbeDataset

PRESENT = 0.5  # ground truth from here up counts as present
EVERYTHING = "all"


def find_fidelity(workspace: Workspace, step: Step) -> Artifact:
    """Average precision, calibration error and Brier score of an encoder, by concept and category.

    On test images, which the calibration has not seen, before calibrating (the cosine, cut to
    [0, 1]) and after. The truth is the annotated presence, or else what labels imply; concepts of
    one name are one concept. Raises NotApplicableError for a dataset without either.
    """
    dataset, encoder = workspace.dataset, step.encoder
    truth = dataset.concept_presence or dataset.label_presence
    if truth is None or encoder is None:
        raise NotApplicableError(f"probe dataset '{dataset.name}' has no ground truth")
    view = workspace.view(step, "test")
    concepts = tuple(dict.fromkeys(truth.concepts))
    present = union_by_name(truth.take(view.rows), concepts)[0] >= PRESENT
    cosines = view.cosines(encoder, concepts)
    constants = view.encodings.calibration(encoder)
    before = measure_fidelity(cosines.clamp(0.0, 1.0), present)
    after = measure_fidelity(torch.sigmoid(constants.a * (cosines + constants.b)), present)
    shares = present.double().mean(0)
    groups = _groups(dataset, concepts)
    names = {place: group for group, places in groups.items() for place in places}
    return Artifact(
        {},
        {
            "num_images": len(view.rows),
            "categories": [
                _category(group, places, before, after, shares)
                for group, places in {EVERYTHING: list(range(len(concepts))), **groups}.items()
            ],
            "concepts": [
                {
                    "concept": concept,
                    "category": names[place],
                    "share": float(shares[place]),
                    "average_precision": _or_none(float(after.average_precision[place])),
                    "agreement": _agreement([place], before, after),
                }
                for place, concept in enumerate(concepts)
            ],
        },
    )


def _groups(dataset: ProbeDataset, concepts: tuple[str, ...]) -> dict[str, list[int]]:
    """Places of concepts by category: class, category of pixel labels, superclass, other."""
    by_name = dict.fromkeys(concepts, "other")
    implied = dataset.label_presence.concepts if dataset.label_presence else ()
    by_name |= dict.fromkeys(implied, "superclass")
    if dataset.masks is not None:
        for category, members in dataset.masks.categories.items():
            by_name |= dict.fromkeys(members, category)
    by_name |= dict.fromkeys(dataset.classes, "class")
    groups: dict[str, list[int]] = {}
    for place, concept in enumerate(concepts):
        groups.setdefault(by_name[concept], []).append(place)
    return dict(sorted(groups.items()))


def _category(
    category: str, places: list[int], before: Fidelity, after: Fidelity, shares: Tensor
) -> dict[str, Any]:
    precisions = after.average_precision[places]
    own = shares[places]
    return {
        "category": category,
        "num_concepts": len(places),
        "num_undefined": int(precisions.isnan().sum()),
        "average_precision": _or_none(float(precisions.nanmean())),
        "constant_brier": float((own * (1 - own)).mean()),
        "agreement": _agreement(places, before, after),
    }


def _agreement(places: list[int], before: Fidelity, after: Fidelity) -> dict[str, float]:
    return {
        "ece_before": before.calibration_error(places),
        "ece_after": after.calibration_error(places),
        "brier_before": float(before.brier[places].mean()),
        "brier_after": float(after.brier[places].mean()),
    }


def _or_none(value: float) -> float | None:
    return None if isnan(value) else value


def fidelity_of(
    key: str,
    names: tuple[str, str, str, str],
    record: Mapping[str, Any],
    constants: Mapping[str, Any],
) -> SimulatorFidelity:
    """The record of a fidelity step; names are of experiment, dataset, simulator and encoder."""
    why = record.get("not_applicable")
    if why is not None:
        return SimulatorFidelity(key, *names, reason=why["reason"])
    return SimulatorFidelity(
        key,
        *names,
        num_images=record["num_images"],
        constants=Constants(names[-1], constants["a"], constants["b"], constants["source"]),
        categories=tuple(
            CategoryFidelity(**{**each, "agreement": TruthAgreement(**each["agreement"])})
            for each in record["categories"]
        ),
        concepts=tuple(
            ConceptFidelity(**{**each, "agreement": TruthAgreement(**each["agreement"])})
            for each in record["concepts"]
        ),
    )


def nearly_same(old: SimulatorFidelity, new: SimulatorFidelity) -> bool:
    """Whether two records of one key differ by no more than two machines may."""
    return all(
        isclose(a, b, abs_tol=TOLERANCE) if isinstance(a, float) else a == b
        for a, b in zip_longest(_leaves(asdict(old)), _leaves(asdict(new)))
    )


def _leaves(content: Any) -> Iterator[Any]:
    if isinstance(content, dict):
        for value in content.values():
            yield from _leaves(value)
    elif isinstance(content, list | tuple):
        for value in content:
            yield from _leaves(value)
    else:
        yield content
