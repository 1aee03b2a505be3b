"""The two baselines: a random concept and the single best one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from le_bench.testing.worlds import PlantedEncoder, Recipe, plant
from le_bench_plugins.explainers.baselines import BestConcept, RandomConcept

ENCODER = PlantedEncoder("explainer")


def test_random_concepts_are_spread_over_those_that_occur() -> None:
    """Each concept that passes the filter is drawn about equally often, others never."""
    world = plant(Recipe(num_units=500, constant_concepts=1))

    explanations = RandomConcept(source="encoder", encoder=ENCODER).explain(world.evidence(seed=1))

    counts = Counter(explanation.terms[0].concept for explanation in explanations)
    assert set(counts) == set(world.concepts) - {"constant 0"}
    assert min(counts.values()) > 500 / 12 / 2
    assert all(explanation.terms[0].weight == 1.0 for explanation in explanations)


def test_random_concept_depends_on_seed_and_unit_alone() -> None:
    """More units or other activations change no draw; another seed does."""
    few, many = plant(Recipe(num_units=8)), plant(Recipe(num_units=30))
    explainer = RandomConcept()

    first = explainer.explain(few.evidence(seed=1))

    assert explainer.explain(many.evidence(seed=1))[:8] == first
    assert explainer.explain(few.evidence(seed=2)) != first


@pytest.mark.parametrize("encoder", [None, ENCODER])
def test_best_concept_correlates_best(encoder: PlantedEncoder | None) -> None:
    """The concept is the one of highest Pearson correlation over train and val images."""
    world = plant(Recipe(num_units=8))
    source = "labels" if encoder is None else "encoder"

    explanations = BestConcept(source=source, encoder=encoder).explain(world.evidence())  # type: ignore[arg-type]

    rows = torch.cat([world.rows["train"], world.rows["val"]])
    seen = world.presence[:, :5] if encoder is None else world.blurred
    for explanation in explanations:
        activations = world.activations[rows, explanation.unit].numpy()
        correlations = [np.corrcoef(p, activations)[0, 1] for p in seen[rows].numpy().T]
        best = world.concepts[int(np.argmax(correlations))]
        assert [term.concept for term in explanation.terms] == [best]


def test_best_concept_has_reasons() -> None:
    """Dead units, and units that no concept follows, get a reason."""
    world = plant(Recipe(dead_units=(0,)))
    activations = world.activations.clone()
    activations[:, 1] = torch.arange(len(activations)) % 2
    presence = torch.zeros_like(world.presence)
    presence[:, 0] = 1 - activations[:, 1]
    world = replace(world, activations=activations, presence=presence)

    explanations = BestConcept().explain(world.evidence())

    assert explanations[0].reason == "the unit has the same activation on all train images"
    assert explanations[1].reason == (
        "no concept correlates with this unit on train and val images"
    )


def test_nothing_occurs() -> None:
    """If no concept passes the filter both say so for each unit."""
    world = plant()
    world = replace(world, presence=torch.zeros_like(world.presence))

    for explainer in (RandomConcept(), BestConcept()):
        assert {explanation.reason for explanation in explainer.explain(world.evidence())} == {
            "none of the concepts is clearly present in the train and val images"
        }


def test_source_and_encoder_go_together() -> None:
    """An encoder without its source, and the source without encoder, are refused."""
    message = "source 'encoder' and the option encoder go together; give both or neither"

    for options in ({"source": "encoder"}, {"encoder": ENCODER}):
        with pytest.raises(ValueError, match=message):
            BestConcept(**options)  # type: ignore[arg-type]


def test_unknown_source_is_refused() -> None:
    """A source that does not exist is answered with those that do."""
    with pytest.raises(ValueError, match="source 'masks' does not exist; take 'labels' or"):
        RandomConcept(source="masks")  # type: ignore[arg-type]
