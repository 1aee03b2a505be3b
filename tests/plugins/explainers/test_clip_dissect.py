"""CLIP-Dissect on planted worlds: answers, laws, options and the traps of the original."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch

from le_bench.testing.worlds import PlantedEncoder, Recipe, plant
from le_bench.types import Explanation
from le_bench_plugins.explainers.clip_dissect import CLIPDissect, Similarity

ENCODER = PlantedEncoder("explainer")
WORLD = Recipe(num_images=(300, 100, 50), num_units=6, terms_per_unit=1, noise=0.2)
every_similarity = pytest.mark.parametrize("similarity", get_args(Similarity))


def concepts_of(explanations: list[Explanation]) -> list[str]:
    return [e.terms[0].concept if e.terms else e.reason for e in explanations]


@pytest.mark.parametrize("similarity", ["soft-wpmi", "cosine-cubed"])
def test_finds_the_planted_concept(similarity: Similarity) -> None:
    """Units of one attribute each are described by it, with weight 1 and no bias."""
    world = plant(WORLD)
    noise = torch.randn(450, 7, generator=torch.Generator().manual_seed(0))
    world = replace(world, activations=world.presence[:, 5:] + 0.1 * noise)

    explanations = CLIPDissect(encoder=ENCODER, similarity=similarity).explain(world.evidence())

    assert concepts_of(explanations) == [f"attribute {unit}" for unit in range(7)]
    assert all((e.terms[0].weight, e.bias) == (1.0, 0.0) for e in explanations)
    assert all("similarity" in e.figures for e in explanations)


@every_similarity
def test_order_of_images_is_irrelevant(similarity: Similarity) -> None:
    """Images come in any order, also where many activate a unit equally."""
    world = plant(WORLD)
    world = replace(world, activations=world.activations.clamp_min(1.2))
    shuffled = replace(world, rows={split: rows.flip(0) for split, rows in world.rows.items()})
    explainer = CLIPDissect(encoder=ENCODER, similarity=similarity)

    assert explainer.explain(world.evidence()) == explainer.explain(shuffled.evidence())


@every_similarity
def test_unusable_units_have_reasons_and_no_influence(similarity: Similarity) -> None:
    """Dead and NaN units get a reason; the other units are explained as without them."""
    world = plant(replace(WORLD, dead_units=(1,), nan_units=(4,)))
    explainer = CLIPDissect(encoder=ENCODER, similarity=similarity)

    explanations = list(explainer.explain(world.evidence()))

    without = list(explainer.explain(world.evidence(units=[0, 2, 3, 5])))
    assert explanations[1].reason == "the unit has the same activation on all train images"
    assert explanations[4].reason == "the unit's activation is not a finite number on 1 train image"
    live = [explanations[unit] for unit in (0, 2, 3, 5)]
    assert concepts_of(live) == concepts_of(without)


def test_one_live_unit_has_no_soft_wpmi() -> None:
    """Soft-wpmi needs other units; a layer's only live unit says so instead of the first word."""
    world = plant(WORLD)

    alone = CLIPDissect(encoder=ENCODER).explain(world.evidence(units=[0]))

    assert alone[0].reason == (
        "soft-wpmi compares a unit with the others of its layer, and no other unit is alive"
    )


def test_undefined_similarity_has_a_reason() -> None:
    """If no similarity is defined the unit gets a reason, not the first word."""
    world = plant(WORLD)
    world = replace(world, activations=world.activations.clamp_max(0.9))

    explanations = CLIPDissect(encoder=ENCODER, similarity="rank-reorder").explain(world.evidence())

    assert concepts_of(list(explanations))[0] == (
        "no concept has a defined similarity with this unit"
    )


@every_similarity
def test_few_images(similarity: Similarity) -> None:
    """With fewer images than top_k all of them are taken."""
    world = plant(replace(WORLD, num_images=(6, 4, 1)))

    explanations = CLIPDissect(encoder=ENCODER, similarity=similarity).explain(world.evidence())

    assert len(explanations) == 6


def test_top_k_limits_the_images() -> None:
    """With top_k the mutual information looks at that many images."""
    world = plant(replace(WORLD, noise=1.0))

    default = CLIPDissect(encoder=ENCODER).explain(world.evidence())
    hundred = CLIPDissect(encoder=ENCODER, top_k=100).explain(world.evidence())
    one = CLIPDissect(encoder=ENCODER, top_k=1).explain(world.evidence())

    assert default == hundred
    assert default != one


def test_rank_reorder_draws_from_the_seed_alone() -> None:
    """The same evidence gives the same answer, whatever the global generator does."""
    world = plant(WORLD)
    explainer = CLIPDissect(encoder=ENCODER, similarity="rank-reorder")

    assert explainer.explain(world.evidence(seed=3)) == explainer.explain(world.evidence(seed=3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: CLIPDissect(encoder=ENCODER, similarity="soft-wmpi"),  # type: ignore[arg-type]
            "unknown similarity 'soft-wmpi'; did you mean 'soft-wpmi'?",
        ),
        (
            lambda: CLIPDissect(encoder=ENCODER, similarity="cosine", top_k=5),
            "similarity 'cosine' has no top_k; leave it out",
        ),
        (lambda: CLIPDissect(encoder=ENCODER, top_k=0), "top_k is 0; at least 1 image is needed"),
    ],
)
def test_senseless_options_are_refused(make: Callable[[], Any], message: str) -> None:
    """An option that makes no sense is refused with what may stand there."""
    with pytest.raises(ValueError, match=r".") as caught:
        make()

    assert str(caught.value) == message
