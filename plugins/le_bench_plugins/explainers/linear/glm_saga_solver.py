"""glm-saga as the solver of ranking problems, wrapped so that units do not depend on each other.

The package couples units through its stopping rule alone: it averages the loss over units, sums
the penalties over them, and stops all when this sum no longer falls. Its steps treat each unit
apart. Hence it runs here in rounds of one epoch with its own stopping disabled, its `state` handed
on from round to round; this module decides for each unit when it is done, and takes finished units
out of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from glm_saga.elasticnet import train_saga
from torch import Tensor, nn
from torch.nn import functional

from le_bench.types import require
from le_bench_plugins.explainers.linear.elastic_net import (
    Penalty,
    Ranking,
    RankingProblem,
    RankingSolver,
    objective,
    order_concepts,
    relative_gap,
)
from le_bench_plugins.explainers.linear.pseudo_images import pseudo_images

Batch = tuple[Tensor, Tensor, Tensor]  # presence (B, C), activations (B, U), row numbers (B,)
PRODUCTS_AT_ONCE = 2**20  # numbers in the images x units x concepts tensor that glm-saga forms
EPOCHS_PER_CHECK = 5


class LinearLayer(nn.Module):
    """The layer that glm-saga trains. `nn.Linear` would first draw random weights, globally."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)

    def forward(self, presence: Tensor) -> Tensor:
        """Activations (B, U) of presence (B, C)."""
        return functional.linear(presence, self.weight, self.bias)


@dataclass(frozen=True, slots=True, eq=False)
class SagaRun:
    """Where glm-saga stands for a batch of units: weights (U, C), bias (U,) and its tables."""

    weights: Tensor
    bias: Tensor
    residuals: Tensor
    weight_gradient: Tensor
    bias_gradient: Tensor

    @staticmethod
    def at_zero(num_images: int, num_units: int, num_concepts: int, like: Tensor) -> SagaRun:
        """The start: all weights, biases and stored gradients zero."""
        return SagaRun(
            like.new_zeros(num_units, num_concepts),
            like.new_zeros(num_units),
            like.new_zeros(num_images, num_units),
            like.new_zeros(num_units, num_concepts),
            like.new_zeros(num_units),
        )

    def take(self, units: Tensor) -> SagaRun:
        """The same run for some of the units."""
        return SagaRun(
            self.weights[units],
            self.bias[units],
            self.residuals[:, units],
            self.weight_gradient[units],
            self.bias_gradient[units],
        )

    def epoch(
        self, weights: Tensor, batches: Sequence[Batch], step: float, penalty: Penalty
    ) -> SagaRun:
        """One epoch of glm-saga over `batches`, from these weights (U, C).

        This run is used up: glm-saga updates its tables in place.
        """
        num_images, num_units = self.residuals.shape
        linear = LinearLayer(weights, self.bias)
        state = train_saga(
            linear,
            batches,
            step,
            nepochs=1,
            lam=penalty.lam,
            alpha=penalty.alpha,
            group=False,
            state={
                "a_table": self.residuals,
                "w_grad_avg": self.weight_gradient,
                "b_grad_avg": self.bias_gradient,
            },
            n_ex=num_images,
            n_classes=num_units,
            tol=0,
            lookbehind=2,  # more epochs than it gets, so that it never stops by itself
            family="gaussian",
            logger=_silent,
        )
        return SagaRun(
            linear.weight.data,
            linear.bias.data,
            state["a_table"].to(weights.device),
            state["w_grad_avg"].to(weights.device),
            state["b_grad_avg"].to(weights.device),
        )


@dataclass(frozen=True, slots=True)
class GlmSaga(RankingSolver):
    """Elastic nets by the stock `glm_saga` package.

    `protocol="exact"`: the images are replaced by at most C + 1 pseudo-images of the same moments
    and given as one batch with step 1 / L. SAGA is proximal gradient descent then. Between epochs
    each unit is moved on by Nesterov's momentum with restarts (O'Donoghue and Candes 2015), that
    is, each epoch has a warm start. A unit is done when its certified relative gap is at most
    `tolerance`, or after `max_epochs`.

    `protocol="stochastic"`: as the authors train: batches of 512 shuffled images, step 5e-4, at
    most 500 epochs. A unit is done when its own objective has not fallen by more than 1e-5 for 5
    epochs. Deviations: the authors stop 128 units together by the sum of their objectives, and
    take for the objective the running mean over an epoch; here it is exact at the epoch's end. The
    shuffling is drawn from the problem's seed.

    Both report the certificate. Stopping a unit does not depend on other units.
    Reference: Wong, Santurkar and Madry 2021; https://github.com/MadryLab/glm_saga.
    """

    protocol: Literal["exact", "stochastic"] = "exact"
    tolerance: float = 1e-6
    max_epochs: int = 5000
    batch_size: int = 512
    step: float = 5e-4
    stochastic_epochs: int = 500
    least_progress: float = 1e-5
    patience: int = 5

    def __post_init__(self) -> None:
        require(
            self.protocol in ("exact", "stochastic"),
            f"protocol '{self.protocol}' does not exist; take 'exact' or 'stochastic'",
        )

    def solve(self, problem: RankingProblem, num_ranked: int) -> Ranking:
        """See `RankingSolver.solve`; time grows with U * C^2 if exact, U * C * N if stochastic."""
        problem = problem.in_float64()
        if problem.cross.numel() == 0:
            weights = torch.zeros_like(problem.cross)
        elif self.protocol == "exact":
            weights = self._solve_exactly(problem)
        else:
            weights = self._solve_stochastically(problem)
        return Ranking(
            weights,
            relative_gap(problem, weights) if weights.numel() else problem.power * torch.nan,
            order_concepts(problem, weights, num_ranked),
        )

    def _solve_exactly(self, problem: RankingProblem) -> Tensor:
        images = pseudo_images(problem)
        num_units = problem.cross.shape[1]
        at_once = max(1, PRODUCTS_AT_ONCE // images.presence.numel())
        weights = torch.zeros_like(problem.cross)
        for units in torch.split(torch.arange(num_units), at_once):
            batch = (
                images.presence,
                images.activations[:, units],
                torch.arange(len(images.presence), device=images.presence.device),
            )
            weights[:, units] = self._descend(problem, units, batch, images.step)
        return weights

    def _descend(self, problem: RankingProblem, units: Tensor, batch: Batch, step: float) -> Tensor:
        """The weights (C, len(units)) by accelerated proximal gradient steps of glm-saga."""
        presence, activations, numbers = batch
        solved = presence.new_zeros(presence.shape[1], len(units))
        live = torch.arange(len(units))
        run = SagaRun.at_zero(len(presence), len(units), presence.shape[1], presence)
        start = run.weights
        momentum = presence.new_ones(len(units), 1)
        for epoch in range(1, self.max_epochs + 1):
            before = run.weights
            targets = activations[:, live]
            run = run.epoch(start, [(presence, targets, numbers)], step, problem.penalty)
            start, momentum = _move_on(start, before, run.weights, momentum)
            if epoch % EPOCHS_PER_CHECK and epoch < self.max_epochs:
                continue
            solved[:, live] = run.weights.T
            going = relative_gap(_of_units(problem, units[live]), run.weights.T) > self.tolerance
            if not going.any():
                break
            if not going.all():
                live, run, start, momentum = (
                    live[going],
                    run.take(going),
                    start[going],
                    momentum[going],
                )
        return solved

    def _solve_stochastically(self, problem: RankingProblem) -> Tensor:
        presence, activations = problem.rows()
        random = torch.Generator().manual_seed(problem.seed)
        num_units = activations.shape[1]
        weights = torch.zeros_like(problem.cross)
        live = torch.arange(num_units)
        run = SagaRun.at_zero(len(presence), num_units, presence.shape[1], presence)
        best = problem.power.new_full((num_units,), torch.inf)
        waited = torch.zeros(num_units, dtype=torch.long)
        for _ in range(self.stochastic_epochs):
            shuffled = torch.randperm(len(presence), generator=random)
            targets = activations[:, live]
            batches = [
                (presence[rows], targets[rows], rows)
                for rows in torch.split(shuffled, self.batch_size)
            ]
            run = run.epoch(run.weights, batches, self.step, problem.penalty)
            weights[:, live] = run.weights.T.double()
            reached = objective(_of_units(problem, live), weights[:, live])
            better = reached + self.least_progress < best
            best = torch.where(better, reached, best)
            waited = torch.where(better, 0, waited + 1)
            going = waited < self.patience
            if not going.any():
                break
            live, run, best, waited = live[going], run.take(going), best[going], waited[going]
        return weights


def _move_on(
    start: Tensor, before: Tensor, after: Tensor, momentum: Tensor
) -> tuple[Tensor, Tensor]:
    """Where the next epoch starts, and the next momentum, for each unit.

    `start` is where the latest epoch started, `before` and `after` the weights of the two latest
    epochs. A unit whose last step turned against its direction loses its momentum.
    """
    turned = ((start - after) * (after - before)).sum(1, keepdim=True) > 0
    following = (1 + (1 + 4 * momentum.square()).sqrt()) / 2
    ahead = after + (momentum - 1) / following * (after - before)
    return torch.where(turned, after, ahead), torch.where(turned, 1.0, following)


def _of_units(problem: RankingProblem, units: Tensor) -> RankingProblem:
    """The same problem for some of the units; without the images."""
    return RankingProblem(
        problem.gram,
        problem.cross[:, units],
        problem.power[units],
        problem.offset[units],
        problem.penalty,
        problem.rows,
        problem.seed,
    )


def _silent(message: str) -> None:
    """Swallow what glm-saga would print: it reports each epoch as not converged."""
