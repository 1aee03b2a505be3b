"""The problem that ranks concepts for each unit, and what a solver of it must give.

For each unit alone, over standardised presence x and standardised activation z of train images:

    0.5 * mean (w.x + b - z)^2 + lam * alpha * |w|_1 + 0.5 * lam * (1 - alpha) * |w|_2^2

Source: "Linear Explanations for Individual Neurons", equation 6, in the form that the authors'
code minimises (`linear_explanation.py`, `train_glm_model`): lam is 0.05 / 0.99 there, because
glm_saga divides its largest regularisation by alpha.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from le_bench.types import require
from le_bench_plugins.explainers.linear.moments import Moments

TIE = 1e-9  # weights and correlations closer than this are equal when concepts are ordered
TIE_OF_FLOAT32 = 1e-6
NUMBERS_AT_ONCE = 2**21  # of units x concepts that are ranked
MOST_STEPS = 1e15  # so that whole numbers of steps, and thrice that, are exact in float64


@dataclass(frozen=True, slots=True)
class Penalty:
    """The regularisation: `lam` > 0 in all, of which the share `alpha` in (0, 1] is L1."""

    lam: float
    alpha: float

    def __post_init__(self) -> None:
        require(self.lam > 0, f"lam is {self.lam:g}; the weight of the penalty must be above 0")
        require(
            0 < self.alpha <= 1,
            f"alpha is {self.alpha:g}; the L1 share of the penalty must be above 0 and at most 1",
        )

    @property
    def l1(self) -> float:
        """Factor of |w|_1."""
        return self.lam * self.alpha

    @property
    def l2(self) -> float:
        """Factor of 0.5 * |w|_2^2."""
        return self.lam * (1 - self.alpha)


@dataclass(frozen=True, slots=True, eq=False)
class RankingProblem:
    """One elastic net for each of U units over the same C standardised concepts.

    `gram` (C, C) = mean x x', `cross` (C, U) = mean x (z - mean z), `power` (U,) = mean of
    (z - mean z)^2 and `offset` (U,) = mean z decide the solution; they are float64, but `gram` and
    `cross` are float32 if the moments are. `rows` gives the standardised images themselves,
    x (N, C) and z (N, U) float32, for solvers that draw among them; `seed` is for those.
    """

    gram: Tensor
    cross: Tensor
    power: Tensor
    offset: Tensor
    penalty: Penalty
    rows: Callable[[], tuple[Tensor, Tensor]]
    seed: int = 0

    def in_float64(self) -> RankingProblem:
        """The same problem with `gram` and `cross` in float64."""
        return replace(self, gram=self.gram.double(), cross=self.cross.double())


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """What a solver gives: `weights` (C, U), the certificate `gap` (U,) and `order` (R, U).

    `gap` bounds how far the objective of a unit lies above the least possible, relative to it.
    `order` holds concepts, best first, of which the first R are given; see `order_concepts`.
    """

    weights: Tensor
    gap: Tensor
    order: Tensor


class RankingSolver(ABC):
    """Solves ranking problems.

    Laws: a unit's weights do not depend on which other units are in the problem, nor on the order
    of images; the same problem gives the same ranking; no global random generator is touched.
    """

    @abstractmethod
    def solve(self, problem: RankingProblem, num_ranked: int) -> Ranking:
        """The ranking of each unit, with the best `num_ranked` concepts in `order`."""


def standardise(
    train: Moments,
    val: Moments,
    penalty: Penalty,
    images: Callable[[], tuple[Tensor, Tensor]],
    seed: int = 0,
) -> RankingProblem:
    """The ranking problem of concepts and units that vary on the train split.

    Concepts are scaled by their train mean and deviation, activations by mean and deviation over
    train and val images, both with N - 1. `images` gives the train presence (N, C) and activations
    (N, U), for solvers that draw among them. Deviation: the authors' mean and deviation of
    activations include the test images, which an explainer does not see here; it amounts to a
    factor common to all weights of a unit.
    """
    n, m = train.num_images, val.num_images
    mean = (n * train.activation_mean + m * val.activation_mean) / (n + m)
    between = n * m / (n + m) * (train.activation_mean - val.activation_mean).square()
    deviation = ((n * train.power + m * val.power + between) / (n + m - 1)).sqrt()
    scale = (train.gram.diagonal().double() * n / (n - 1)).sqrt()
    factor = (1 / scale).to(train.gram.dtype)

    def rows() -> tuple[Tensor, Tensor]:
        presence, activations = images()
        x = (presence.to(scale.device).double() - train.concept_mean) / scale
        z = (activations.to(scale.device).double() - mean) / deviation
        return x.float(), z.float()

    return RankingProblem(
        gram=(train.gram * factor).mul_(factor[:, None]),
        cross=(train.cross * factor[:, None]).div_(deviation.to(train.cross.dtype)),
        power=train.power / deviation.square(),
        offset=(train.activation_mean - mean) / deviation,
        penalty=penalty,
        rows=rows,
        seed=seed,
    )


def objective(problem: RankingProblem, weights: Tensor) -> Tensor:
    """The objective of each unit (U,) at weights (C, U) and the best bias for them."""
    residual = problem.cross - problem.gram @ weights
    squares = problem.power - ((problem.cross + residual) * weights).sum(0)
    return _objective(problem, weights, squares)


def relative_gap(problem: RankingProblem, weights: Tensor) -> Tensor:
    """How far each unit's objective can at most lie above the least possible, relative to it, (U,).

    The duality gap divided by the objective; at least 0 up to rounding. The dual point is the
    residual, scaled so that no concept's correlation with it exceeds the L1 penalty (the elastic
    net being a lasso with C further rows; Friedman, Hastie and Tibshirani 2010, Massias et al.
    2018).
    """
    l1, l2 = problem.penalty.l1, problem.penalty.l2
    residual = problem.cross - problem.gram @ weights
    fitted = (problem.cross * weights).sum(0)
    squares = problem.power - fitted - (residual * weights).sum(0)
    norm = weights.square().sum(0)
    steepest = (residual - l2 * weights).abs().amax(0)
    kappa = (l1 / steepest.clamp_min(torch.finfo(weights.dtype).tiny)).clamp_max(1)
    gap = (
        0.5 * (1 + kappa.square()) * (squares + l2 * norm)
        + l1 * weights.abs().sum(0)
        - kappa * (problem.power - fitted)
    )
    return gap / _objective(problem, weights, squares)


def order_concepts(problem: RankingProblem, weights: Tensor, num_ranked: int) -> Tensor:
    """The `num_ranked` best concepts of each unit at weights (C, U), best first; see `best_ranked`.

    Gives (min(num_ranked, C), U).
    """
    residual = problem.cross - problem.gram @ weights
    return best_ranked(weights.T, residual.T, num_ranked).T


def best_ranked(weights: Tensor, residual: Tensor, num_ranked: int) -> Tensor:
    """The `num_ranked` best concepts of each unit, best first, (U, min(num_ranked, C)).

    `weights` (U, C) of an elastic net and `residual` (U, C), the correlations that it leaves.
    First the concepts of positive weight, largest first; then those of weight zero, those whose
    correlation with the residual is largest first (they would enter next); then the negative ones.
    What differs by less than 1e-9 (1e-6 in float32) is equal, and equal ones keep the order of the
    concepts. Deviation: the authors' sort leaves the many zeros in arbitrary order.

    >>> weights = torch.tensor([[0.0, -0.2, 0.4, 0.0]])
    >>> best_ranked(weights, torch.tensor([[0.01, -0.05, 0.05, 0.03]]), 3).tolist()
    [[2, 3, 0]]
    """
    at_once = max(1, NUMBERS_AT_ONCE // max(1, weights.shape[1]))
    parts = zip(torch.split(weights, at_once), torch.split(residual, at_once), strict=True)
    return torch.cat([_best_ranked(w, r, min(num_ranked, weights.shape[1])) for w, r in parts])


def _best_ranked(weights: Tensor, residual: Tensor, count: int) -> Tensor:
    """`best_ranked` of a few units."""
    tie = TIE if weights.dtype == torch.float64 else TIE_OF_FLOAT32
    value = torch.where(weights == 0, residual, weights).double()
    steps = (value / tie).round_().clamp_(-MOST_STEPS, MOST_STEPS)
    key = steps + weights.sign() * (3 * MOST_STEPS)
    if count == 0:
        return torch.empty(len(key), 0, dtype=torch.long, device=key.device)
    last = key.topk(count, dim=1).values[:, -1:]
    above, equal = key > last, key == last
    chosen = above | (equal & (equal.cumsum(1) <= count - above.sum(1, keepdim=True)))
    concepts = chosen.nonzero()[:, 1].view(len(key), count)  # in the order of the concepts
    by_key = key.gather(1, concepts).argsort(dim=1, descending=True, stable=True)
    return concepts.gather(1, by_key)


def _objective(problem: RankingProblem, weights: Tensor, squares: Tensor) -> Tensor:
    """The objective at weights whose mean squared residual is `squares`."""
    l1, l2 = problem.penalty.l1, problem.penalty.l2
    return 0.5 * squares + l1 * weights.abs().sum(0) + 0.5 * l2 * weights.square().sum(0)
