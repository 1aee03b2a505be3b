"""Scale and offset of simulations: least squares, the authors' Adam steps, and a simplex search."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from le_bench.formulas.correlation import constant_columns, pearson
from le_bench.types import Curves

ADAM_STEPS, ADAM_RATE = 100, 0.01
SIMPLEX_STEPS = 40
SIMPLEX_TOLERANCE = 1e-6  # relative spread of the objective over the simplex

Objective = Callable[[Tensor, Tensor], Tensor]


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
    for step in range(1, ADAM_STEPS + 1):
        change, slope = curves.with_slopes(state[0] * s + state[1])
        pull = change.sign() * slope
        gradient = torch.stack([(pull * s).sum(0), pull.sum(0)])
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        size = (second / (1 - 0.999**step)).sqrt() + 1e-8
        state = state - ADAM_RATE * (first / (1 - 0.9**step)) / size
    return state[0], state[1]


def simplex_search(
    curves: Curves, simulated: Tensor, starts: list[tuple[Tensor, Tensor]], scale: Tensor
) -> tuple[Tensor, Tensor]:
    """c, d (U,) float64 that minimise sum_n |change_n(c s_n + d)| over images n.

    Nelder and Mead's search from the first start and from the best one, for all units at once, in
    the value at the mean simulation and the value's standard deviation; `scale` (U,) is that of the
    unit's activations and sets the first simplex. The objective has kinks, which gradients do not
    like. It never ends above its starts.

    Source: Lagarias et al., "Convergence Properties of the Nelder-Mead Simplex Method in Low
    Dimensions" (1998).
    """
    s = simulated.double()
    mean, spread = s.mean(0), s.std(0, correction=0)
    spread = torch.where(constant_columns(simulated), 1.0, spread)  # then only d matters
    z = (s - mean) / spread

    def objective(points: Tensor, units: Tensor | None = None) -> Tensor:
        """Sums (k, u) at points (k, 2, u): spread and middle of the values."""
        chosen = z if units is None else z[:, units]
        own = curves if units is None else curves.of(units)
        sums = [own.at(p[0] * chosen + p[1]).abs().sum(0) for p in points]
        return torch.stack(sums)

    candidates = torch.stack([torch.stack([c * spread, d + c * mean]) for c, d in starts])
    sums = objective(candidates)
    best = sums.argmin(0)
    found, reached = _descend(candidates[0], sums[0], scale, objective)
    other = best.nonzero().flatten()  # units whose first start is not their best
    if len(other):
        point, value = _chosen(candidates[:, :, other], sums[:, other], best[other])

        def of_others(points: Tensor, units: Tensor | None = None) -> Tensor:
            return objective(points, other if units is None else other[units])

        point, value = _descend(point, value, scale[other], of_others)
        better = value < reached[other]
        found[:, other] = torch.where(better, point, found[:, other])
    slope = found[0] / spread
    return slope, found[1] - slope * mean


def _chosen(points: Tensor, values: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
    """Of points (k, 2, U) with values (k, U) those numbered (U,)."""
    point = points.gather(0, which.expand(1, 2, -1))[0]
    return point, values.gather(0, which[None])[0]


def _descend(
    start: Tensor, value: Tensor, scale: Tensor, objective: Callable[..., Tensor]
) -> tuple[Tensor, Tensor]:
    """The best point (2, U) that the search from `start` finds, and its objective (U,)."""
    simplex = start.expand(3, 2, -1).clone()
    simplex[1, 0] += 0.25 * scale
    simplex[2, 1] += 0.25 * scale
    values = torch.cat([value[None], objective(simplex[1:])])
    for _ in range(SIMPLEX_STEPS):
        order = values.argsort(dim=0, stable=True)
        values = values.gather(0, order)
        simplex = simplex.gather(0, order[:, None].expand(-1, 2, -1))
        if bool((values[2] - values[0] <= SIMPLEX_TOLERANCE * values[0].abs()).all()):
            break
        simplex, values = _step(simplex, values, objective)
    return _chosen(simplex, values, values.argmin(0))


def _step(
    simplex: Tensor, values: Tensor, objective: Callable[..., Tensor]
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
    units = shrink.nonzero().flatten()
    if len(units):
        closer = (simplex[:1, :, units] + simplex[1:, :, units]) / 2
        simplex[1:, :, units] = closer
        values[1:, units] = objective(closer, units)
    return simplex, values
