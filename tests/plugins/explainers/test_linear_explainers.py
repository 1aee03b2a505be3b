"""The linear explainers on planted worlds: answers, laws, options and errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from le_bench.components import Explainer
from le_bench.errors import PluginError
from le_bench.testing.worlds import PlantedEncoder, PlantedMemory, Recipe, plant
from le_bench.types import ConceptSet, Explanation
from le_bench_plugins.explainers.linear.explainers import (
    LECLIP,
    LELabel,
    LELabelTop,
    LEOracle,
    LESigLIP,
    LESigLIPTop,
)

ENCODER = PlantedEncoder("explainer")
WORLD = Recipe(num_images=(200, 60, 40), num_units=4, terms_per_unit=3)
EVERY = [
    LELabel(),
    LESigLIP(encoder=ENCODER),
    LECLIP(encoder=ENCODER),
    LELabelTop(k=4),
    LESigLIPTop(encoder=ENCODER),
    LEOracle(),
]
every_explainer = pytest.mark.parametrize("explainer", EVERY, ids=lambda explainer: explainer.name)


def assert_same(
    first: Sequence[Explanation], second: Sequence[Explanation], factor: float = 1.0
) -> None:
    """Equal concepts, reasons and, up to rounding, weights; a copy is as good as its original."""
    for one, other in zip(first, second, strict=True):
        assert one.reason == other.reason
        names = [[t.concept.removeprefix("copy of ") for t in e.terms] for e in (one, other)]
        assert names[0] == names[1]
        for a, b in zip(one.terms, other.terms, strict=True):
            assert b.weight == pytest.approx(factor * a.weight, rel=1e-3, abs=1e-5 * factor)
        assert other.bias == pytest.approx(factor * one.bias, rel=1e-3, abs=1e-4 * factor)


@pytest.mark.parametrize("explainer", [LESigLIP(encoder=ENCODER), LEOracle()])
def test_finds_the_planted_concepts(explainer: Explainer) -> None:
    """With little noise the terms are the planted ones, in the order of their weights."""
    world = plant(Recipe(noise=0.1, num_images=(600, 200, 50), num_units=6))
    noise = torch.randn(850, 6, generator=torch.Generator().manual_seed(0))
    activations = world.presence[:, 5:11] + 0.6 * world.presence[:, 6:12] + 0.1 * noise
    world = replace(world, activations=activations)

    explanations = explainer.explain(world.evidence())

    for unit, explanation in enumerate(explanations):
        concepts = [term.concept for term in explanation.terms]
        assert concepts == [f"attribute {unit}", f"attribute {unit + 1}"]


def test_oracle_recovers_weights_and_bias() -> None:
    """Without noise the oracle gives planted weights and bias."""
    world = plant(Recipe(noise=0.0, num_classes=5, num_units=6, seed=1))

    explanations = LEOracle(tolerance=0.0, max_length=2).explain(world.evidence())

    for explanation in explanations:
        planted = world.terms(explanation.unit)
        assert {t.concept: pytest.approx(t.weight, abs=1e-5) for t in explanation.terms} == planted
        assert explanation.bias == pytest.approx(0.5, abs=1e-5)


@every_explainer
def test_units_together_or_apart(explainer: Explainer) -> None:
    """Units together, one by one and in reverse order have the same explanations."""
    world = plant(WORLD)

    together = explainer.explain(world.evidence())

    reverse = explainer.explain(world.evidence(units=[3, 2, 1, 0]))
    assert_same(together, [replace(reverse[3 - unit], unit=unit) for unit in range(4)])
    for unit in range(4):
        assert_same([together[unit]], explainer.explain(world.evidence(units=[unit])))


@every_explainer
def test_order_of_images_is_irrelevant(explainer: Explainer) -> None:
    """Shuffling train and val images changes nothing at all."""
    world = plant(WORLD)
    shuffled = replace(world, rows={split: rows.flip(0) for split, rows in world.rows.items()})

    assert explainer.explain(world.evidence()) == explainer.explain(shuffled.evidence())


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), constant=st.integers(0, 2), copies=st.integers(0, 3))
def test_constant_and_duplicate_concepts_change_nothing(
    seed: int, constant: int, copies: int
) -> None:
    """Concepts that are everywhere, or copies of others, leave explanations as they were."""
    plain = replace(WORLD, seed=seed)
    longer = replace(plain, constant_concepts=constant, duplicate_concepts=copies)

    for explainer in (LESigLIP(encoder=ENCODER), LESigLIPTop(encoder=ENCODER), LEOracle()):
        assert_same(
            explainer.explain(plant(plain).evidence()), explainer.explain(plant(longer).evidence())
        )


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), factor=st.sampled_from([0.001, 0.5, 3.0, 1e4]))
def test_scaled_activations_scale_weights(seed: int, factor: float) -> None:
    """Scaling a unit's activations scales weights and bias and leaves the concepts."""
    world = plant(replace(WORLD, seed=seed))
    scaled = replace(world, activations=factor * world.activations)

    for explainer in (LELabel(), LESigLIP(encoder=ENCODER), LESigLIPTop(encoder=ENCODER)):
        assert_same(
            explainer.explain(world.evidence()), explainer.explain(scaled.evidence()), factor
        )


@every_explainer
def test_unusable_units_have_reasons(explainer: Explainer) -> None:
    """A dead and a NaN unit get a reason and leave the others as they are."""
    healthy = explainer.explain(plant(WORLD).evidence())

    spoilt = explainer.explain(plant(replace(WORLD, dead_units=(1,), nan_units=(3,))).evidence())

    assert spoilt[1].terms == spoilt[3].terms == ()
    assert spoilt[1].reason == "the unit has the same activation on all train images"
    assert spoilt[3].reason == "the unit's activation is not a finite number on 1 train image"
    assert_same([healthy[0], healthy[2]], [spoilt[0], spoilt[2]])


@every_explainer
def test_all_units_unusable(explainer: Explainer) -> None:
    """A layer of dead units gives reasons alone."""
    world = plant(replace(WORLD, dead_units=(0, 1, 2, 3)))

    assert all(explanation.reason for explanation in explainer.explain(world.evidence()))


def test_unit_that_nothing_predicts_has_a_reason() -> None:
    """A unit whose val images contradict its train images is left unexplained."""
    world = plant(WORLD)
    activations = world.presence[:, :4].clone()
    activations[world.rows["val"]] *= -1
    world = replace(world, activations=activations)

    explanations = LELabel().explain(world.evidence())

    assert {explanation.reason for explanation in explanations} == {
        "no concept correlates with this unit on the validation split"
    }


def test_no_concept_occurs() -> None:
    """If no concept passes the filter each unit says so."""
    world = plant(WORLD)
    world = replace(world, presence=torch.zeros_like(world.presence))

    explanations = LELabel().explain(world.evidence())

    assert {explanation.reason for explanation in explanations} == {
        "none of 5 concepts is in the train and val images: the mean of its 5 largest presences "
        "must be at least 0.5"
    }


def test_one_image_a_split() -> None:
    """With one train and one val image each unit has a reason."""
    explanations = LEOracle().explain(plant(Recipe(num_images=(1, 1, 1))).evidence())

    assert all(explanation.reason for explanation in explanations)


def test_top_takes_k_concepts() -> None:
    """Without greedy search an explanation has k terms, or all concepts if there are fewer."""
    world = plant(WORLD)

    five = LESigLIPTop(encoder=ENCODER).explain(world.evidence())
    many = LESigLIPTop(encoder=ENCODER, k=200).explain(world.evidence())

    assert [len(explanation.terms) for explanation in five] == [5] * 4
    assert [len(explanation.terms) for explanation in many] == [len(world.concepts)] * 4


def test_moments_and_ranking_are_shared() -> None:
    """Explainers of one layer that see the same concepts compute moments and ranking once."""
    memory = PlantedMemory()
    evidence = replace(plant(WORLD).evidence(), memory=memory)

    LELabel().explain(evidence)
    LELabelTop().explain(evidence)
    LELabel(tolerance=0.1).explain(evidence)
    assert memory.computed == ["concept moments", "concept ranking"]

    LELabel(lam=0.2).explain(evidence)
    LEOracle().explain(evidence)
    assert memory.computed[2:] == ["concept ranking", "concept moments", "concept ranking"]


def test_evidence_is_left_alone() -> None:
    """Explaining changes neither activations nor presence."""
    world = plant(WORLD)
    evidence = world.evidence()
    before = evidence.train_activations.clone(), world.presence.clone()

    LEOracle().explain(evidence)

    assert torch.equal(evidence.train_activations, before[0])
    assert torch.equal(world.presence, before[1])


@pytest.mark.parametrize(
    ("explainer", "change", "message"),
    [
        (
            LELabel(),
            {"label_presence": None},
            "'le-label' needs class labels, and the probe dataset has none; "
            "take an explainer with an encoder (le-siglip) or a dataset with labels",
        ),
        (
            LEOracle(),
            {"concept_presence": None},
            "'le-oracle' needs annotated concepts, and the probe dataset has none; "
            "take le-label or le-siglip, or a dataset whose images are annotated",
        ),
        (
            LESigLIP(encoder=ENCODER, concepts=ConceptSet("nouns", ())),
            {},
            "'le-siglip' has no concepts: concept set 'nouns' is empty; "
            "give the explainer a concept set of its own",
        ),
    ],
)
def test_missing_presence_is_told(
    explainer: Explainer, change: dict[str, None], message: str
) -> None:
    """What the dataset lacks is named together with what to do."""
    evidence = plant(WORLD).evidence()
    views = {split: replace(getattr(evidence, split), **change) for split in ("train", "val")}

    with pytest.raises(PluginError) as caught:
        explainer.explain(replace(evidence, **views))

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LELabel(lam=-1), "lam is -1; the weight of the penalty must be above 0"),
        (lambda: LELabel(width=0), "width is 0; a round needs at least 1 candidate, or 'all'"),
        (
            lambda: LELabel(max_length=0),
            "max_length is 0; an explanation needs at least 1 concept",
        ),
        (
            lambda: LELabel(tolerance=-0.1),
            "tolerance is -0.1; a gain in correlation lies between 0 and 2",
        ),
        (lambda: LELabelTop(k=0), "k is 0; an explanation needs at least 1 concept"),
        (lambda: LELabel(solver="exat"), "unknown solver 'exat'; did you mean 'exact'?"),
    ],
)
def test_senseless_options_are_refused(make: Callable[[], Any], message: str) -> None:
    """An option out of range is refused with its value and its range."""
    with pytest.raises(ValueError, match=r".") as caught:
        make()

    assert str(caught.value).startswith(message)
