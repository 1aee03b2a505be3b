"""The ranking problem: objective, certificate and order against independent formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import ElasticNet

from le_bench_plugins.explainers.linear.elastic_net import (
    Penalty,
    RankingProblem,
    objective,
    order_concepts,
    relative_gap,
    standardise,
)
from le_bench_plugins.explainers.linear.moments import moments


def make_problem(
    num_concepts: int = 8, lam: float = 0.05, alpha: float = 0.9, seed: int = 0
) -> RankingProblem:
    random = torch.Generator().manual_seed(seed)
    common = torch.rand(90, 1, generator=random)
    presence = (common + torch.rand(90, num_concepts, generator=random)) / 2
    weights = torch.randn(num_concepts, 3, generator=random)
    activations = presence @ weights + 0.3 * torch.randn(90, 3, generator=random) + 2
    train, val = slice(0, 60), slice(60, 90)
    return standardise(
        moments(presence[train], activations[train]),
        moments(presence[val], activations[val]),
        Penalty(lam, alpha),
        lambda: (presence[train], activations[train]),
    )


def solve_with_sklearn(problem: RankingProblem) -> np.ndarray:
    x, z = (matrix.double().numpy() for matrix in problem.rows())
    net = ElasticNet(
        alpha=problem.penalty.lam, l1_ratio=problem.penalty.alpha, tol=1e-14, max_iter=1_000_000
    )
    return np.stack([net.fit(x, z[:, unit]).coef_ for unit in range(z.shape[1])], 1)


def test_standardised_as_the_authors_do() -> None:
    """Concepts by train mean and deviation, activations by those over train and val rows."""
    random = torch.Generator().manual_seed(0)
    presence = torch.rand(50, 3, generator=random)
    activations = torch.randn(50, 2, generator=random) * 4 + 1

    problem = standardise(
        moments(presence[:40], activations[:40]),
        moments(presence[40:], activations[40:]),
        Penalty(0.05, 0.99),
        lambda: (presence[:40], activations[:40]),
    )

    P, A = presence[:40].double(), activations.double()
    x, z = (P - P.mean(0)) / P.std(0), ((A - A.mean(0)) / A.std(0))[:40]
    torch.testing.assert_close(problem.rows()[0].double(), x, atol=1e-6, rtol=0)
    torch.testing.assert_close(problem.rows()[1].double(), z, atol=1e-6, rtol=0)
    torch.testing.assert_close(problem.gram, x.T @ x / 40)
    torch.testing.assert_close(problem.cross, x.T @ (z - z.mean(0)) / 40)
    torch.testing.assert_close(problem.power, z.var(0, correction=0))
    torch.testing.assert_close(problem.offset, z.mean(0))


def test_objective_is_the_mean_over_images() -> None:
    """The objective from moments equals the formula over images with the best bias."""
    problem = make_problem(lam=0.3, alpha=0.7)
    weights = torch.randn(8, 3, generator=torch.Generator().manual_seed(1)).double()

    found = objective(problem, weights)

    x, z = (matrix.double() for matrix in problem.rows())
    error = z - x @ weights
    expected = (
        0.5 * (error - error.mean(0)).square().mean(0)
        + 0.3 * 0.7 * weights.abs().sum(0)
        + 0.5 * 0.3 * 0.3 * weights.square().sum(0)
    )
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("alpha", [0.3, 0.99, 1.0])
def test_gap_vanishes_at_the_optimum(alpha: float) -> None:
    """At scikit-learn's solution, found on float32 images, the certificate is practically 0."""
    problem = make_problem(alpha=alpha)

    gap = relative_gap(problem, torch.tensor(solve_with_sklearn(problem)))

    assert float(gap.abs().max()) < 1e-6


def test_gap_bounds_the_excess() -> None:
    """Anywhere else the certificate is at least the excess over the least objective."""
    problem = make_problem(alpha=0.95)
    solution = torch.tensor(solve_with_sklearn(problem))
    least = objective(problem, solution)
    random = torch.Generator().manual_seed(0)

    for scale in (1e-3, 0.1, 1.0):
        weights = solution + scale * torch.randn(8, 3, generator=random).double()
        reached = objective(problem, weights)
        excess = (reached - least) / reached
        assert bool((relative_gap(problem, weights) >= excess - 1e-12).all())


def test_order_is_positive_then_nearest_zero_then_negative() -> None:
    """Positive weights descend, zeros follow by correlation with the residual, then negatives."""
    problem = RankingProblem(
        gram=torch.eye(7).double(),
        cross=torch.tensor([[0.9], [0.01], [-0.9], [0.04], [0.5], [-0.02], [-0.5]]).double(),
        power=torch.ones(1).double(),
        offset=torch.zeros(1).double(),
        penalty=Penalty(0.05, 1.0),
        rows=lambda: (torch.empty(0, 7), torch.empty(0, 1)),
    )
    weights = torch.tensor([[0.85], [0.0], [-0.85], [0.0], [0.45], [0.0], [-0.45]]).double()

    assert order_concepts(problem, weights, 7)[:, 0].tolist() == [0, 4, 3, 1, 5, 6, 2]
    assert order_concepts(problem, weights, 3)[:, 0].tolist() == [0, 4, 3]


def test_equal_concepts_keep_their_order() -> None:
    """Weights that differ by rounding alone count as equal: the earlier concept comes first."""
    problem = make_problem(num_concepts=3)
    weights = torch.tensor([[0.2], [0.2 + 1e-13], [0.3]], dtype=torch.float64).expand(3, 3)

    assert order_concepts(problem, weights, 3)[:, 0].tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("lam", "alpha", "message"),
    [
        (0.0, 0.5, "lam is 0; the weight of the penalty must be above 0"),
        (float("nan"), 0.5, "lam is nan; the weight of the penalty must be above 0"),
        (1.0, 0.0, "alpha is 0; the L1 share of the penalty must be above 0 and at most 1"),
        (1.0, 1.5, "alpha is 1.5; the L1 share of the penalty must be above 0 and at most 1"),
    ],
)
def test_senseless_penalties_are_refused(lam: float, alpha: float, message: str) -> None:
    """A penalty out of range says which option and what it may be."""
    with pytest.raises(ValueError, match="penalty") as caught:
        Penalty(lam, alpha)

    assert str(caught.value) == message
