"""The elastic nets of all units at once, exactly: screening, working sets, certificate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from le_bench_plugins.explainers.linear.elastic_net import (
    Penalty,
    Ranking,
    RankingProblem,
    RankingSolver,
    best_ranked,
)
from le_bench_plugins.explainers.linear.threads import one_thread
from le_bench_plugins.explainers.linear.working_set import WorkingSets, solve_working_sets

NUMBERS_AT_ONCE = 2**22  # in a matrix of units x concepts
NUMBERS_OF_BATCH = 2**22  # in the Gram matrices of a batch
UNITS_OF_BATCH = 128
FIRST_SIZE = 64
LEAST_GROWTH = 48
STEPS_OF_ROUND = 2


@dataclass(frozen=True, slots=True)
class Exact(RankingSolver):
    """Elastic nets by working sets, for all units at once.

    A round, for all unfinished units: the residual correlations of all concepts by one sparse
    product; each unit's working set is its support and the concepts that miss their optimality
    condition by most (64 in the first round, then at least 48 and at most twice the support more);
    two steps are taken towards the nets over working sets, in batches (`solve_working_sets`): more
    would be for sets that the next round changes. A unit is finished when it is optimal over its
    working set and no concept outside misses its condition, |residual correlation| <= l1, by more
    than `tolerance`, as checked over all concepts: nothing is screened away for good.

    Laws: a unit's path does not depend on other units; no random numbers; the certificate of
    a float64 problem is at most about 1e-9, of a float32 problem about 1e-6 (of the problem as
    given: the rounding of the moments themselves is not in it). Time: about U * C * s + U * s^3
    for supports of size s, independent of the number of images; memory about 200 MB beside the
    problem and the result.

    Reference: Massias, Gramfort and Salmon 2018 (working sets by violation and a duality gap).
    """

    tolerance: float = 1e-10
    float32_tolerance: float = 4e-7
    most_rounds: int = 200

    def solve(self, problem: RankingProblem, num_ranked: int) -> Ranking:
        """See `RankingSolver.solve`."""
        return self._solve(problem, num_ranked, None)

    def solve_path(
        self, problem: RankingProblem, penalties: Sequence[Penalty], num_ranked: int
    ) -> Iterator[Ranking]:
        """The ranking for each penalty in turn, each solution the start of the next.

        From strong to weak penalties this costs little more than the last of them alone. The
        penalty of `problem` itself does not matter.
        """
        start = None
        for penalty in penalties:
            ranking = self._solve(replace(problem, penalty=penalty), num_ranked, start)
            start = ranking.weights
            yield ranking

    def _solve(self, problem: RankingProblem, num_ranked: int, start: Tensor | None) -> Ranking:
        num_concepts, num_units = problem.cross.shape
        count = min(num_ranked, num_concepts)
        weights = torch.zeros_like(problem.cross)
        gap = problem.power * torch.nan
        order = torch.empty(count, num_units, dtype=torch.long, device=weights.device)
        if problem.cross.numel() == 0:
            return Ranking(weights, gap, order)
        parts = -(-num_units * num_concepts // NUMBERS_AT_ONCE)
        at_once = -(-num_units // parts)
        for units in torch.split(torch.arange(num_units, device=weights.device), at_once):
            first = None if start is None else start[:, units].T.contiguous()
            net = _Nets(problem, problem.cross[:, units].T.contiguous(), first)
            limit = self.tolerance if net.in_float64 else self.float32_tolerance
            net.run(limit, self.most_rounds)
            weights[:, units] = net.weights.T
            gap[units] = net.relative_gap(problem.power[units])
            order[:, units] = best_ranked(net.weights, net.residual, count).T
        return Ranking(weights, gap, order)


class _Nets:
    """The elastic nets of B units while they are solved.

    `weights` and `residual` are (B, C); `optimal` (B,) is whether the weights are the best over the
    last working set.
    """

    def __init__(self, problem: RankingProblem, cross: Tensor, start: Tensor | None) -> None:
        self.gram, self.cross, self.penalty = problem.gram, cross, problem.penalty
        self.in_float64 = cross.dtype == torch.float64
        self.weights = torch.zeros_like(cross) if start is None else start
        every = torch.arange(len(cross), device=cross.device)
        self.optimal = torch.zeros(len(cross), dtype=torch.bool, device=cross.device)
        self.residual = cross.clone() if start is None else self._residual(every)

    def run(self, tolerance: float, most_rounds: int) -> None:
        """Rounds until every unit is finished."""
        live = torch.arange(len(self.cross), device=self.cross.device)
        for number in range(most_rounds):
            excess = self.residual[live].abs_() - self.penalty.l1
            supported = self.weights[live] != 0
            misses = ((excess > tolerance) & ~supported).sum(1)
            going = (misses > 0) | (supported.any(1) & ~self.optimal[live])
            if not going.any():
                break
            live, supported = live[going], supported[going]
            excess = excess[going].masked_fill_(supported, torch.inf)
            support = supported.sum(1)
            growth = (2 * support).clamp_min(LEAST_GROWTH if number else FIRST_SIZE)
            sizes = support + torch.minimum(misses[going], growth)
            self._solve_round(live, excess, sizes, tolerance)
            self.residual[live] = self._residual(live)

    def relative_gap(self, power: Tensor) -> Tensor:
        """See `elastic_net.relative_gap`; here from the residuals at hand."""
        l1, l2 = self.penalty.l1, self.penalty.l2
        units, concepts = self.weights.nonzero(as_tuple=True)
        weights = self.weights[units, concepts].double()

        def over_support(values: Tensor) -> Tensor:
            return torch.zeros_like(power).index_add_(0, units, values * weights)

        fitted = over_support(self.cross[units, concepts])
        kept = over_support(self.residual[units, concepts])
        norm, length = over_support(weights), over_support(weights.sign())
        squares = power - fitted - kept
        steepest = torch.sub(self.residual, self.weights, alpha=l2).abs_().amax(1).double()
        kappa = (l1 / steepest.clamp_min(1e-300)).clamp_max(1)
        gap = (
            0.5 * (1 + kappa.square()) * (squares + l2 * norm)
            + l1 * length
            - kappa * (power - fitted)
        )
        return gap / (0.5 * squares + l1 * length + 0.5 * l2 * norm)

    def _residual(self, units: Tensor) -> Tensor:
        """cross - gram * weights of these units, (B, C), made from the nonzero weights alone."""
        weights = self.weights[units]
        places = weights.nonzero()
        counts = torch.bincount(places[:, 0], minlength=len(units))
        explained = functional.embedding_bag(
            places[:, 1],
            self.gram,
            counts.cumsum(0) - counts,
            mode="sum",
            per_sample_weights=weights[places[:, 0], places[:, 1]],
        )
        return torch.sub(self.cross[units], explained)

    def _solve_round(self, live: Tensor, excess: Tensor, sizes: Tensor, tolerance: float) -> None:
        """Solve the working sets: for each live unit the `sizes` concepts of largest excess.

        On the CPU batches are solved side by side, each by one thread.
        """
        found = excess.topk(int(sizes.max()), dim=1).indices

        def solve(batch: Tensor) -> None:
            size = int(sizes[batch].max())
            rows, concepts = live[batch][:, None], found[batch, :size]
            inside = torch.arange(size, device=sizes.device) < sizes[batch][:, None]
            sets = WorkingSets(
                gram=self._grams(concepts),
                cross=self.cross[rows, concepts],
                weights=self.weights[rows, concepts] * inside,
                inside=inside,
                l1=self.penalty.l1,
                l2=self.penalty.l2,
                tolerance=tolerance,
            )
            weights, optimal = solve_working_sets(sets, STEPS_OF_ROUND)
            self.weights[rows, concepts], self.optimal[live[batch]] = weights, optimal

        side_by_side = torch.get_num_threads() if live.device.type == "cpu" else 1
        with one_thread(), ThreadPoolExecutor(side_by_side) as threads:
            for _ in threads.map(solve, _batches(sizes.argsort(stable=True), sizes)):
                pass  # errors are raised here

    def _grams(self, concepts: Tensor) -> Tensor:
        """(B, m, m) of the Gram matrix at concepts (B, m)."""
        places = concepts[:, :, None] * len(self.gram) + concepts[:, None, :]
        return self.gram.view(-1).index_select(0, places.view(-1)).view(places.shape)


def _batches(by_size: Tensor, sizes: Tensor) -> Iterator[Tensor]:
    """Units of ascending working sets, in batches of which the Gram matrices fit in memory."""
    largest = sizes[by_size].tolist()
    start = 0
    while start < len(by_size):
        end = min(start + UNITS_OF_BATCH, len(by_size))
        while end > start + 1 and largest[end - 1] ** 2 * (end - start) > NUMBERS_OF_BATCH:
            end = start + (end - start + 1) // 2
        yield by_size[start:end]
        start = end
