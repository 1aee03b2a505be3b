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
from torch.nn import functional


@dataclass(frozen=True, slots=True, eq=False)
class WorkingSets:
    """Working sets of B units, padded to m concepts.

    `gram` (B, m, m), `cross` (B, m), `weights` (B, m) to start from; `inside` (B, m) is which
    places are no padding, whose weights are 0 and stay so. `l1` and `l2` are the penalties, and
    `tolerance` is by how much the optimality condition of a weight of zero may be missed.
    """

    gram: Tensor
    cross: Tensor
    weights: Tensor
    inside: Tensor
    l1: float
    l2: float
    tolerance: float

    def residual(self) -> Tensor:
        """cross - gram * weights, (B, m)."""
        return self.cross - (self.gram @ self.weights[..., None])[..., 0]

    def take(self, units: Tensor) -> WorkingSets:
        """The problems of some of the units."""
        return replace(
            self,
            gram=self.gram[units],
            cross=self.cross[units],
            weights=self.weights[units],
            inside=self.inside[units],
        )


def solve_working_sets(sets: WorkingSets, most_steps: int) -> tuple[Tensor, Tensor]:
    """The weights (B, m) of all units after at most so many steps, and which of them are optimal.

    A step, a sweep and a Newton step, never raises a unit's objective. Units do not influence each
    other. Time: B * m^2 a step.
    """
    solved = sets.weights.clone()
    optimal = torch.zeros(len(solved), dtype=torch.bool, device=solved.device)
    places = torch.arange(len(solved), device=solved.device)
    residual = sets.residual()
    for _ in range(most_steps):
        weights, settled = _newton(sets, _sweep(sets, residual))
        sets = replace(sets, weights=weights)
        residual = sets.residual()
        done = _misses(sets, residual, settled) <= sets.tolerance
        solved[places], optimal[places] = weights, done
        if done.all():
            break
        if done.any():
            going = ~done
            places, residual, sets = places[going], residual[going], sets.take(going)
    return solved, optimal


def _misses(sets: WorkingSets, residual: Tensor, settled: Tensor) -> Tensor:
    """By how much each unit misses its conditions at most, (B,); where settled, of zeros alone."""
    slope = torch.sub(residual, sets.weights, alpha=sets.l2)
    zero = sets.weights == 0
    of_others = (slope - sets.l1 * sets.weights.sign()).abs()
    miss = torch.where(zero, slope.abs() - sets.l1, of_others)
    return miss.masked_fill_(~sets.inside | (settled[:, None] & ~zero), 0.0).amax(1)


def _sweep(sets: WorkingSets, residual: Tensor) -> Tensor:
    """Weights after one sweep of coordinate descent. Uses up the residual."""
    weights = sets.weights.T.contiguous()
    diagonal = sets.gram.diagonal(dim1=1, dim2=2)
    scale = torch.where(sets.inside, 1 / (diagonal + sets.l2), 0.0).T.contiguous()
    own, lines = residual.unbind(1), sets.gram.unbind(1)
    squares = diagonal.T.contiguous().unbind()
    for left, line, square, inverse, old in zip(
        own, lines, squares, scale.unbind(), weights.unbind(), strict=True
    ):
        wanted = torch.addcmul(left, square, old)
        new = functional.softshrink(wanted, sets.l1).mul_(inverse)
        residual.addcmul_(line, old.sub(new)[:, None])
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
    l1 = sets.l1 * signs.abs()
    damping = max(0.0, (1e-9 if weights.dtype == torch.float64 else 1e-5) - sets.l2)
    ridge = sets.l2 + damping
    gram.diagonal(dim1=1, dim2=2).add_(torch.where(inside, ridge, 1.0))
    factor, failed = torch.linalg.cholesky_ex(gram)
    wanted = (cross - l1 * signs + damping * start)[..., None]
    solution = torch.cholesky_solve(wanted, factor)[..., 0] * inside
    solvable = (failed == 0) & solution.isfinite().all(1)
    solution = torch.where(solvable[:, None], solution, start)
    flips = inside & (solution.sign() != signs)

    projected = torch.where(flips, 0.0, solution)
    share = torch.where(flips, start / (start - solution), 1.0)
    first = share.amin(1, keepdim=True)
    blocked = torch.where(flips & (share <= first), 0.0, start + first * (solution - start))
    points = torch.stack([projected, blocked], 2)
    slopes = 0.5 * (gram @ points - damping * points) - cross[..., None]
    values = (slopes * points + l1[..., None] * points.abs()).sum(1)
    better = torch.where(values[:, :1] <= values[:, 1:], projected, blocked)
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
    known = inside.double()
    gram.mul_(known[:, :, None]).mul_(known[:, None, :])
    return gram, sets.cross.gather(1, support).double() * inside
