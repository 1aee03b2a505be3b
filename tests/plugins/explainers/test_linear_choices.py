"""Linear explainers by other solvers, with other signs, and from presence in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from le_bench.testing.worlds import PlantedEncoder, Recipe, plant
from le_bench.types import ConceptSet, Explanation
from le_bench_plugins.explainers.linear.explainers import LEOracle, LESigLIP
from le_bench_plugins.explainers.linear.explaining import explain_by_greedy_search
from le_bench_plugins.explainers.linear.forward import LEForward
from le_bench_plugins.explainers.linear.presence import encoder_presence

ENCODER = PlantedEncoder("explainer")
WORLD = Recipe(num_images=(200, 60, 40), num_units=4, terms_per_unit=3)


def assert_same(first: Sequence[Explanation], second: Sequence[Explanation]) -> None:
    """Equal concepts and reasons and, up to rounding, weights."""
    for one, other in zip(first, second, strict=True):
        assert one.reason == other.reason
        assert [term.concept for term in one.terms] == [term.concept for term in other.terms]
        for a, b in zip(one.terms, other.terms, strict=True):
            assert b.weight == pytest.approx(a.weight, rel=1e-3, abs=1e-5)


def test_solvers_give_the_same_explanations() -> None:
    """The exact solver and the converged glm-saga explain alike."""
    world = plant(replace(WORLD, noise=0.5))

    exact = LEOracle(solver="exact").explain(world.evidence())
    saga = LEOracle(solver="glm-saga").explain(world.evidence())

    assert_same(exact, saga)


def test_unsigned_weights_are_all_positive() -> None:
    """Without signed weights each term has a positive one; with them some have not."""
    world = plant(replace(WORLD, seed=3))
    activations = world.presence[:, 5:9] - 0.8 * world.presence[:, 6:10]
    world = replace(world, activations=activations)

    signed = LEOracle(width=12).explain(world.evidence())
    unsigned = LEOracle(width=12, signed=False).explain(world.evidence())

    assert any(term.weight < 0 for explanation in signed for term in explanation.terms)
    assert all(term.weight > 0 for explanation in unsigned for term in explanation.terms)


def test_every_concept_can_be_a_candidate_in_every_round() -> None:
    """With `width = "all"` an explainer searches as `le-forward` does, without a ranking."""
    world = plant(WORLD)

    wide = LESigLIP(encoder=ENCODER, width="all").explain(world.evidence())
    forward = LEForward(encoder=ENCODER).explain(world.evidence())

    assert wide == forward
    assert "duality gap" not in wide[0].figures


def test_figures_are_the_val_correlation_and_the_certificate() -> None:
    """The correlation is that of the explanation on val images, by numpy; the gap is tiny."""
    world = plant(WORLD)
    rows = world.rows["val"]

    explained = LEOracle().explain(world.evidence())

    for explanation in explained:
        columns = [world.concepts.index(term.concept) for term in explanation.terms]
        weights = np.array([term.weight for term in explanation.terms])
        simulated = world.presence[rows][:, columns].numpy() @ weights
        real = world.activations[rows, explanation.unit].numpy()
        expected = np.corrcoef(simulated, real)[0, 1]
        assert explanation.figures["val correlation"] == pytest.approx(expected, abs=1e-6)
        assert 0 <= explanation.figures["duality gap"] <= 1e-8


def test_working_memory_changes_nothing() -> None:
    """With the least working memory explanations are the same up to rounding."""
    world = plant(WORLD)

    plain = LEOracle().explain(world.evidence())
    tight = LEOracle().explain(replace(world.evidence(), working_bytes=1))

    assert_same(plain, tight)


def test_presence_made_in_blocks_explains_alike() -> None:
    """Presence that never stands in memory as a whole gives the same explanations."""
    world = plant(WORLD)
    plain = LESigLIP(encoder=ENCODER).explain(world.evidence())
    evidence = world.evidence()
    streamed = encoder_presence(evidence, ENCODER, ConceptSet("dataset"), "x", most_bytes=0)
    explainer = LESigLIP(encoder=ENCODER)

    found = explain_by_greedy_search(streamed, evidence, explainer.ranking(), explainer.rules())

    assert_same(plain, found)


def test_stochastic_solver_finds_the_same_concepts() -> None:
    """The authors' protocol, run long enough for a small world, ends at the same concepts."""
    world = plant(replace(WORLD, noise=0.1, num_images=(2000, 200, 50)))

    exact = LEOracle().explain(world.evidence())
    stochastic = LEOracle(solver="glm-saga-stochastic").explain(world.evidence(seed=5))

    assert_same(exact, stochastic)
