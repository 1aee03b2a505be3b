"""Explaining the units of a layer: the evidence, and the record of what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from le_bench.errors import BenchError
from le_bench.networks.kept_maps import KeptMaps
from le_bench.planning.plan import Step
from le_bench.running.checked import check_explanations
from le_bench.running.devices import computing_device
from le_bench.running.seeds import step_seed
from le_bench.running.store import Artifact
from le_bench.running.workspace import StoredMemory, Workspace
from le_bench.types import Evidence, Explanation, Term


def explain(workspace: Workspace, step: Step) -> Artifact:
    """The explanations of one layer by one explainer, checked, as a record."""
    if step.explainer is None:
        raise TypeError("an explain step has no explainer")
    evidence, memory = make_evidence(workspace, step)
    maps = evidence.maps
    given = step.explainer.component.explain(evidence)
    if given is None:
        raise BenchError(f"explainer '{step.explainer.component.name}' returned nothing")
    explanations = list(given)
    check_explanations(explanations, evidence.num_units, step.explainer.component.name)
    records = [explanation_record(explanation) for explanation in explanations]
    spared = maps.spared if isinstance(maps, KeptMaps) else 0.0
    return Artifact({}, {"explanations": records}, memory.seconds + spared)


def make_evidence(workspace: Workspace, step: Step) -> tuple[Evidence, StoredMemory]:
    """What the explainer of a step sees, and the memory that it is given."""
    if step.layer is None:
        raise TypeError("an explain step has no layer")
    experiment = workspace.plan.experiment
    activations = workspace.activations(step.inputs[0])
    train, val = (workspace.view(step, split) for split in ("train", "val"))
    memory = StoredMemory(workspace, step)
    maps = None
    if step.explainer is not None and step.explainer.component.needs_maps:
        maps = workspace.maps(step, torch.cat([train.rows, val.rows]))
    evidence = Evidence(
        layer=step.layer,
        train=train,
        val=val,
        train_activations=activations[train.rows],
        val_activations=activations[val.rows],
        vocabulary=workspace.dataset.vocabulary,
        memory=memory,
        seed=step_seed(experiment.seed, step.inputs[0]),
        maps=maps,
        device=computing_device(workspace.device),
        working_bytes=workspace.working_bytes,
        whole_layer=workspace.artifact(step.inputs[0]).tensors["values"].shape[1],
    )
    return evidence, memory


def explanation_record(explanation: Explanation) -> dict[str, Any]:
    """An explanation as JSON-able content."""
    return {
        "unit": explanation.unit,
        "terms": [[term.concept, term.weight] for term in explanation.terms],
        "bias": explanation.bias,
        "reason": explanation.reason,
        "figures": dict(explanation.figures),
    }


def read_explanations(records: Sequence[Mapping[str, Any]]) -> list[Explanation]:
    """The explanations of `explanation_record`, which share nothing with the records."""
    return [
        Explanation(
            record["unit"],
            tuple(Term(concept, weight) for concept, weight in record["terms"]),
            record["bias"],
            record["reason"],
            dict(record["figures"]),
        )
        for record in records
    ]
