"""The exact solver against scikit-learn and glm-saga, and its laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import ElasticNet

from le_bench_plugins.explainers.linear.elastic_net import (
    Penalty,
    RankingProblem,
    objective,
    order_concepts,
    relative_gap,
    standardise,
)
from le_bench_plugins.explainers.linear.exact_solver import Exact
from le_bench_plugins.explainers.linear.glm_saga_solver import GlmSaga
from le_bench_plugins.explainers.linear.moments import moments
from le_bench_plugins.explainers.linear.working_set import WorkingSets, solve_working_sets

PAPER = Penalty(0.05 / 0.99, 0.99)


def make_problem(
    seed: int = 0,
    *,
    penalty: Penalty = PAPER,
    num_concepts: int = 100,
    num_units: int = 6,
    dtype: torch.dtype = torch.float64,
) -> RankingProblem:
    """Correlated concepts, some nearly collinear, as an encoder sees a hierarchy of classes."""
    random = torch.Generator().manual_seed(seed)
    num_images = 400
    causes = torch.randn(num_images, 9, generator=random)
    own = torch.randn(num_images, num_concepts, generator=random)
    loads = torch.randn(9, num_concepts, generator=random)
    presence = torch.sigmoid(causes @ loads + 0.7 * own - 2)
    presence[:, 1] = 0.99 * presence[:, 0] + 0.01 * presence[:, 1]
    chosen = torch.rand(num_concepts, num_units, generator=random) < 0.1
    weights = chosen * torch.randn(num_concepts, num_units, generator=random)
    noise = torch.randn(num_images, num_units, generator=random)
    activations = presence @ weights + 0.3 * noise
    train, val = slice(0, 300), slice(300, 400)
    return standardise(
        moments(presence[train], activations[train], dtype=dtype),
        moments(presence[val], activations[val], dtype=dtype),
        penalty,
        lambda: (presence[train], activations[train]),
    )


def solve_with_sklearn(problem: RankingProblem) -> torch.Tensor:
    """The solution by coordinate descent on pseudo-images of the same moments, in float64."""
    factor = torch.linalg.cholesky(problem.gram + 1e-15 * torch.eye(len(problem.gram)))
    num_images = len(factor)
    x = (factor.T * num_images**0.5).numpy()
    z = (torch.linalg.solve_triangular(factor, problem.cross, upper=False)).numpy()
    z = z * num_images**0.5
    net = ElasticNet(
        alpha=problem.penalty.lam,
        l1_ratio=problem.penalty.alpha,
        tol=1e-14,
        max_iter=1_000_000,
        fit_intercept=False,
    )
    return torch.tensor(np.stack([net.fit(x, z[:, unit]).coef_ for unit in range(z.shape[1])], 1))


@pytest.mark.parametrize("alpha", [0.99, 0.5, 1.0])
@pytest.mark.parametrize("lam", [0.05, 0.5])
def test_agrees_with_sklearn(lam: float, alpha: float) -> None:
    """The same objective within 1e-6, the same support and the same ten best as scikit-learn."""
    problem = make_problem(penalty=Penalty(lam, alpha))

    found = Exact().solve(problem, 10)

    expected = solve_with_sklearn(problem)
    least = objective(problem, expected)
    assert bool(((objective(problem, found.weights) - least) / least < 1e-10).all())
    assert torch.equal(found.weights != 0, expected.abs() > 1e-9)
    torch.testing.assert_close(found.weights, expected, rtol=1e-6, atol=1e-8)
    assert torch.equal(found.order, order_concepts(problem, expected, 10))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), lam=st.sampled_from([0.01, 0.05, 0.2]))
def test_certificate_is_true_and_tight(seed: int, lam: float) -> None:
    """The reported gap is that of the weights, and at most 1e-6."""
    problem = make_problem(seed, penalty=Penalty(lam, 0.99), num_concepts=60, num_units=3)

    found = Exact().solve(problem, 20)

    torch.testing.assert_close(found.gap, relative_gap(problem, found.weights), rtol=0, atol=1e-12)
    assert float(found.gap.abs().max()) < 1e-6
    assert torch.equal(found.order, order_concepts(problem, found.weights, 20))


def test_objective_is_never_above_that_of_glm_saga() -> None:
    """Neither the converged package nor its stochastic protocol reaches a lower objective."""
    problem = make_problem(num_concepts=30, num_units=3)

    least = objective(problem, Exact().solve(problem, 10).weights)

    for solver in (GlmSaga(), GlmSaga(protocol="stochastic", stochastic_epochs=20)):
        reached = objective(problem, solver.solve(problem, 10).weights)
        assert bool((least <= reached * (1 + 1e-12)).all())


def test_units_together_apart_and_in_any_order() -> None:
    """A unit has the same ranking alone, among others, and wherever it stands among them."""
    problem = make_problem()
    together = Exact().solve(problem, 20)

    for units in ([0], [5], [5, 4, 3, 2, 1, 0], [2, 4]):
        some = replace(
            problem,
            cross=problem.cross[:, units],
            power=problem.power[units],
            offset=problem.offset[units],
        )
        found = Exact().solve(some, 20)
        torch.testing.assert_close(found.weights, together.weights[:, units], rtol=0, atol=1e-10)
        assert torch.equal(found.order, together.order[:, units])


def test_scaled_activations_scale_weights() -> None:
    """Cross moments and penalty times a factor give weights times that factor."""
    problem = make_problem()
    scaled = replace(
        problem,
        cross=3 * problem.cross,
        power=9 * problem.power,
        penalty=Penalty(PAPER.l1 * 3 + PAPER.l2, PAPER.l1 * 3 / (PAPER.l1 * 3 + PAPER.l2)),
    )

    found = Exact().solve(scaled, 10).weights

    torch.testing.assert_close(found, 3 * Exact().solve(problem, 10).weights, rtol=1e-6, atol=1e-9)


def test_float32_is_near_float64() -> None:
    """A float32 problem gives weights within 1e-4 and a certificate of at most 1e-5."""
    wide = Exact().solve(make_problem(), 10)
    narrow = Exact().solve(make_problem(dtype=torch.float32), 10)

    assert narrow.weights.dtype == torch.float32
    torch.testing.assert_close(narrow.weights.double(), wide.weights, rtol=0, atol=1e-4)
    assert float(narrow.gap.abs().max()) < 1e-5


def test_path_has_the_solution_of_each_penalty() -> None:
    """A path of penalties gives for each what solving it alone gives."""
    problem = make_problem()
    penalties = [Penalty(lam, 0.99) for lam in (0.4, 0.1, 0.03)]

    path = list(Exact().solve_path(problem, penalties, 10))

    for penalty, ranking in zip(penalties, path, strict=True):
        alone = Exact().solve(replace(problem, penalty=penalty), 10)
        torch.testing.assert_close(ranking.weights, alone.weights, rtol=0, atol=1e-8)
        assert torch.equal(ranking.order, alone.order)


def test_collinear_concepts_without_ridge() -> None:
    """With alpha 1 and one-hot classes beside their sums the optimum is reached all the same."""
    random = torch.Generator().manual_seed(0)
    classes = torch.eye(8)[torch.randint(8, (200,), generator=random)]
    presence = torch.cat([classes, classes @ torch.eye(2).repeat(4, 1)], 1)
    activations = presence @ torch.randn(10, 4, generator=random)
    split = moments(presence, activations)
    problem = standardise(split, split, Penalty(0.05, 1.0), lambda: (presence, activations))

    found = Exact().solve(problem, 10)

    assert float(found.gap.abs().max()) < 1e-6


def test_strong_penalty_leaves_every_weight_at_zero() -> None:
    """Above the largest correlation nothing enters; the order is that of the correlations."""
    problem = make_problem(penalty=Penalty(5.0, 0.99))

    found = Exact().solve(problem, 100)

    assert not found.weights.any()
    assert torch.equal(found.order, problem.cross.argsort(dim=0, descending=True))


def test_no_concepts_or_units() -> None:
    """A problem without concepts or units has an empty ranking."""
    problem = make_problem()
    no_units = replace(problem, cross=problem.cross[:, :0], power=problem.power[:0])
    no_concepts = replace(problem, gram=problem.gram[:0, :0], cross=problem.cross[:0])

    assert Exact().solve(no_units, 10).order.shape == (10, 0)
    assert Exact().solve(no_concepts, 10).order.shape == (0, 6)


def test_padding_takes_no_part() -> None:
    """A working set padded by other concepts has the weights of the set alone."""
    problem = make_problem(num_concepts=12, num_units=1)
    gram, cross = problem.gram[None], problem.cross.T
    inside = torch.arange(12)[None] < 8

    padded, alone = (
        solve_working_sets(
            WorkingSets(
                gram[:, :m, :m],
                cross[:, :m],
                0 * cross[:, :m],
                inside[:, :m],
                PAPER.l1,
                PAPER.l2,
                1e-10,
            ),
            most_steps=100,
        )
        for m in (12, 8)
    )

    assert padded[1].all()
    assert alone[1].all()
    assert not padded[0][:, 8:].any()
    torch.testing.assert_close(padded[0][:, :8], alone[0], rtol=0, atol=1e-12)


def test_only_optimal_units_are_called_so() -> None:
    """After one step those units are called optimal that have scikit-learn's weights."""
    problem = make_problem(num_concepts=12, num_units=40)
    shape = problem.cross.T.shape
    sets = WorkingSets(
        problem.gram.expand(len(problem.cross.T), -1, -1),
        problem.cross.T,
        torch.zeros(shape, dtype=torch.float64),
        torch.ones(shape, dtype=torch.bool),
        PAPER.l1,
        PAPER.l2,
        1e-10,
    )

    weights, optimal = solve_working_sets(sets, most_steps=1)

    close = torch.isclose(weights, solve_with_sklearn(problem).T, rtol=0, atol=1e-6).all(1)
    assert 0 < optimal.sum() < len(optimal)
    assert torch.equal(optimal, close)
