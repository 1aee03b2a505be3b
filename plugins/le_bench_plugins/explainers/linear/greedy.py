"""The greedy search that decides which concepts explain a unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from le_bench.types import require
from le_bench_plugins.explainers.linear.elastic_net import TIE
from le_bench_plugins.explainers.linear.growing_fits import GrowingFits
from le_bench_plugins.explainers.linear.least_squares import ScaledMoments
from le_bench_plugins.explainers.linear.threads import one_thread

NUMBERS_AT_ONCE = 2**23  # of units x candidates x concepts chosen so far


@dataclass(frozen=True, slots=True)
class GreedyRules:
    """`width` candidates a round, at most `max_length` concepts, each to gain `tolerance`.

    With `width="all"` every concept is a candidate in every round. If `signed` is False, only fits
    whose weights are all positive count.
    """

    width: int | Literal["all"] = 10
    max_length: int = 10
    tolerance: float = 0.02
    signed: bool = True

    def __post_init__(self) -> None:
        require(
            self.width == "all" or (isinstance(self.width, int) and self.width >= 1),
            f"width is {self.width}; a round needs at least 1 candidate, or 'all'",
        )
        require(
            self.max_length >= 1,
            f"max_length is {self.max_length}; an explanation needs at least 1 concept",
        )
        require(
            0 <= self.tolerance <= 2,
            f"tolerance is {self.tolerance:g}; a gain in correlation lies between 0 and 2",
        )

    @property
    def num_ranked(self) -> int:
        """How many concepts of a ranking the search can ever look at; 0 if it needs no ranking."""
        return 0 if self.width == "all" else self.width * self.max_length


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


def greedy_search(scaled: ScaledMoments, order: Tensor | None, rules: GreedyRules) -> Found:
    """Choose concepts for each unit in the order (R, U) of its ranking.

    In each round the first `width` concepts that are neither chosen nor rejected are candidates.
    Each is fitted by least squares on train together with the chosen ones; its gain is what the
    Pearson correlation on val rises above that of the chosen ones alone. From the second round on
    a candidate that gains less than `tolerance` is rejected for ever. The best of the others is
    chosen, the earlier in rank if two are equal. The search ends when nobody is chosen or at
    `max_length`. The first concept needs any correlation above 0. Correlations closer than 1e-9
    (1e-6 with float32 moments) count as equal, so that rounding decides nothing.

    With `width="all"` there is no ranking (`order` is None) and nothing is rejected: a concept that
    gains too little in one round is a candidate again in the next.

    Source: "Linear Explanations for Individual Neurons", algorithm 1, as the authors' code runs it
    (`linear_explanation.py`, `greedy_search`): the first concept is exempt from the tolerance.
    Deviations: the authors fit by 100 unseeded steps of Adam, here the fit is exact; from the
    second round on a candidate is rejected, too, if the chosen ones explain its train variance to
    all but 1e-6 (1e-4 with float32 moments), because no weight of its own can be told, or if the
    fit is constant on val; and the concepts are those that were chosen, while the authors' code,
    when it stops at `max_length`, names the candidate that it tried last instead of the last
    chosen.

    Units do not influence each other. Time: U * candidates * length^2, whatever the number of
    images (`GrowingFits`).
    """
    num_concepts, num_units = scaled.train.cross.shape
    device = scaled.train.cross.device
    num_candidates = num_concepts if order is None else len(order)
    at_once = max(1, NUMBERS_AT_ONCE // max(1, num_candidates * rules.max_length))
    parts = []
    for units in torch.split(torch.arange(num_units, device=device), at_once):
        pool = None if order is None else order[:, units].T.contiguous()
        with one_thread():
            parts.append(_search(GrowingFits(scaled, pool, units, rules.max_length), rules))
    return Found(
        torch.cat([part.concepts for part in parts]),
        torch.cat([part.weights for part in parts]),
        torch.cat([part.correlation for part in parts]),
    )


def _search(fits: GrowingFits, rules: GreedyRules) -> Found:
    """The search for the units of `fits`, of which finished ones are taken out as it goes."""
    num_units, num_candidates = fits.left.shape
    tie = TIE if fits.in_float64 else 1e-6
    device = fits.power.device
    concepts = torch.full((num_units, rules.max_length), -1, device=device)
    weights = fits.power.new_zeros(num_units, rules.max_length)
    reached = fits.power.new_zeros(num_units)
    taken = torch.zeros_like(fits.left, dtype=torch.bool)  # chosen or rejected
    live = torch.arange(num_units, device=device)
    for length in range(min(rules.max_length, num_candidates)):
        free = ~taken[live]
        if rules.width != "all":
            free &= free.cumsum(1) <= rules.width
        gain = fits.val_correlation(rules.signed) - reached[live][:, None]
        fails = torch.zeros_like(free)
        if length > 0:
            fails = free & ~(gain >= rules.tolerance - tie)  # NaN fails too
        gain = torch.where(free & ~fails & (gain > tie), gain, -torch.inf)
        best, _ = gain.max(1, keepdim=True)
        winner = (gain >= best - tie).to(torch.uint8).argmax(1)
        if rules.width != "all":
            taken[live] |= fails
        goes_on = best[:, 0] > 0
        live, winner = live[goes_on], winner[goes_on]
        if len(live) == 0:
            break
        fits = fits.take(goes_on).grown(winner)
        taken[live, winner] = True
        concepts[live, length] = fits.concepts(winner)
        weights[live, : length + 1] = fits.weights()
        reached[live] += best[goes_on, 0]
    return Found(concepts, weights, torch.where(concepts[:, 0] < 0, torch.nan, reached))
