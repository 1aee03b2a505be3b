"""Greedy search against a slow and obvious version that goes through images and loops."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from le_bench_plugins.explainers.linear.greedy import Found, GreedyRules, greedy_search
from le_bench_plugins.explainers.linear.least_squares import ScaledMoments, fit_all
from le_bench_plugins.explainers.linear.moments import moments


def scaled_moments(P: np.ndarray, A: np.ndarray, num_train: int) -> ScaledMoments:
    presence, activations = torch.tensor(P), torch.tensor(A)
    return ScaledMoments.of(
        moments(presence[:num_train], activations[:num_train]),
        moments(presence[num_train:], activations[num_train:]),
    )


def lstsq(P: np.ndarray, a: np.ndarray) -> np.ndarray:
    design = np.column_stack([P, np.ones(len(P))])
    return np.linalg.lstsq(design, a, rcond=1e-9)[0]


def leftover(others: np.ndarray, column: np.ndarray) -> float:
    """Share of a column's variance that least squares on others leaves."""
    design = np.column_stack([others, np.ones(len(others))])
    left = column - design @ np.linalg.lstsq(design, column, rcond=1e-12)[0]
    return float(left.var() / column.var())


def slow_search(
    P: np.ndarray, a: np.ndarray, num_train: int, order: list[int], rules: GreedyRules
) -> tuple[list[int], np.ndarray, float]:
    """Algorithm 1 of the paper for one unit, with least squares over the images.

    With width "all" the order is that of the concepts, and nothing is rejected.
    """
    P_train, P_val, a_train, a_val = P[:num_train], P[num_train:], a[:num_train], a[num_train:]
    chosen: list[int] = []
    rejected: set[int] = set()
    best_so_far, weights = 0.0, np.empty(0)
    while len(chosen) < rules.max_length:
        candidates = [c for c in order if c not in chosen and c not in rejected]
        if rules.width != "all":
            candidates = candidates[: rules.width]
        winner, best = None, best_so_far
        for candidate in candidates:
            solution = lstsq(P_train[:, [*chosen, candidate]], a_train)
            predicted = P_val[:, [*chosen, candidate]] @ solution[:-1]
            collinear = chosen and leftover(P_train[:, chosen], P_train[:, candidate]) < 1e-6
            negative = not rules.signed and solution[:-1].min() <= 0
            if np.ptp(predicted) < 1e-9 or collinear or negative:
                if chosen and rules.width != "all":
                    rejected.add(candidate)
                continue
            correlation = np.corrcoef(predicted, a_val)[0, 1]
            if chosen and correlation - best_so_far < rules.tolerance - 1e-9:
                if rules.width != "all":
                    rejected.add(candidate)
            elif correlation > best + 1e-9:
                winner, best, weights = candidate, correlation, solution[:-1]
        if winner is None:
            break
        chosen.append(winner)
        best_so_far = best
    return chosen, weights, best_so_far


def draw(
    seed: int, num_images: int = 90, one_hot: bool = False, num_units: int = 4
) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    if one_hot:
        classes = np.eye(8)[random.integers(8, size=num_images)]
        classes[:8] = np.eye(8)
        groups = classes @ np.eye(3)[np.arange(8) % 3]
        P = np.column_stack([classes, groups])
    else:
        P = random.random((num_images, 14)) ** 3
        P[:, 3] = 0.9 * P[:, 2] + 0.1 * P[:, 3]
    weights = random.normal(size=(P.shape[1], num_units)) * (random.random(num_units) < 0.9)
    A = P @ weights + 0.4 * random.normal(size=(num_images, num_units))
    return P.astype(np.float32), A.astype(np.float32)


def concepts_of(found: Found, unit: int) -> list[int]:
    return [c for c in found.concepts[unit].tolist() if c >= 0]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    one_hot=st.booleans(),
    rules=st.builds(
        GreedyRules,
        width=st.sampled_from([1, 3, 10, "all"]),
        max_length=st.sampled_from([1, 2, 10]),
        tolerance=st.sampled_from([0.001, 0.02, 0.1]),
        signed=st.booleans(),
    ),
)
def test_agrees_with_loops_over_images(seed: int, one_hot: bool, rules: GreedyRules) -> None:
    """The same concepts in the same order, weights and correlation as least squares in loops."""
    P, A = draw(seed, one_hot=one_hot)
    random = np.random.default_rng(seed)
    orders = np.stack([random.permutation(P.shape[1]) for _ in range(A.shape[1])], 1)
    if rules.width == "all":
        orders = np.tile(np.arange(P.shape[1])[:, None], A.shape[1])

    scaled = scaled_moments(P, A, 60)
    found = greedy_search(scaled, None if rules.width == "all" else torch.tensor(orders), rules)

    wide_P, wide_A = P.astype(np.float64), A.astype(np.float64)
    for unit in range(A.shape[1]):
        chosen, weights, correlation = slow_search(
            wide_P, wide_A[:, unit], 60, orders[:, unit].tolist(), rules
        )
        assert concepts_of(found, unit) == chosen
        raw = found.weights[unit, : len(chosen)] / scaled.deviation[chosen]
        np.testing.assert_allclose(raw, weights, rtol=1e-5, atol=1e-7)
        if chosen:
            np.testing.assert_allclose(found.correlation[unit], correlation, atol=1e-9)
        else:
            assert bool(found.correlation[unit].isnan())


def test_names_at_full_length_are_those_chosen() -> None:
    """At max_length the last concept is the last one chosen, not the last one tried."""
    random = np.random.default_rng(0)
    P = random.random((200, 6))
    A = (P[:, :2] @ np.array([2.0, 1.0]) + 0.01 * random.normal(size=200))[:, None]
    scaled = scaled_moments(P.astype(np.float32), A.astype(np.float32), 150)

    found = greedy_search(scaled, torch.arange(6)[:, None], GreedyRules(max_length=2))

    assert concepts_of(found, 0) == [0, 1]


def test_rejected_once_is_rejected_for_ever() -> None:
    """A concept that gained nothing beside the first is not tried again beside the second.

    Concept 1 is the noise in concept 2: of no use beside 0, of much use beside 0 and 2.
    """
    strong, hidden, noise = np.random.default_rng(0).normal(size=(3, 4000))
    P = np.column_stack([strong, noise, hidden + noise]).astype(np.float32)
    A = (2 * strong + hidden)[:, None].astype(np.float32)
    scaled = scaled_moments(P, A, 3000)
    patient = GreedyRules(width=1, max_length=3)  # meets concept 1 after rejecting nothing

    found = greedy_search(scaled, torch.tensor([[0], [1], [2]]), GreedyRules())
    in_time = greedy_search(scaled, torch.tensor([[0], [2], [1]]), patient)

    assert concepts_of(found, 0) == [0, 2]
    assert concepts_of(in_time, 0) == [0, 2, 1]
    assert float(in_time.correlation[0] - found.correlation[0]) > 0.02


def test_first_concept_is_exempt_from_the_tolerance() -> None:
    """A unit that correlates with one concept by less than the tolerance still gets it."""
    random = np.random.default_rng(0)
    P = random.random((4000, 2)).astype(np.float32)
    A = (0.2 * P[:, :1] + 5 * random.normal(size=(4000, 1))).astype(np.float32)
    scaled = scaled_moments(P, A, 2000)

    found = greedy_search(scaled, torch.arange(2)[:, None], GreedyRules(tolerance=0.9))

    assert len(concepts_of(found, 0)) == 1
    assert 0 < float(found.correlation[0]) < 0.9


def test_no_positive_correlation_gives_no_concept() -> None:
    """If every candidate's fit correlates negatively on val, nothing is chosen."""
    P = np.array([[0.0], [1.0], [0.0], [1.0]], dtype=np.float32)
    A = np.array([[0.0], [1.0], [1.0], [0.0]], dtype=np.float32)

    found = greedy_search(scaled_moments(P, A, 2), torch.zeros(1, 1).long(), GreedyRules())

    assert concepts_of(found, 0) == []
    assert bool(found.correlation.isnan().all())


def test_collinear_candidate_is_refused() -> None:
    """A concept that the others explain to all but 1e-6 has no weight; one at 1e-5 has."""
    random = np.random.default_rng(0)
    a, b, noise = random.normal(size=(3, 500))
    A = (a + 2 * b + 3 * noise)[:, None]

    def chosen(own: float) -> list[int]:
        P = np.column_stack([a, b, a + b + own * noise])
        presence, activations = torch.tensor(P), torch.tensor(A)
        split = moments(presence, activations)
        rules = GreedyRules(width=1, tolerance=0.0)
        found = greedy_search(ScaledMoments.of(split, split), torch.arange(3)[:, None], rules)
        return concepts_of(found, 0)

    assert chosen(1e-4) == [0, 1]
    assert chosen(1e-2) == [0, 1, 2]


def test_float32_moments_refuse_what_they_cannot_tell() -> None:
    """With float32 moments a concept is collinear at 1e-4; other searches end the same."""
    random = np.random.default_rng(0)
    P, A = draw(1, num_images=3000)
    order = torch.arange(P.shape[1])[:, None].expand(-1, A.shape[1]).contiguous()
    presence, activations = torch.tensor(P), torch.tensor(A)

    def search(dtype: torch.dtype) -> Found:
        train = moments(presence[:2000], activations[:2000], dtype=dtype)
        val = moments(presence[2000:], activations[2000:], dtype=dtype)
        return greedy_search(ScaledMoments.of(train, val), order, GreedyRules())

    wide, narrow = search(torch.float64), search(torch.float32)

    assert torch.equal(wide.concepts, narrow.concepts)
    torch.testing.assert_close(narrow.weights, wide.weights, rtol=0, atol=1e-4)
    torch.testing.assert_close(narrow.correlation, wide.correlation, rtol=0, atol=1e-5)
    near = P[:, 0] + 0.003 * random.normal(size=3000) * P[:, 0].std()
    split = moments(
        torch.tensor(np.column_stack([P[:, 0], near])).float(),
        activations[:, :1],
        dtype=torch.float32,
    )
    alone = greedy_search(
        ScaledMoments.of(split, split), torch.arange(2)[:, None], GreedyRules(tolerance=0.0)
    )
    assert len(concepts_of(alone, 0)) == 1


def test_fit_of_collinear_top_concepts_has_least_norm() -> None:
    """Two twins in a fixed set share the weight that one of them would have."""
    random = np.random.default_rng(0)
    P = random.random((100, 2))
    P = np.column_stack([P[:, 0], P[:, 0], P[:, 1]])
    A = (P @ np.array([1.0, 1.0, -1.0]))[:, None]
    presence, activations = torch.tensor(P), torch.tensor(A)
    scaled = ScaledMoments.of(moments(presence, activations), moments(presence, activations))

    weights = fit_all(scaled, torch.tensor([[0, 1, 2]])) / scaled.deviation

    np.testing.assert_allclose(weights[0], [1.0, 1.0, -1.0], rtol=1e-9)


def test_units_are_searched_apart() -> None:
    """A unit's search is the same alone and among others."""
    P, A = draw(5, num_units=6)
    orders = torch.stack(
        [torch.randperm(14, generator=torch.Generator().manual_seed(u)) for u in range(6)], 1
    )
    rules = GreedyRules()

    together = greedy_search(scaled_moments(P, A, 60), orders, rules)

    for unit in range(6):
        alone = greedy_search(scaled_moments(P, A[:, [unit]], 60), orders[:, [unit]], rules)
        assert torch.equal(alone.concepts[0], together.concepts[unit])
        torch.testing.assert_close(alone.weights[0], together.weights[unit])
