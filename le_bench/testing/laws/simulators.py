"""Laws of simulators, on the test images of a planted world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from le_bench.components import Simulator
from le_bench.running.checked import check_reasons
from le_bench.running.seeds import seed_everything
from le_bench.testing.laws.comparing import (
    CLOSE,
    changed,
    simulations_differ,
    snapshot,
    tensors_differ,
)
from le_bench.testing.laws.components import torch_left_as_it_was
from le_bench.testing.laws.law import laws
from le_bench.testing.laws.watching import tensors_of_view
from le_bench.testing.pictures import full_view, planted
from le_bench.testing.worlds import Recipe, World
from le_bench.types import Explanation, ProbeView, Simulation, Term

USUAL = Recipe(num_images=(20, 20, 50), num_units=6)
LARGE = Recipe(num_images=(1, 1, 2000), num_units=300)
NOTHING = "this unit is dead"


def explanations_of(world: World) -> list[Explanation]:
    """The truth about each unit: its concepts with their weights, and the bias."""
    return [
        Explanation(unit, tuple(Term(c, w) for c, w in world.terms(unit).items()), bias=0.5)
        for unit in range(world.activations.shape[1])
    ]


def simulated(
    simulator: Simulator, explanations: Sequence[Explanation], view: ProbeView, seed: int = 0
) -> Simulation:
    """The simulation, with the global generators at this seed, its shape and reasons checked."""
    seed_everything(seed)
    simulation = simulator.simulate(explanations, view)
    _check(simulation, len(view.rows), len(explanations))
    check_reasons(simulation.undefined, f"simulator '{simulator.name}'")
    return simulation


def well_formed(simulator: Simulator) -> str:
    """Float32 numbers on the CPU, a row an image and a column an explanation; NaN has a reason."""
    world = planted(USUAL)
    simulated(simulator, explanations_of(world), full_view(world, "test"))
    return ""


def deterministic(simulator: Simulator) -> str:
    """The same explanations and images give the same numbers, wherever the generators stand."""
    world = planted(USUAL)
    first, second = (
        simulated(simulator, explanations_of(world), full_view(world, "test"), seed)
        for seed in (0, 1)
    )
    return simulations_differ(first, second)


def inputs_untouched(simulator: Simulator) -> str:
    """All that is known about the images is, bit for bit, what it was before."""
    world = planted(USUAL)
    view = full_view(world, "test")
    before = snapshot(tensors_of_view(view, world, "test"))
    simulated(simulator, explanations_of(world), view)
    return changed(before, snapshot(tensors_of_view(view, world, "test")))


def own_split_alone(simulator: Simulator) -> str:
    """Images of other splits decide nothing: without them the numbers are the same."""
    world = planted(USUAL)
    explanations = explanations_of(world)
    first, without, other = (
        simulated(simulator, explanations, full_view(world, "test", hidden))
        for hidden in ("kept", "absent", "other")
    )
    words = simulations_differ(first, without) or simulations_differ(first, other)
    return words and f"{words} without the images of other splits"


def together_as_one_by_one(simulator: Simulator) -> str:
    """Explanations simulated together or one by one give the same numbers, in any order."""
    world = planted(USUAL)
    view, explanations = full_view(world, "test"), explanations_of(world)
    together = simulated(simulator, explanations, view).values
    alone = torch.cat([simulated(simulator, [e], view).values for e in explanations], 1)
    words = tensors_differ(together, alone, ("image", "unit"), CLOSE)
    if words:
        return f"{words} when it was simulated alone"
    back = simulated(simulator, explanations[::-1], view).values.flip(1)
    words = tensors_differ(together, back, ("image", "unit"), CLOSE)
    return words and f"{words} when the explanations came in reverse"


def images_one_by_one(simulator: Simulator) -> str:
    """Images simulated together or one by one give the same numbers, in any order."""
    world = planted(USUAL)
    explanations = explanations_of(world)
    together = simulated(simulator, explanations, full_view(world, "test")).values
    rows = world.rows["test"]
    alone = torch.cat(
        [
            simulated(simulator, explanations, _of_rows(world, row)).values
            for row in torch.split(rows, 1)
        ]
    )
    words = tensors_differ(together, alone, ("image", "unit"), CLOSE)
    if words:
        return f"{words} when the image stood alone"
    back = simulated(simulator, explanations, _of_rows(world, rows.flip(0))).values.flip(0)
    words = tensors_differ(together, back, ("image", "unit"), CLOSE)
    return words and f"{words} when the images came in reverse"


def units_without_explanation(simulator: Simulator) -> str:
    """An explanation without terms gives a column of NaN with its reason, and harms no other."""
    world = planted(USUAL)
    view, explanations = full_view(world, "test"), explanations_of(world)
    whole = simulated(simulator, explanations, view).values
    explanations[2] = Explanation(2, (), reason=NOTHING)
    simulation = simulated(simulator, explanations, view)
    if not bool(simulation.values[:, 2].isnan().all()):
        return "a unit without an explanation has simulated activations; give NaN"
    if simulation.undefined.get(2) != NOTHING:
        return f"the reason '{NOTHING}' became {simulation.undefined.get(2)!r}"
    others = [unit for unit in range(len(explanations)) if unit != 2]
    words = tensors_differ(whole[:, others], simulation.values[:, others], ("image", "unit"), CLOSE)
    if words:
        return f"{words} beside a unit without an explanation (counted without it)"
    simulated(simulator, explanations[2:3], view)
    return ""


def tiny_input(simulator: Simulator) -> str:
    """One explanation of one term is simulated on one image."""
    world = planted(Recipe(num_images=(1, 1, 1), num_classes=2, num_attributes=0, num_units=1))
    simulated(simulator, [Explanation(0, (Term(world.concepts[0]),))], full_view(world, "test"))
    return ""


def large_input(simulator: Simulator) -> str:
    """Of 300 explanations on 2,000 images, the last is simulated as it is alone."""
    world = planted(LARGE)
    view, explanations = full_view(world, "test"), explanations_of(world)
    whole = simulated(simulator, explanations, view).values[:, -1:]
    alone = simulated(simulator, explanations[-1:], view).values
    return tensors_differ(whole, alone, ("image", "unit"), CLOSE)


def _of_rows(world: World, rows: Tensor) -> ProbeView:
    return full_view(replace(world, rows={**world.rows, "test": rows}), "test")


def _check(simulation: Simulation, num_images: int, num_units: int) -> None:
    values = simulation.values
    if tuple(values.shape) != (num_images, num_units):
        raise ValueError(
            f"shape {tuple(values.shape)} is not (images, units) = {(num_images, num_units)}"
        )
    if values.dtype != torch.float32 or values.device.type != "cpu":
        raise ValueError(f"values are {values.dtype} on {values.device}, not float32 on the CPU")
    unexplained = set(torch.nonzero(values.isnan().any(0)).flatten().tolist())
    if unexplained != set(simulation.undefined):
        units = sorted(unexplained ^ set(simulation.undefined))
        raise ValueError(f"units {units}: each column of NaN needs a reason, and each reason NaN")


LAWS = (
    *laws(
        well_formed,
        deterministic,
        inputs_untouched,
        own_split_alone,
        together_as_one_by_one,
        images_one_by_one,
        units_without_explanation,
        tiny_input,
        large_input,
    ),
    torch_left_as_it_was(well_formed),  # type: ignore[arg-type]  # of simulators
)
