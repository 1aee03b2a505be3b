"""The greedy search that decides which of a unit's best-ranked concepts explain it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from le_bench_plugins.explainers.linear.elastic_net import TIE
from le_bench_plugins.explainers.linear.least_squares import (
    ScaledMoments,
    fit,
    val_correlation,
)

UNITS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class GreedyRules:
    """`width` candidates a round, at most `max_length` concepts, each to gain `tolerance`."""

    width: int = 10
    max_length: int = 10
    tolerance: float = 0.02

    @property
    def num_ranked(self) -> int:
        """How many concepts of a ranking the search can ever look at."""
        return self.width * self.max_length


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What the search gives for U units.

    `concepts` (U, max_length) in the order in which they were chosen, -1 where there is none;
    `weights` (U, max_length) of the scaled concepts, 0 there; `correlation` (U,) on val, NaN for a
    unit without concepts.
    """

    concepts: Tensor
    weights: Tensor
    correlation: Tensor


def greedy_search(scaled: ScaledMoments, order: Tensor, rules: GreedyRules) -> Found:
    """Choose concepts for each unit in the order (R, U) of its ranking.

    In each round the first `width` concepts that are neither chosen nor rejected are candidates.
    Each is fitted by least squares on train together with the chosen ones; its gain is what the
    Pearson correlation on val rises above that of the chosen ones alone. From the second round on
    a candidate that gains less than `tolerance` is rejected for ever. The best of the others is
    chosen, the earlier in rank if two are equal. The search ends when nobody is chosen or at
    `max_length`. The first concept needs any correlation above 0. Correlations closer than 1e-9
    count as equal, so that rounding decides nothing.

    Source: "Linear Explanations for Individual Neurons", algorithm 1, as the authors' code runs it
    (`linear_explanation.py`, `greedy_search`): the first concept is exempt from the tolerance.
    Deviations: the authors fit by 100 unseeded steps of Adam, here the fit is exact; from the
    second round on a candidate is rejected, too, if the chosen ones explain its train variance to
    all but 1e-6, because no weight of its own can be told, or if the fit is constant on val; and
    the concepts are those that were chosen, while the authors' code, when it stops at
    `max_length`, names the candidate that it tried last instead of the last chosen.

    Units do not influence each other.
    """
    every = torch.arange(order.shape[1], device=order.device)
    parts = [
        _search(scaled, order[:, units].T, units, rules)
        for units in torch.split(every, UNITS_AT_ONCE)
    ]
    return Found(
        torch.cat([part.concepts for part in parts]),
        torch.cat([part.weights for part in parts]),
        torch.cat([part.correlation for part in parts]),
    )


def _search(scaled: ScaledMoments, order: Tensor, units: Tensor, rules: GreedyRules) -> Found:
    num_units, num_ranked = order.shape
    concepts = order.new_full((num_units, rules.max_length), -1)
    weights = scaled.gram.new_zeros(num_units, rules.max_length)
    reached = scaled.gram.new_zeros(num_units)
    taken = torch.zeros_like(order, dtype=torch.bool)  # chosen or rejected
    live = torch.arange(num_units, device=order.device)
    for length in range(min(rules.max_length, num_ranked)):
        ranks, offered = _first_free(taken[live], rules.width)
        candidates = order[live].gather(1, ranks)
        chosen = concepts[live, :length][:, None].expand(-1, candidates.shape[1], -1)
        sets = torch.cat([chosen, candidates[..., None]], -1)
        fits, _ = fit(scaled, sets, units[live])
        correlation = val_correlation(scaled, sets, fits, units[live])
        gain = correlation - reached[live][:, None]
        if length == 0:
            rejected = torch.zeros_like(offered)
        else:
            rejected = offered & ~(gain >= rules.tolerance - TIE)  # NaN is rejected too
        gain = torch.where(offered & ~rejected & (gain > TIE), gain, -torch.inf)
        best = gain.amax(1)
        winner = (gain >= best[:, None] - TIE).to(torch.uint8).argmax(1)
        wins = torch.zeros_like(offered).scatter(1, winner[:, None], value=True)
        goes_on = best > 0
        taken[live] = taken[live].scatter(1, ranks, taken[live].gather(1, ranks) | rejected | wins)
        live, picked = live[goes_on], winner[goes_on][:, None]
        concepts[live, length] = candidates[goes_on].gather(1, picked)[:, 0]
        weights[live, : length + 1] = fits[goes_on, picked[:, 0]]
        reached[live] = correlation[goes_on].gather(1, picked)[:, 0]
        if len(live) == 0:
            break
    return Found(concepts, weights, torch.where(concepts[:, 0] < 0, torch.nan, reached))


def _first_free(taken: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first `count` free ranks of each row of (B, R), and which of them exist."""
    free_first = torch.argsort(taken.to(torch.uint8), dim=1, stable=True)[:, :count]
    return free_first, ~taken.gather(1, free_first)
