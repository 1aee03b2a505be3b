"""Elastic nets over a few concepts each, for many units at once.

For each unit: minimise 0.5 w'Gw - c'w + l1 |w|_1 + 0.5 l2 |w|^2 over the concepts of its working
set. A sweep of coordinate descent (Friedman, Hastie and Tibshirani 2010) finds the signs; a Newton
step on the sign pattern, exact in float64, then ends what sweeps alone would not end where
concepts are nearly collinear.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

SWEEPS = 1
MOST_STEPS = 200  # of sweeps and Newton; each lowers the objective, so this is never the end


@dataclass(frozen=True, slots=True, eq=False)
class WorkingSets:
    """Working sets of B units, padded to m concepts.

    `gram` (B, m, m), `cross` (B, m), `weights` (B, m) to start from; `l1` (B, m) is the L1 penalty,
    infinite where a place is padding; `l2` the other one, and `tolerance` by how much the
    optimality condition of a weight of zero may be missed.
    """

    gram: Tensor
    cross: Tensor
    weights: Tensor
    l1: Tensor
    l2: float
    tolerance: float

    def take(self, units: Tensor, weights: Tensor) -> WorkingSets:
        """The problems of some of the units, from these weights."""
        return WorkingSets(
            self.gram[units], self.cross[units], weights, self.l1[units], self.l2, self.tolerance
        )


def solve_working_sets(sets: WorkingSets) -> Tensor:
    """The weights (B, m) of all units. Units do not influence each other. Time: B * m^2 a step."""
    solved = sets.weights.clone()
    places = torch.arange(len(solved), device=solved.device)
    for _ in range(MOST_STEPS):
        weights, settled = _newton(sets, _sweep(sets))
        slope = sets.cross - (sets.gram @ weights[..., None])[..., 0] - sets.l2 * weights
        zero = weights == 0
        miss = torch.where(zero, slope.abs() - sets.l1, (slope - sets.l1 * weights.sign()).abs())
        done = miss.masked_fill(settled[:, None] & ~zero, 0.0).amax(1) <= sets.tolerance
        solved[places] = weights
        if done.all():
            break
        if done.any():
            going = ~done
            places, sets = places[going], sets.take(going, weights[going])
        else:
            sets = replace(sets, weights=weights)
    return solved


def _sweep(sets: WorkingSets) -> Tensor:
    """Weights after some sweeps of coordinate descent."""
    weights = sets.weights.T.contiguous()
    residual = sets.cross - (sets.gram @ sets.weights[..., None])[..., 0]
    diagonal = sets.gram.diagonal(dim1=1, dim2=2).T.contiguous()
    bound = sets.l1.T.contiguous()
    scale = 1 / (diagonal + sets.l2)
    scale = torch.where(bound.isinf(), 0.0, scale)
    for _ in range(SWEEPS):
        for j, old in enumerate(weights.unbind()):
            wanted = torch.addcmul(residual[:, j], diagonal[j], old)
            new = (wanted - wanted.clamp(-bound[j], bound[j])) * scale[j]
            residual.addcmul_(sets.gram[:, j], (old - new)[:, None])
            old.copy_(new)
    return weights.T.contiguous()


def _newton(sets: WorkingSets, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The best weights of the same signs, and whether they are reached.

    Where the solution of a unit changes signs, the better of two points is taken: the solution
    with those weights at zero, and the first point on the way to it at which a weight becomes
    zero, which never raises the objective.
    """
    support, inside = _support(weights)
    gram, cross = _restricted(sets, support, inside)
    start = weights.gather(1, support).double() * inside
    signs = start.sign()
    l1 = torch.where(inside, sets.l1.gather(1, support).double(), 0.0)
    damping = max(0.0, (1e-9 if weights.dtype == torch.float64 else 1e-5) - sets.l2)
    ridge = torch.where(inside, sets.l2 + damping, 1.0)
    factor, failed = torch.linalg.cholesky_ex(gram + torch.diag_embed(ridge))
    wanted = (cross - l1 * signs + damping * start)[..., None]
    solution = torch.cholesky_solve(wanted, factor)[..., 0] * inside
    solvable = (failed == 0) & solution.isfinite().all(1)
    solution = torch.where(solvable[:, None], solution, start)
    flips = inside & (solution.sign() != signs)

    projected = torch.where(flips, 0.0, solution)
    share = torch.where(flips, start / (start - solution), 1.0)
    first = share.amin(1, keepdim=True)
    blocked = torch.where(flips & (share <= first), 0.0, start + first * (solution - start))
    values = []
    for point in (projected, blocked):
        slope = 0.5 * ((gram @ point[..., None])[..., 0] + sets.l2 * point) - cross
        values.append((slope * point + l1 * point.abs()).sum(1))
    better = torch.where((values[0] <= values[1])[:, None], projected, blocked)
    moved = torch.zeros_like(weights)
    moved.scatter_(1, support, better.to(weights.dtype))
    return moved, solvable & ~flips.any(1)


def _support(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Places (B, s) of the weights that are not zero, padded by others, and which are not."""
    nonzero = weights != 0
    longest = max(1, int(nonzero.sum(1).max()))
    support = torch.argsort((~nonzero).to(torch.uint8), dim=1, stable=True)[:, :longest]
    return support, nonzero.gather(1, support)


def _restricted(sets: WorkingSets, support: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """`gram` (B, s, s) and `cross` (B, s) at these places in float64, 0 at padding."""
    num_units, size = sets.cross.shape
    first = torch.arange(num_units, device=support.device)[:, None, None] * size
    places = (first + support[:, :, None]) * size + support[:, None, :]
    gram = sets.gram.reshape(-1).index_select(0, places.view(-1)).view(places.shape).double()
    both = inside[:, :, None] & inside[:, None, :]
    return gram * both, sets.cross.gather(1, support).double() * inside
