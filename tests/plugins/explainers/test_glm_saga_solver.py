"""glm-saga as a solver: right, certified, and without influence of one unit on another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from glm_saga.elasticnet import train_saga
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import ElasticNet

from le_bench_plugins.explainers.linear.elastic_net import (
    Penalty,
    RankingProblem,
    objective,
    relative_gap,
    standardise,
)
from le_bench_plugins.explainers.linear.glm_saga_solver import GlmSaga, LinearLayer
from le_bench_plugins.explainers.linear.moments import moments
from le_bench_plugins.explainers.linear.pseudo_images import pseudo_images

PENALTY = Penalty(0.05 / 0.99, 0.99)


def make_problem(
    num_images: int = 120, num_concepts: int = 10, num_units: int = 6, seed: int = 0
) -> RankingProblem:
    """Correlated concepts, the last being the sum of the first two, as superclasses are."""
    random = torch.Generator().manual_seed(seed)
    common = torch.rand(num_images, 1, generator=random)
    presence = (common + torch.rand(num_images, num_concepts, generator=random)) / 2
    presence[:, -1] = presence[:, 0] + presence[:, 1]
    weights = torch.randn(num_concepts, num_units, generator=random)
    activations = presence @ weights
    activations += 0.5 * torch.randn(num_images, num_units, generator=random)
    cut = num_images * 3 // 4
    return standardise(
        moments(presence[:cut], activations[:cut]),
        moments(presence[cut:], activations[cut:]),
        PENALTY,
        lambda: (presence[:cut], activations[:cut]),
        seed=seed,
    )


def of_units(problem: RankingProblem, units: list[int]) -> RankingProblem:
    x, z = problem.rows()
    return replace(
        problem,
        cross=problem.cross[:, units],
        power=problem.power[units],
        offset=problem.offset[units],
        rows=lambda: (x, z[:, units]),
    )


def test_pseudo_images_have_the_moments_of_the_images() -> None:
    """Means and mean products of the pseudo-images are those of the problem, of rank 9 here."""
    problem = make_problem()

    images = pseudo_images(problem)

    x, z = images.presence, images.activations
    assert x.shape == (10, 10)
    torch.testing.assert_close(x.mean(0), torch.zeros(10).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(z.mean(0), problem.offset)
    torch.testing.assert_close(x.T @ x / len(x), problem.gram)
    torch.testing.assert_close(x.T @ z / len(x), problem.cross)
    assert images.step == pytest.approx(1 / np.linalg.eigvalsh(problem.gram.numpy())[-1])


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    num_images=st.sampled_from([8, 40, 200]),
    lam=st.sampled_from([0.01, 0.05, 0.5]),
    alpha=st.sampled_from([0.5, 0.99, 1.0]),
)
def test_as_good_as_scikit_learn(seed: int, num_images: int, lam: float, alpha: float) -> None:
    """The objective is within 1e-6 of scikit-learn's float64 optimum, and certified to be."""
    problem = replace(make_problem(num_images, seed=seed), penalty=Penalty(lam, alpha))

    ranking = GlmSaga().solve(problem, 100)

    x, z = (matrix.double().numpy() for matrix in problem.rows())
    net = ElasticNet(alpha=lam, l1_ratio=alpha, tol=1e-12, max_iter=100_000)
    best = np.stack([net.fit(x, z[:, u]).coef_ for u in range(z.shape[1])], 1)
    least = objective(problem, torch.tensor(best))
    assert bool((objective(problem, ranking.weights) <= least * (1 + 2e-6)).all())
    assert bool((ranking.gap <= 1e-6).all())
    torch.testing.assert_close(ranking.gap, relative_gap(problem, ranking.weights))


@pytest.mark.parametrize("protocol", ["exact", "stochastic"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_units_do_not_influence_each_other(protocol: str, seed: int) -> None:
    """Weights and order of a unit are the same alone, in company, and in another order."""
    problem = make_problem(seed=seed)
    solver = GlmSaga(protocol=protocol, stochastic_epochs=30, step=0.01)  # type: ignore[arg-type]

    together = solver.solve(problem, 100)
    reverse = solver.solve(of_units(problem, [5, 4, 3, 2, 1, 0]), 100)
    alone = [solver.solve(of_units(problem, [unit]), 100) for unit in range(6)]

    tolerance = 1e-10 if protocol == "exact" else 1e-5  # float64 and float32
    torch.testing.assert_close(reverse.weights.flip(1), together.weights, atol=tolerance, rtol=0)
    assert torch.equal(reverse.order.flip(1), together.order)
    for unit, ranking in enumerate(alone):
        torch.testing.assert_close(
            ranking.weights[:, 0], together.weights[:, unit], atol=tolerance, rtol=0
        )
        assert torch.equal(ranking.order[:, 0], together.order[:, unit])


def test_stock_glm_saga_stops_units_together() -> None:
    """Why it is wrapped: by its own stopping rule a unit ends elsewhere in company than alone."""
    problem = make_problem()
    x, z = problem.rows()

    def stock(units: list[int]) -> torch.Tensor:
        layer = LinearLayer(torch.zeros(len(units), 10), torch.zeros(len(units)))
        batch = (x, z[:, units], torch.arange(len(x)))
        options = {"tol": 1e-5, "lookbehind": 5, "family": "gaussian", "group": False}
        train_saga(
            layer, [batch], 0.02, 500, PENALTY.lam, PENALTY.alpha, logger=lambda _: None, **options
        )
        return layer.weight.data[0]

    stock_difference = (stock([0]) - stock([0, 1, 2, 3, 4, 5])).abs().max()
    solver = GlmSaga(protocol="stochastic", batch_size=1000, step=0.02)
    alone = solver.solve(of_units(problem, [0]), 10).weights[:, 0]
    in_company = solver.solve(problem, 10).weights[:, 0]

    assert float(stock_difference) > 1e-2
    torch.testing.assert_close(alone, in_company, atol=1e-6, rtol=0)


def test_stochastic_protocol_comes_near_the_optimum() -> None:
    """With enough steps the authors' protocol comes within 1% of the optimum, and certifies it."""
    problem = make_problem(num_images=400)
    best = objective(problem, GlmSaga().solve(problem, 10).weights)

    ranking = GlmSaga(protocol="stochastic", batch_size=32, step=5e-3).solve(problem, 10)

    assert bool((objective(problem, ranking.weights) <= 1.01 * best).all())
    assert bool((ranking.gap < 0.05).all())


def test_seed_decides_the_stochastic_protocol() -> None:
    """The same seed shuffles alike, another seed otherwise."""
    problem = make_problem()
    solver = GlmSaga(protocol="stochastic", batch_size=16, stochastic_epochs=3, step=0.01)

    first, again = solver.solve(problem, 10), solver.solve(problem, 10)
    other = solver.solve(replace(problem, seed=1), 10)

    assert torch.equal(first.weights, again.weights)
    assert not torch.equal(first.weights, other.weights)


@pytest.mark.parametrize("protocol", ["exact", "stochastic"])
def test_silent_and_without_global_randomness(
    protocol: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is printed, and the global random generator stays where it was."""
    before = torch.get_rng_state()

    GlmSaga(protocol=protocol, stochastic_epochs=3).solve(make_problem(), 10)  # type: ignore[arg-type]

    assert torch.equal(torch.get_rng_state(), before)
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_epoch_bound_still_certifies() -> None:
    """Stopped by the number of epochs, the weights come with the larger gap that they have."""
    problem = make_problem()

    ranking = GlmSaga(max_epochs=3).solve(problem, 10)

    assert bool((ranking.gap > 1e-6).any())
    assert bool((ranking.weights != 0).any())


@pytest.mark.parametrize(("num_concepts", "num_units"), [(10, 0), (0, 3)])
def test_nothing_to_solve(num_concepts: int, num_units: int) -> None:
    """No unit or no concept gives an empty ranking."""
    whole = make_problem()
    problem = replace(
        of_units(whole, list(range(num_units))),
        gram=whole.gram[:num_concepts, :num_concepts],
        cross=whole.cross[:num_concepts, :num_units],
    )

    ranking = GlmSaga().solve(problem, 5)

    assert ranking.weights.shape == (num_concepts, num_units)
    assert ranking.order.shape == (min(5, num_concepts), num_units)


def test_unknown_protocol_is_refused() -> None:
    """A protocol that does not exist is answered with those that do."""
    with pytest.raises(ValueError, match="protocol") as caught:
        GlmSaga(protocol="fast")  # type: ignore[arg-type]

    assert str(caught.value) == "protocol 'fast' does not exist; take 'exact' or 'stochastic'"
