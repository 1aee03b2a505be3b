"""Steps about a target model's own output: its logits and temperature, units replaced."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from math import isnan

import torch
from torch import Tensor
from torch.nn import functional

from le_bench.errors import NotApplicableError
from le_bench.formulas.impact import top_impact
from le_bench.formulas.temperature import fit_temperature, tempered
from le_bench.networks.ablating import Ablator, make_ablator
from le_bench.networks.batches import read_batches
from le_bench.networks.rest import logits_of
from le_bench.planning.plan import Step
from le_bench.probing.guarded import OwnImages
from le_bench.running.judged import JUDGED, Judged
from le_bench.running.losses import LayerLosses, loss_tensors, zeroed_impacts
from le_bench.running.store import Artifact
from le_bench.running.workspace import Workspace
from le_bench.types import AblationOptions, Layer, Split, TargetModel, Temperature


def temper(workspace: Workspace, step: Step) -> Artifact:
    """Logits (N, C), NaN for train images, and the temperature that fits those of val images.

    Raises NotApplicableError without labels, and for a model that does not tell these classes.
    """
    if step.model is None:
        raise TypeError("a temper step has no model")
    dataset = workspace.dataset
    if dataset.labels is None:
        raise NotApplicableError(
            f"probe dataset '{dataset.name}' has no labels, and without them a target model has "
            "no loss that a unit could change"
        )
    model = workspace.model(step.model)
    rows = torch.cat([dataset.splits[split] for split in JUDGED])
    found = _logits(model, workspace, rows)
    logits = torch.full((len(dataset.images), found.shape[1]), torch.nan)
    logits[rows] = found
    if int(dataset.labels.max()) >= logits.shape[1]:
        raise NotApplicableError(
            f"target model '{step.model.id}' tells {logits.shape[1]} classes, but the labels of "
            f"probe dataset '{dataset.name}' go up to {int(dataset.labels.max())}"
        )
    rows = dataset.splits["val"]
    fitted = fit_temperature(logits[rows], dataset.labels[rows])
    return Artifact({"logits": logits}, {"temperature": asdict(fitted)})


def _logits(model: TargetModel, workspace: Workspace, rows: Tensor) -> Tensor:
    """Those of these images, (n, C)."""
    images = workspace.dataset.images
    parts = []
    reading = read_batches(
        images, rows.tolist(), model.preprocess, workspace.batch_size, model.device
    )
    with closing(reading) as batches:
        for _, batch in batches:
            with torch.no_grad():
                parts.append(logits_of(model.module(batch)).float().cpu())
    return torch.cat(parts)


def ablate(workspace: Workspace, step: Step) -> Artifact:
    """All that the losses of a layer with replaced units follow from."""
    if step.model is None or step.layer is None or step.ablation is None:
        raise TypeError("an ablate step has no model, layer or options")
    _layer(step)
    temperature = _temperature(workspace, step, step.ablation.temperature)
    judged = _judged(workspace, step, temperature)
    ablator = _ablator(workspace, step)
    mean, count = _val_mean(workspace, step), step.ablation.nodes
    tensors = loss_tensors(ablator, _images(workspace), judged, mean, count)
    return Artifact(tensors, {"temperature": asdict(temperature), "how": ablator.how})


def layer_losses(workspace: Workspace, step: Step) -> LayerLosses | None:
    """What a scorer of a `score` step gets; None if it asks for nothing."""
    made = [workspace.plan.steps[key] for key in step.inputs]
    asked = next((each for each in made if each.stage == "ablate"), None)
    if asked is None:
        return None
    return workspace.latest("losses", asked.key, lambda: _layer_losses(workspace, asked))


def _layer_losses(workspace: Workspace, step: Step) -> LayerLosses:
    artifact = workspace.artifact(step.key)
    temperature = Temperature(**artifact.record["temperature"])
    return LayerLosses(
        layer=_layer(step),
        temperature=temperature,
        judged=_judged(workspace, step, temperature),
        images=_images(workspace),
        ablator=lambda: _ablator(workspace, step),
        tensors=artifact.tensors,
    )


def _ablator(workspace: Workspace, step: Step) -> Ablator:
    def make() -> Ablator:
        if step.model is None or step.ablation is None:
            raise TypeError("an ablate step has no model or options")
        rows = workspace.dataset.splits["val"].tolist()
        model = workspace.model(step.model)
        return make_ablator(model, _layer(step), _images(workspace), rows, runs=step.ablation.runs)

    return workspace.latest("ablator", step.key, make)


def _images(workspace: Workspace) -> OwnImages:
    dataset = workspace.dataset
    return OwnImages(dataset.images, torch.cat([dataset.splits[split] for split in JUDGED]))


def _layer(step: Step) -> Layer:
    if step.layer is None:
        raise TypeError(f"a step of stage {step.stage} has no layer")
    if step.layer.directions is not None:
        raise NotApplicableError(
            "replacing units changes them inside the network, where the directions of "
            f"{step.layer.directions.name} do not exist"
        )
    return step.layer


def _temperature(workspace: Workspace, step: Step, given: float | None) -> Temperature:
    """The temperature given in the options, or else the fitted one."""
    artifact = workspace.artifact(step.inputs[0])
    dataset = workspace.dataset
    if given is None or dataset.labels is None:
        return Temperature(**artifact.record["temperature"])
    rows = dataset.splits["val"]
    return tempered(artifact.tensors["logits"][rows], dataset.labels[rows], given, "given")


def spread_places(count: int, most: int | None) -> Tensor:
    """At most `most` of the places 0 to count - 1, spread evenly; all of them for None.

    >>> spread_places(10, 4).tolist()
    [0, 3, 6, 9]
    """
    if most is None or most >= count:
        return torch.arange(count)
    return torch.linspace(0, count - 1, most, dtype=torch.float64).round().long()


def _judged(workspace: Workspace, step: Step, temperature: Temperature) -> dict[Split, Judged]:
    dataset = workspace.dataset
    options = step.ablation or AblationOptions()
    logits = workspace.artifact(step.inputs[0]).tensors["logits"]
    activations = workspace.activations(step.inputs[1])
    judged: dict[Split, Judged] = {}
    for split in JUDGED:
        places = spread_places(len(dataset.splits[split]), options.images)
        rows = dataset.splits[split][places]
        own = activations[rows]
        if dataset.labels is None:
            raise TypeError("images without labels are not judged")
        judged[split] = Judged(
            rows, places, dataset.labels[rows], logits[rows], own, temperature.value
        )
    return judged


def _val_mean(workspace: Workspace, step: Step) -> Tensor:
    """(U,) float64 over all val images."""
    activations = workspace.activations(step.inputs[1])
    rows = workspace.dataset.splits["val"]
    return activations[rows].double().mean(0)


def impact(workspace: Workspace, step: Step) -> Artifact:
    """Top Impact of a layer's units on the test images or on all, by fraction."""
    options, dataset = step.impact, workspace.dataset
    if options is None or step.model is None or dataset.labels is None:
        raise TypeError("an impact step has no options, model or labels")
    layer = _layer(step)
    temperature = _temperature(workspace, step, options.temperature)
    own = dataset.splits["test"]
    if options.over == "all":
        own = torch.cat(list(dataset.splits.values())).sort().values
    places = spread_places(len(own), options.images)
    rows = own[places]
    model, images = workspace.model(step.model), OwnImages(dataset.images, rows)
    logits = workspace.artifact(step.inputs[0]).tensors["logits"][rows]
    passed_over = torch.isin(rows, dataset.splits["train"])  # by the temper step
    if bool(passed_over.any()):
        logits[passed_over] = _logits(model, workspace, rows[passed_over])
    judged = Judged(
        rows,
        places,
        dataset.labels[rows],
        logits,
        workspace.activations(step.inputs[1])[rows],
        temperature.value,
    )
    ablator = make_ablator(model, layer, images, rows.tolist(), runs=options.runs, everywhere=True)
    values = zeroed_impacts(ablator, images, judged)
    tops = top_impact(values, judged.activations, options.fractions, options.counting)
    losses = functional.cross_entropy(judged.scaled, judged.labels)
    record = {
        "temperature": asdict(temperature),
        "how": ablator.how,
        "images": len(rows),
        "accuracy": float((judged.logits.argmax(1) == judged.labels).double().mean()),
        "cross_entropy": float(losses),
        "top": [[None if isnan(v) else v for v in row] for row in tops.tolist()],
    }
    return Artifact({"impacts": values.float()}, record)
