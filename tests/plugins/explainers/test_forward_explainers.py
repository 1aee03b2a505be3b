"""Forward selection and prudent explanations on planted worlds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from le_bench.components import Explainer
from le_bench.errors import PluginError
from le_bench.testing.worlds import PlantedEncoder, Recipe, plant
from le_bench_plugins.explainers.linear.explainers import LESigLIP
from le_bench_plugins.explainers.linear.forward import LEForward
from le_bench_plugins.explainers.linear.least_squares import doubted
from le_bench_plugins.explainers.linear.moments import moments, pooled
from le_bench_plugins.explainers.linear.prudent import LEPrudent

ENCODER = PlantedEncoder("explainer")
WORLD = Recipe(num_images=(200, 60, 40), num_units=4, terms_per_unit=3)
EVERY = [
    LEForward(),
    LEForward(encoder=ENCODER),
    LEPrudent(),
    LEPrudent(encoder=ENCODER),
]
every_explainer = pytest.mark.parametrize("explainer", EVERY, ids=str)


@every_explainer
def test_units_together_or_apart(explainer: Explainer) -> None:
    """Units together and one by one have the same explanations."""
    world = plant(WORLD)

    together = explainer.explain(world.evidence())

    for unit in range(4):
        (alone,) = explainer.explain(world.evidence(units=[unit]))
        assert [term.concept for term in alone.terms] == [
            term.concept for term in together[unit].terms
        ]
        for one, other in zip(alone.terms, together[unit].terms, strict=True):
            assert one.weight == pytest.approx(other.weight, rel=1e-9)


@every_explainer
def test_order_of_images_is_irrelevant(explainer: Explainer) -> None:
    """Shuffling train and val images changes nothing but the rounding of an encoder's cosines."""
    world = plant(WORLD)
    shuffled = replace(world, rows={split: rows.flip(0) for split, rows in world.rows.items()})

    plain, found = explainer.explain(world.evidence()), explainer.explain(shuffled.evidence())

    for one, other in zip(plain, found, strict=True):
        assert [term.concept for term in one.terms] == [term.concept for term in other.terms]
        for a, b in zip(one.terms, other.terms, strict=True):
            assert a.weight == pytest.approx(b.weight, rel=1e-6)


@every_explainer
def test_constant_and_duplicate_concepts_change_nothing(explainer: Explainer) -> None:
    """Concepts that are everywhere, or copies of others, leave explanations as they were."""
    longer = plant(replace(WORLD, constant_concepts=2, duplicate_concepts=3))

    plain, found = explainer.explain(plant(WORLD).evidence()), explainer.explain(longer.evidence())

    for one, other in zip(plain, found, strict=True):
        assert {t.concept: pytest.approx(t.weight, rel=1e-5) for t in one.terms} == {
            t.concept: t.weight for t in other.terms
        }


@every_explainer
def test_unusable_units_have_reasons(explainer: Explainer) -> None:
    """A dead and a NaN unit get a reason."""
    world = plant(replace(WORLD, dead_units=(1,), nan_units=(3,)))

    explanations = explainer.explain(world.evidence())

    assert [bool(explanation.reason) for explanation in explanations] == [False, True, False, True]


def test_forward_sees_what_a_ranking_hides() -> None:
    """A concept of negative weight comes last in a ranking, and is found all the same."""
    world = plant(replace(WORLD, num_classes=8, num_attributes=9, blur=0.3))
    activations = world.presence[:, 9:13] - 0.8 * world.presence[:, 10:14]
    world = replace(world, activations=activations)

    ranked = LESigLIP(encoder=ENCODER).explain(world.evidence())
    forward = LEForward(encoder=ENCODER).explain(world.evidence())

    assert not any(term.weight < 0 for explanation in ranked for term in explanation.terms)
    for unit, explanation in enumerate(forward):
        assert explanation.terms[0].concept == f"attribute {unit}"
        assert explanation.terms[-1].concept == f"attribute {unit + 1}"
        assert explanation.terms[-1].weight < 0


def test_pooled_moments_are_those_of_all_images() -> None:
    """Moments of two splits make those of their images together."""
    random = torch.Generator().manual_seed(0)
    presence = torch.rand(50, 4, generator=random)
    activations = torch.randn(50, 3, generator=random) + presence[:, :1] * torch.arange(50)[:, None]

    found = pooled(
        moments(presence[:40], activations[:40]), moments(presence[40:], activations[40:])
    )

    expected = moments(presence, activations)
    for name, value in expected.tensors("x").items():
        torch.testing.assert_close(found.tensors("x")[name], value)


def test_doubt_adds_the_variance_that_presence_hides() -> None:
    """With full doubt the variance is that of a truth drawn from presence; labels stay."""
    random = torch.Generator().manual_seed(0)
    presence = torch.rand(200_000, 2, generator=random)
    presence[:, 1] = (presence[:, 1] > 0.7).float()
    truth = (torch.rand(presence.shape, generator=random) < presence).float()
    split = moments(presence, presence[:, :1])

    scaled = doubted(split, 1.0)

    variance = scaled.train.gram.diagonal().double()
    torch.testing.assert_close(variance, truth.double().var(0), rtol=0.01, atol=0)
    assert float(variance[1]) == pytest.approx(float(scaled.deviation[1]) ** 2)


def test_doubt_prefers_what_is_plain_to_see() -> None:
    """Of two concepts that tell the same, doubt takes the one that the encoder is sure of."""
    world = plant(replace(WORLD, num_images=(2000, 400, 100)))
    random = torch.Generator().manual_seed(1)
    truth = torch.rand(2500, generator=random)
    sure = (truth > 0.6).float()
    faint = (0.45 + 0.1 * truth + 0.1 * sure).clamp(0, 1)
    view = world.presence.clone()
    view[:, 0], view[:, 1] = faint, sure
    activations = (faint - 0.45)[:, None] + 0.02 * torch.randn(2500, 1, generator=random)
    world = replace(world, presence=view, activations=activations)

    plain = LEPrudent(doubt=0.0, max_length=1).explain(world.evidence())
    prudent = LEPrudent(doubt=1.0, max_length=1).explain(world.evidence())

    assert plain[0].terms[0].concept == "class 0"
    assert prudent[0].terms[0].concept == "class 1"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: LEPrudent(doubt=-1.0),
            "doubt is -1; a share of the unseen variance is at least 0",
        ),
        (
            lambda: LEForward(tolerance=3.0),
            "tolerance is 3; a gain in correlation lies between 0 and 2",
        ),
    ],
)
def test_senseless_options_are_refused(make: Callable[[], Any], message: str) -> None:
    """An option out of range is refused with its value and its range."""
    with pytest.raises(ValueError, match=r".") as caught:
        make()

    assert str(caught.value) == message


def test_missing_labels_are_told() -> None:
    """Without labels and without an encoder there is nothing to explain with."""
    evidence = plant(WORLD).evidence()
    train = replace(evidence.train, label_presence=None)

    with pytest.raises(PluginError) as caught:
        LEForward().explain(replace(evidence, train=train))

    assert str(caught.value) == (
        "'le-forward' needs class labels, and the probe dataset has none; "
        "take an explainer with an encoder (le-siglip) or a dataset with labels"
    )
