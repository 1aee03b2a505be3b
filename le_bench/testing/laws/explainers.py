"""Laws of explainers, on planted worlds with pictures, masks and maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import torch

from le_bench.components import Explainer
from le_bench.errors import BenchError, NotApplicableError
from le_bench.running.checked import check_explanations
from le_bench.running.seeds import seed_everything
from le_bench.running.stages import global_state_kept
from le_bench.testing.laws.comparing import (
    CLOSE,
    changed,
    explanations_differ,
    renumbered,
    snapshot,
)
from le_bench.testing.laws.components import torch_left_as_it_was
from le_bench.testing.laws.law import laws, not_applicable_if
from le_bench.testing.laws.pretended import LostNumbersError, MixedDevicesError, pretended_device
from le_bench.testing.laws.watching import WatchedMemory, tensors_of
from le_bench.testing.pictures import Hidden, full_evidence, planted
from le_bench.testing.worlds import Recipe, World
from le_bench.types import ConceptSet, Evidence, Explanation

USUAL = Recipe(num_images=(120, 40, 40), num_units=6)
USUAL_WITH_MAPS = Recipe(num_images=(30, 10, 6), num_units=5)
LARGE = Recipe(num_images=(1400, 600, 1), num_units=300, seed=1)
LARGE_WITH_MAPS = Recipe(num_images=(100, 40, 1), num_units=30, seed=1)  # maps cost much more
INTERACT = "units interact, as the class declares by `units_interact`"


def usual(explainer: Explainer) -> Recipe:
    """The world that most laws look at."""
    return USUAL_WITH_MAPS if explainer.needs_maps else USUAL


def explained(
    explainer: Explainer,
    world: World,
    units: Sequence[int] | None = None,
    *,
    hidden: Hidden = "kept",
    seed: int = 0,
) -> list[Explanation]:
    """The explanations of a world, checked as a run checks them. Raises BenchError."""
    evidence = full_evidence(world, units=units, hidden=hidden, with_maps=explainer.needs_maps)
    return answer(explainer, evidence, seed)


def answer(explainer: Explainer, evidence: Evidence, seed: int = 0) -> list[Explanation]:
    """The explanations of some evidence, with the global generators at this seed, checked."""
    seed_everything(seed)
    with global_state_kept():
        given = explainer.explain(evidence)
    if given is None:
        raise BenchError(f"explainer '{explainer.name}' returned nothing")
    explanations = list(given)
    check_explanations(explanations, evidence.num_units, explainer.name)
    return explanations


def well_formed(explainer: Explainer) -> str:
    """One explanation for each unit, in order, with finite weights, or a reason for having none."""
    explained(explainer, planted(usual(explainer)))
    return ""


def own_concepts(explainer: Explainer) -> str:
    """Terms come from the concept sets of the options, or from what the images are known to bear.

    Explainers without an option that is a concept set may write what they like.
    """
    sets = [getattr(explainer, f.name) for f in fields(explainer)]
    sets = [own for own in sets if isinstance(own, ConceptSet)]
    not_applicable_if(not sets, "no option is a concept set, so any text is allowed")
    world = planted(usual(explainer))
    allowed = {text for own in sets for text in own.resolve(world.concepts)} | set(world.concepts)
    for explanation in explained(explainer, world):
        for term in explanation.terms:
            if term.concept not in allowed:
                return f"unit {explanation.unit} names '{term.concept}', which is in no concept set"
    return ""


def deterministic(explainer: Explainer) -> str:
    """The same evidence gives the same explanations, wherever the global generators stand.

    Draw from `torch.Generator().manual_seed(evidence.seed)` instead.
    """
    world = planted(usual(explainer))
    first, second = (explained(explainer, world, seed=seed) for seed in (0, 1))
    words = explanations_differ(first, second)
    if not words and first != second:
        words = "the figures of a unit differ"
    return words and f"{words}, with the same evidence and seed"


def inputs_untouched(explainer: Explainer) -> str:
    """The evidence and what the memory keeps are, bit for bit, what they were before."""
    world, memory = planted(usual(explainer)), WatchedMemory()
    evidence = full_evidence(world, with_maps=explainer.needs_maps)
    evidence = replace(evidence, memory=memory)
    before = snapshot(tensors_of(evidence, world))
    answer(explainer, evidence)
    return changed(
        {**before, **snapshot(memory.copies)},
        {**snapshot(tensors_of(evidence, world)), **snapshot(memory.given)},
    )


def no_test_images(explainer: Explainer) -> str:
    """Test images decide nothing: without them, and with others, the explanations are the same."""
    world = planted(usual(explainer))
    first = explained(explainer, world)
    for hidden, how in (("absent", "without test images"), ("other", "with other test images")):
        try:
            other = explained(explainer, world, hidden=hidden)  # type: ignore[arg-type]  # a Hidden
        except NotApplicableError:
            raise
        except Exception as error:
            return f"{how} it raised {type(error).__name__}: {error}"
        words = explanations_differ(first, other)
        if words:
            return f"{words} {how}; index `encodings.images(...)` by `view.rows`"
    return ""


def together_as_one_by_one(explainer: Explainer) -> str:
    """Units explained together or one by one get the same explanations.

    An explainer of which this is not true sets `units_interact = True`.
    """
    not_applicable_if(explainer.units_interact, INTERACT)
    world = planted(usual(explainer))
    together = explained(explainer, world)
    for unit, expected in enumerate(together):
        alone = explained(explainer, world, [unit])[0]
        words = explanations_differ([expected], [replace(alone, unit=unit)], CLOSE)
        if words:
            return f"{words} when it was explained alone; if that is meant, set `units_interact`"
    return ""


def order_of_units(explainer: Explainer) -> str:
    """Units in another order get the same explanations, in that order."""
    not_applicable_if(explainer.units_interact, INTERACT)
    world = planted(usual(explainer))
    order = list(reversed(range(usual(explainer).num_units)))
    back = renumbered(list(reversed(explained(explainer, world, order))))
    words = explanations_differ(explained(explainer, world), list(back), CLOSE)
    return words and f"{words} when the units came in reverse"


def order_of_images(explainer: Explainer) -> str:
    """Images in another order lead to the same explanations."""
    world = planted(usual(explainer))
    mixed = replace(world, rows={split: rows.flip(0) for split, rows in world.rows.items()})
    words = explanations_differ(explained(explainer, world), explained(explainer, mixed), CLOSE)
    return words and f"{words} when the images came in reverse"


def dead_units(explainer: Explainer) -> str:
    """Units that are 0 or the same on every image get a reason or an explanation, and harm none."""
    world = planted(replace(usual(explainer), dead_units=(1,)))
    activations = world.activations.clone()
    activations[:, 3] = 0.75
    return _others_unharmed(explainer, replace(world, activations=activations), (1, 3))


def units_with_nan(explainer: Explainer) -> str:
    """A unit with NaN on an image gets a reason or an explanation, and harms no other."""
    return _others_unharmed(explainer, planted(replace(usual(explainer), nan_units=(2,))), (2,))


def coarse_activations(explainer: Explainer) -> str:
    """Activations as float16 gives them, with ties and with values up to 60,000, are explained."""
    world = planted(usual(explainer))
    coarse = (world.activations * 4).round() / 4
    coarse[:, 0] *= 60_000 / float(coarse[:, 0].abs().max())
    explained(explainer, replace(world, activations=coarse.half().float()))
    return ""


def tiny_input(explainer: Explainer) -> str:
    """One unit, one train and one val image and one concept give an explanation or a reason."""
    world = planted(Recipe(num_images=(1, 1, 1), num_classes=2, num_attributes=0, num_units=1))
    evidence = full_evidence(world, with_maps=explainer.needs_maps)
    answer(explainer, replace(evidence, vocabulary=world.concepts[:1]))
    return ""


def large_input(explainer: Explainer) -> str:
    """Of 300 units on 2,000 images (30 on 140 with maps), the first and last are as when alone."""
    world = planted(LARGE_WITH_MAPS if explainer.needs_maps else LARGE)
    last = world.activations.shape[1] - 1
    whole = explained(explainer, world)
    if explainer.units_interact:
        return ""
    few = [0, last // 2, last]
    expected = renumbered([whole[unit] for unit in few])
    words = explanations_differ(list(expected), explained(explainer, world, few), CLOSE)
    return words and f"of units {few}, {words} when only these were explained"


def any_device(explainer: Explainer) -> str:
    """Told to compute on another device, it takes all it needs there, with the same results.

    Without a CUDA device another one is pretended, see `pretended`.
    """
    world = planted(usual(explainer))
    first = explained(explainer, world)
    evidence = full_evidence(world, with_maps=explainer.needs_maps)
    if torch.cuda.is_available():
        found = answer(explainer, replace(evidence, device=torch.device("cuda")))
        return explanations_differ(first, found, CLOSE)
    try:
        with pretended_device() as device:
            found = answer(explainer, replace(evidence, device=device))
    except MixedDevicesError as error:
        return f"{error}; make or send it there with `device=evidence.device`"
    except (LostNumbersError, NotImplementedError) as error:
        raise NotApplicableError(f"needs a CUDA device: {error}") from error
    return explanations_differ(first, found, CLOSE)


def _others_unharmed(explainer: Explainer, world: World, spoilt: Sequence[int]) -> str:
    whole = explained(explainer, world)
    if explainer.units_interact:
        return ""
    sound = [unit for unit in range(len(whole)) if unit not in spoilt]
    expected = renumbered([whole[unit] for unit in sound])
    words = explanations_differ(list(expected), explained(explainer, world, sound), CLOSE)
    return words and f"of units {sound}, {words} when units {list(spoilt)} were left out"


def _explain_alone(explainer: Explainer) -> None:
    """The work without the guard that keeps the settings of torch."""
    world = planted(usual(explainer))
    explainer.explain(full_evidence(world, with_maps=explainer.needs_maps))


LAWS = (
    *laws(
        well_formed,
        own_concepts,
        deterministic,
        inputs_untouched,
        no_test_images,
        together_as_one_by_one,
        order_of_units,
        order_of_images,
        dead_units,
        units_with_nan,
        coarse_activations,
        tiny_input,
        large_input,
        any_device,
    ),
    torch_left_as_it_was(_explain_alone),  # type: ignore[arg-type]  # laws of explainers
)
