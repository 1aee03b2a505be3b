"""Scale and offset of simulations: least squares, the authors' Adam steps, and a search."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from le_bench.formulas.correlation import constant_columns, pearson
from le_bench.types import Curves

ADAM_STEPS, ADAM_RATE = 100, 0.01
REWEIGHTED_STEPS, SIMPLEX_STEPS = 6, 20
DAMPING, EASED, STIFFENED = 0.01, 0.3, 5.0  # the first, and its factors after a step up or down
SMOOTHED, SMOOTHING_KEPT = 0.03, 0.7  # of the mean change: what counts as 0, and its decay a step
NOTHING = 1e-12


def least_squares(activations: Tensor, simulated: Tensor) -> tuple[Tensor, Tensor]:
    """c, d (U,) float64 that minimise sum (A - c s - d)^2 over images, for each unit.

    c = rho sigma(A) / sigma(s), d = mean(A) - c mean(s). A constant activation gives c = 0;
    NaN for a constant simulation or fewer than two images.

    Source: "Linear Explanations for Individual Neurons", appendix B.5.
    """
    own, other = activations.double(), simulated.double()
    slope = pearson(other, own) * own.std(0, correction=0) / other.std(0, correction=0)
    slope = torch.where(constant_columns(own) & ~constant_columns(other), 0.0, slope)
    return slope, own.mean(0) - slope * other.mean(0)


def adam(curves: Curves, simulated: Tensor) -> tuple[Tensor, Tensor]:
    """c, d (U,) float64 after the authors' 100 steps of Adam on sum_n |change_n(c s_n + d)|.

    From c = 1, d = 0 with rate 0.01, betas 0.9 and 0.999, eps 1e-8 and all images in each step; the
    last iterate whatever its objective. A step is at most about 0.01, so c ends in [0, 2] and d in
    [-1, 1].

    Source: the authors' simulate_ablation.py, with analytic derivatives in place of autograd.
    """
    s = simulated.double()
    state = torch.zeros(2, s.shape[1], dtype=torch.float64)
    state[0] = 1.0
    first, second = torch.zeros_like(state), torch.zeros_like(state)
    every = torch.ones(len(s), dtype=torch.float64)
    for step in range(1, ADAM_STEPS + 1):
        change, slope = curves.with_slopes(torch.addcmul(state[1], s, state[0]))
        pull = slope.mul_(change.sign_())
        gradient = torch.stack([every @ (pull * s), every @ pull])
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        size = (second / (1 - 0.999**step)).sqrt() + 1e-8
        state = state - ADAM_RATE * (first / (1 - 0.9**step)) / size
    return state[0], state[1]


def simplex_search(
    curves: Curves,
    simulated: Tensor,
    starts: Sequence[tuple[Tensor, Tensor]],
    scale: Tensor,
) -> tuple[Tensor, Tensor]:
    """c, d (U,) float64 that minimise sum_n |change_n(c s_n + d)| over images n.

    Reweighted least squares lead from each start into a valley, Nelder and Mead's simplex goes on
    from the lowest point found, all units at once. The unknowns are the value at the mean
    simulation and the value's standard deviation; `scale` (U,) is that of the unit's activations
    and sets the longest step and the first simplex. It never ends above its starts.

    Source: Daubechies et al., "Iteratively reweighted least squares minimization for sparse
    recovery" (2010); Lagarias et al., "Convergence Properties of the Nelder-Mead Simplex Method in
    Low Dimensions" (1998).
    """
    s = simulated.double()
    mean, spread = s.mean(0), s.std(0, correction=0)
    spread = torch.where(constant_columns(simulated), 1.0, spread)  # then only d matters
    z = (s - mean) / spread
    begin = torch.cat([torch.stack([c * spread, d + c * mean]) for c, d in starts], 1)
    count, num_units = len(starts), len(scale)
    units = torch.arange(num_units, device=z.device).repeat(count)
    points, sums = _reweighted(curves.of(units), z[:, units], begin, scale[units])
    point, value = _chosen(
        points.view(2, count, num_units).transpose(0, 1), sums.view(count, num_units)
    )

    def objective(points: Tensor) -> Tensor:
        """Sums (k, U) at points (k, 2, U)."""
        return torch.stack([curves.at(torch.addcmul(p[1], z, p[0])).abs_().sum(0) for p in points])

    found = _simplex(point, value, scale, objective)
    slope = found[0] / spread
    return slope, found[1] - slope * mean


def _reweighted(curves: Curves, z: Tensor, point: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Better points (2, S) for searches from `point` with z (N, S), and their sums (S,).

    A sum of absolute values is a sum of squares, each divided by its own root: least squares with
    these weights, linearised and damped, are solved again and again. A step that does not lower a
    sum is not taken.
    """
    damping = torch.full_like(scale, DAMPING)
    change, slope = curves.with_slopes(point[0] * z + point[1])
    reached = change.abs().sum(0)
    for step in range(REWEIGHTED_STEPS):
        smoothed = SMOOTHED * SMOOTHING_KEPT**step / len(z) * reached + NOTHING
        weighted = slope / torch.maximum(change.abs(), smoothed)
        both = torch.stack([weighted * change, weighted * slope])
        along = both * z
        pull, stiff = both.sum(1)
        pull_z, cross = along.sum(1)
        stiff_z = (along[1] * z).sum(0) * (1 + damping) + NOTHING
        stiff = stiff * (1 + damping) + NOTHING
        area = (stiff_z * stiff - cross**2).clamp_min(NOTHING**2)
        move = torch.stack([cross * pull - stiff * pull_z, cross * pull_z - stiff_z * pull]) / area
        tried = point + move.clamp(-2 * scale, 2 * scale)
        new_change, new_slope = curves.with_slopes(tried[0] * z + tried[1])
        new_sum = new_change.abs().sum(0)
        lower = new_sum < reached
        point = torch.where(lower, tried, point)
        change = torch.where(lower, new_change, change)
        slope = torch.where(lower, new_slope, slope)
        reached = torch.where(lower, new_sum, reached)
        damping = damping * torch.where(lower, EASED, STIFFENED)
    return point, reached


def _simplex(
    start: Tensor, value: Tensor, scale: Tensor, objective: Callable[[Tensor], Tensor]
) -> Tensor:
    """The best point (2, U) that the simplex from `start` with this objective (U,) finds."""
    simplex = start.expand(3, 2, -1).clone()
    simplex[1, 0] += 0.25 * scale
    simplex[2, 1] += 0.25 * scale
    values = torch.cat([value[None], objective(simplex[1:])])
    for _ in range(SIMPLEX_STEPS):
        values, order = values.sort(dim=0, stable=True)
        simplex = simplex.gather(0, order[:, None].expand(-1, 2, -1))
        simplex, values = _step(simplex, values, objective)
    return _chosen(simplex, values)[0]


def _chosen(points: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Of points (k, 2, U) with values (k, U) the lowest."""
    which = values.argmin(0)
    point = points.gather(0, which.expand(1, 2, -1))[0]
    return point, values.gather(0, which[None])[0]


def _step(
    simplex: Tensor, values: Tensor, objective: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """One step of each unit's sorted simplex (3, 2, U): reflect; expand, contract or shrink."""
    middle = (simplex[0] + simplex[1]) / 2
    away = middle - simplex[2]
    reflected = middle + away
    at_reflected = objective(reflected[None])[0]
    expand = at_reflected < values[0]
    accept = at_reflected < values[1]
    outside = at_reflected < values[2]
    factor = torch.where(expand, 2.0, torch.where(outside, 0.5, -0.5))
    other = middle + factor * away
    at_other = objective(other[None])[0]
    limit = torch.where(outside, at_reflected, values[2])
    use_other = torch.where(expand, at_other < at_reflected, ~accept & (at_other <= limit))
    shrink = ~accept & ~use_other
    new = torch.where(use_other, other, reflected)
    at_new = torch.where(use_other, at_other, at_reflected)
    simplex, values = simplex.clone(), values.clone()
    simplex[2] = torch.where(shrink, simplex[2], new)
    values[2] = torch.where(shrink, values[2], at_new)
    if bool(shrink.any()):
        closer = (simplex[:1] + simplex[1:]) / 2
        simplex[1:] = torch.where(shrink, closer, simplex[1:])
        values[1:] = torch.where(shrink, objective(closer), values[1:])
    return simplex, values
