"""How the value of each kind of step is computed from the values of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from math import isnan
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from le_bench.errors import BenchError, NotApplicableError, readable
from le_bench.formulas.calibration import fit_calibration
from le_bench.networks.recording import record_activations
from le_bench.planning.plan import Stage, Step
from le_bench.running.ablation import ablate, impact, layer_losses, temper
from le_bench.running.checked import check_reasons, check_score
from le_bench.running.explaining import explain, read_explanations
from le_bench.running.fidelity import find_fidelity
from le_bench.running.judged import JUDGED
from le_bench.running.seeds import seed_everything, step_seed
from le_bench.running.store import Artifact
from le_bench.running.workspace import Workspace, unit_rows
from le_bench.types import (
    Activations,
    Presence,
    Score,
    Simulation,
    Split,
)

DEAD_BELOW = 0.01  # a unit is dead if no probe image activates it this much (paper, Table 14)
PASS_ON = frozenset(
    {"ablate", "impact", "simulate", "score"}
)  # where a cell ends that makes no sense


def compute(workspace: Workspace, steps: Sequence[Step]) -> float:
    """Compute steps of one group, keep their values and give the seconds this took.

    What each value cost is kept beside it; the steps of a group share their time evenly.

    The global random generators are seeded from each step, and from a component where it is
    loaded, so a plugin that uses them gives the same values in any order and any process.
    """
    seed_everything(step_seed(workspace.plan.experiment.seed, steps[0].key))
    with global_state_kept():
        return _compute(workspace, steps)


@contextmanager
def global_state_kept() -> Iterator[None]:
    """Undo what a plugin does to torch as a whole, so that later steps are not touched by it."""
    dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)
        torch.set_num_threads(threads)


def _compute(workspace: Workspace, steps: Sequence[Step]) -> float:
    start = perf_counter()
    if steps[0].stage == "record":
        artifacts = _record(workspace, steps)
        share = (perf_counter() - start) / len(steps)
        seconds = [share] * len(steps)
    else:
        artifacts = [_value(workspace, step) for step in steps]
        seconds = [perf_counter() - start + artifact.seconds for artifact in artifacts]
    for step, artifact, spent in zip(steps, artifacts, seconds, strict=True):
        final = Artifact(artifact.tensors, artifact.record, spent)
        workspace.store.write(step.stage, step.key, final, f"{step.stage} {step.title}")
    return perf_counter() - start


def _value(workspace: Workspace, step: Step) -> Artifact:
    """The value of a step, or why there can be none, which the steps that read it pass on."""
    if step.stage in PASS_ON:
        for key in step.inputs:
            why = workspace.artifact(key).record.get("not_applicable")
            if why is not None:
                return Artifact({}, {"not_applicable": why})
    try:
        return COMPUTATIONS[step.stage](workspace, step)
    except NotApplicableError as error:
        reason = readable(str(error))
        if not reason:
            raise BenchError(
                "NotApplicableError was raised without a message; give one that says why"
            ) from error
        return Artifact({}, {"not_applicable": {"step": step.stage, "reason": reason}})


def _record(workspace: Workspace, steps: Sequence[Step]) -> list[Artifact]:
    row = steps[0].model
    layers = [step.layer for step in steps if step.layer is not None]
    if row is None:
        raise TypeError("a record step has no model")
    recorded = record_activations(
        workspace.model(row), workspace.dataset.images, layers, workspace.batch_size
    )
    return [Artifact({"values": recorded[layer].values}) for layer in layers]


def _embed_images(workspace: Workspace, step: Step) -> Artifact:
    rows = unit_rows(workspace.encode_images(_encoder(step)))
    half = workspace.plan.experiment.embeddings == "fp16"
    return Artifact({"values": rows.half() if half else rows})


def _embed_texts(workspace: Workspace, step: Step) -> Artifact:
    own = workspace.own_texts()
    texts = own if step.concepts is None else step.concepts.resolve(own)
    if not texts:  # of a dataset without any; what needs them says so itself
        return Artifact({"values": torch.empty(0, 0)}, {"texts": []})
    values = workspace.encode_texts(_encoder(step), texts)
    return Artifact({"values": unit_rows(values)}, {"texts": list(texts)})


def _calibrate(workspace: Workspace, step: Step) -> Artifact:
    """Constants of the encoder, fitted on train and val images if it does not come with them.

    Where neither is possible the reason is kept, for those who ask for the constants: encodings
    alone need none.
    """
    encoder = _encoder(step)
    with workspace.seeded(encoder):
        constants = encoder.constants()
    if constants is None:
        dataset = workspace.dataset
        truth = dataset.concept_presence or dataset.label_presence
        if truth is None:
            reason = (
                f"encoder '{encoder.name}' has no constants a and b, and probe dataset "
                f"'{dataset.name}' has no labels to fit them on; give a and b in the experiment"
            )
            return Artifact({}, {"impossible": reason})
        views = [workspace.view(step, split) for split in ("train", "val")]
        seen = truth.take(torch.cat([view.rows for view in views]))
        occurring = seen.values.amax(0) > 0
        names = [c for c, there in zip(seen.concepts, occurring.tolist(), strict=True) if there]
        seen = Presence(tuple(names), seen.values[:, occurring])
        cosines = torch.cat([_cosines(workspace, step, view.rows, names) for view in views])
        constants = fit_calibration(cosines, seen.values)
    entropy = constants.cross_entropy
    return Artifact(
        {},
        {
            "a": constants.a,
            "b": constants.b,
            "source": constants.source,
            "cross_entropy": None if isnan(entropy) else entropy,
        },
    )


def _cosines(workspace: Workspace, step: Step, rows: Tensor, texts: Sequence[str]) -> Tensor:
    images, own = (workspace.artifact(key) for key in step.inputs)
    place = {text: row for row, text in enumerate(own.record["texts"])}
    return (
        images.tensors["values"][rows].float() @ own.tensors["values"][[place[t] for t in texts]].T
    )


def _simulate(workspace: Workspace, step: Step) -> Artifact:
    if step.simulator is None:
        raise TypeError("a simulate step has no simulator")
    simulator = step.simulator.component
    explanations = read_explanations(workspace.artifact(step.inputs[0]).record["explanations"])
    tensors: dict[str, Tensor] = {}
    undefined: dict[str, dict[str, str]] = {}
    for split in JUDGED:
        view = workspace.view(step, split)
        simulation = simulator.simulate(explanations, view)
        expected = (len(view.rows), len(explanations))
        if tuple(simulation.values.shape) != expected:
            raise BenchError(
                f"simulator '{simulator.name}' returned shape {tuple(simulation.values.shape)}, "
                f"not (images, units) = {expected}"
            )
        check_reasons(simulation.undefined, f"simulator '{simulator.name}'")
        tensors[split] = simulation.values
        undefined[split] = {str(int(unit)): reason for unit, reason in simulation.undefined.items()}
    return Artifact(tensors, {"undefined": undefined})


def _score(workspace: Workspace, step: Step) -> Artifact:
    if step.scorer is None or step.layer is None or step.model is None:
        raise TypeError("a score step has no scorer, layer or model")
    scorer = step.scorer.component
    simulated = workspace.artifact(step.inputs[0])
    activations = workspace.activations(step.inputs[1])
    simulations: dict[Split, Simulation] = {}
    judged: dict[Split, Activations] = {}
    for split in JUDGED:
        reasons = {int(u): r for u, r in simulated.record["undefined"][split].items()}
        simulations[split] = Simulation(split, simulated.tensors[split].clone(), reasons)
        rows = workspace.dataset.splits[split]
        judged[split] = Activations(step.layer, activations[rows])
    losses = layer_losses(workspace, step)
    score: Score = scorer.score(simulations, judged, losses)
    check_score(score, activations.shape[1], scorer.name)
    dead = torch.nonzero(activations.amax(0) < DEAD_BELOW).flatten()
    values = score.values.double()
    images = {str(split): len(rows) for split, rows in workspace.dataset.splits.items()}
    if workspace.dataset.unreadable:
        images["left out as unreadable"] = len(workspace.dataset.unreadable)
    return Artifact(
        {},
        {
            "values": [None if isnan(value) else value for value in values.tolist()],
            "undefined": {
                str(int(unit)): reason for unit, reason in sorted(score.undefined.items())
            },
            "dead": dead.tolist(),
            **({} if losses is None else {"temperature": asdict(losses.temperature)}),
            "images": images,
        },
    )


def _encoder(step: Step) -> Any:
    if step.encoder is None:
        raise TypeError(f"a step of stage {step.stage} has no encoder")
    return step.encoder


COMPUTATIONS: Mapping[Stage, Callable[[Workspace, Step], Artifact]] = {
    "embed-images": _embed_images,
    "embed-texts": _embed_texts,
    "calibrate": _calibrate,
    "fidelity": find_fidelity,
    "temper": temper,
    "ablate": ablate,
    "impact": impact,
    "explain": explain,
    "simulate": _simulate,
    "score": _score,
}
