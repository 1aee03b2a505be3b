"""Linear simulation against the formula written as loops."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from le_bench.formulas import simulation
from le_bench.formulas.simulation import concepts_of, simulate_linear
from le_bench.types import Explanation, Presence, Term


def draw(seed: int, units: int = 5, images: int = 9, concepts: int = 6) -> list[Explanation]:
    """Random explanations of different lengths, concepts repeated now and then."""
    generator = torch.Generator().manual_seed(seed)
    explanations = []
    for unit in range(units):
        length = int(torch.randint(1, 5, (1,), generator=generator))
        chosen = torch.randint(0, concepts, (length,), generator=generator).tolist()
        weights = torch.randn(length, generator=generator).tolist()
        terms = tuple(Term(f"c{c}", w) for c, w in zip(chosen, weights, strict=True))
        explanations.append(Explanation(unit, terms, bias=float(unit)))
    return explanations


def presence_of(explanations: list[Explanation], images: int = 9) -> Presence:
    """Random presence of their concepts."""
    concepts = concepts_of(explanations)
    generator = torch.Generator().manual_seed(0)
    return Presence(concepts, torch.rand(images, len(concepts), generator=generator))


def loops(explanation: Explanation, presence: Presence) -> list[float]:
    """The oracle: the formula, image by image and term by term."""
    place = {concept: column for column, concept in enumerate(presence.concepts)}
    return [
        sum(t.weight * float(row[place[t.concept]]) for t in explanation.terms) + explanation.bias
        for row in presence.values
    ]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_simulation_equals_the_formula(seed: int) -> None:
    """s = sum_i w_i P(c_i) + bias for each unit and image, repeated concepts counted twice."""
    explanations = draw(seed)
    presence = presence_of(explanations)

    simulated = simulate_linear(explanations, presence, "test")

    assert simulated.split == "test"
    assert simulated.values.dtype == torch.float32
    assert simulated.undefined == {}
    for unit, explanation in enumerate(explanations):
        assert simulated.values[:, unit].tolist() == pytest.approx(
            loops(explanation, presence), abs=1e-6
        )


def test_units_alone_and_together_and_blocks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither other units nor the block size change a unit's simulation."""
    explanations = draw(3, units=8)
    presence = presence_of(explanations)

    together = simulate_linear(explanations, presence, "val").values
    monkeypatch.setattr(simulation, "BLOCK_ROWS", 2)
    alone = [simulate_linear([each], presence, "val").values[:, 0] for each in explanations]

    assert torch.equal(together, torch.stack(alone, 1))


def test_unit_without_terms_is_nan_with_its_reason() -> None:
    """What cannot be explained is not simulated, and touches no other unit."""
    explained = Explanation(1, (Term("c0", 2.0),))
    silent = Explanation(0, (), reason="the unit is dead")
    presence = Presence(("c0",), torch.tensor([[0.5], [1.0]]))

    simulated = simulate_linear([silent, explained], presence, "test")

    assert bool(simulated.values[:, 0].isnan().all())
    assert simulated.values[:, 1].tolist() == [1.0, 2.0]
    assert simulated.undefined == {0: "the unit is dead"}


def test_all_units_undefined() -> None:
    """Nothing to simulate is no error."""
    silent = Explanation(0, (), reason="the unit is dead")

    simulated = simulate_linear([silent], Presence((), torch.empty(3, 0)), "test")

    assert simulated.values.shape == (3, 1)
    assert simulated.undefined == {0: "the unit is dead"}


def test_nan_of_one_concept_stays_with_its_units() -> None:
    """A broken concept does not poison the matrix product of the others."""
    explanations = [Explanation(0, (Term("good"),)), Explanation(1, (Term("bad"), Term("good")))]
    presence = Presence(("good", "bad"), torch.tensor([[1.0, float("nan")]]))

    simulated = simulate_linear(explanations, presence, "test")

    assert simulated.values.isnan().tolist() == [[False, True]]


def test_caller_may_declare_units_undefined() -> None:
    """Further reasons are kept beside those of explanations."""
    explanations = [Explanation(0, (Term("ghost"),)), Explanation(1, (), reason="dead")]

    simulated = simulate_linear(
        explanations, Presence((), torch.empty(2, 0)), "test", {0: "no ghost"}
    )

    assert simulated.undefined == {0: "no ghost", 1: "dead"}
    assert bool(simulated.values.isnan().all())


def test_concepts_are_listed_once_in_order_of_use() -> None:
    """Encoders embed each text once."""
    explanations = [
        Explanation(0, (Term("b"), Term("a"))),
        Explanation(1, (), reason="dead"),
        Explanation(2, (Term("a"), Term("c"))),
    ]

    assert concepts_of(explanations) == ("b", "a", "c")


def test_presence_must_be_unambiguous() -> None:
    """Two columns of one name are a fault of the caller."""
    presence = Presence(("a", "a"), torch.ones(2, 2))

    with pytest.raises(ValueError, match="a concept has more than one column of presence"):
        simulate_linear([Explanation(0, (Term("a"),))], presence, "test")
