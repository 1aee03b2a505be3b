"""Many smooth functions of one number each, from their values at a few nodes.

The functions f[n, u] belong to N images and U units; nodes are a unit's. Between its first and last
node a function is interpolated; beyond, it goes on as a straight line.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import asinh, ceil, pi

import torch
from torch import Tensor

from le_bench.types import require

PADDING = 0.1  # by how much of their range nodes reach beyond the values they are made for


@dataclass(frozen=True, slots=True, eq=False)
class Splines:
    """Cubic splines through values (N, U, G) at rising nodes (U, G), "not a knot" at both ends.

    Two continuous derivatives; exact for cubic polynomials; what scipy's CubicSpline gives.
    """

    nodes: Tensor
    pieces: Tensor  # (N * U * (G - 1), 4): value, slope and two more coefficients of each piece

    @classmethod
    def through(cls, nodes: Tensor, values: Tensor) -> Splines:
        """The splines with these values at the nodes, in float32 from solutions in float64."""
        require(nodes.shape[1] >= 4, "a spline needs four nodes")
        x, f = nodes.double(), values.double()
        slopes = torch.einsum("ugh,nuh->nug", _slopes_from_values(x), f)
        h = x.diff(dim=1)
        rise = f.diff(dim=2) / h
        first, last = slopes[:, :, :-1], slopes[:, :, 1:]
        second = (3 * rise - 2 * first - last) / h
        third = (first + last - 2 * rise) / h**2
        pieces = torch.stack([f[:, :, :-1], first, second, third], 3)
        return cls(nodes.float(), pieces.float().reshape(-1, 4))

    def of(self, units: Tensor) -> Splines:
        """See `types.Curves`."""
        num_units, count = self.nodes.shape
        pieces = self.pieces.reshape(-1, num_units, count - 1, 4)[:, units]
        return Splines(self.nodes[units], pieces.reshape(-1, 4))

    def at(self, values: Tensor) -> Tensor:
        """See `types.Curves`."""
        return self.with_slopes(values)[0]

    def with_slopes(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """See `types.Curves`."""
        num_images, num_units = values.shape
        own = values.float()
        low, high = self.nodes[:, 0], self.nodes[:, -1]
        inside = torch.minimum(torch.maximum(own, low), high)
        piece = torch.searchsorted(self.nodes[:, 1:-1].contiguous(), inside.T.contiguous()).T
        num_pieces = self.nodes.shape[1] - 1
        place = torch.arange(num_images * num_units, device=own.device) * num_pieces
        a, b, c, d = self.pieces[place + piece.reshape(-1)].unbind(1)
        unit = torch.arange(num_units, device=own.device).expand(num_images, num_units)
        t = (inside - self.nodes[unit, piece]).reshape(-1)
        value = a + t * (b + t * (c + t * d))
        slope = (b + t * (2 * c + 3 * t * d)).reshape(values.shape)
        value = value.reshape(values.shape) + slope * (own - inside)
        return value.double(), slope.double()

    def holds(self, values: Tensor) -> Tensor:
        """See `types.Curves`."""
        return (values >= self.nodes[:, 0]) & (values <= self.nodes[:, -1])


def _slopes_from_values(nodes: Tensor) -> Tensor:
    """The linear map (U, G, G) from values at the nodes to the spline's slopes there.

    Source: de Boor, A Practical Guide to Splines (1978), chapter IV.
    """
    num_units, count = nodes.shape
    h = nodes.diff(dim=1)
    left = torch.zeros(num_units, count, count, dtype=nodes.dtype, device=nodes.device)
    right = torch.zeros_like(left)  # acts on values; a rise is a difference over h
    rises = torch.zeros(num_units, count - 1, count, dtype=nodes.dtype, device=nodes.device)
    for i in range(count - 1):
        rises[:, i, i], rises[:, i, i + 1] = -1 / h[:, i], 1 / h[:, i]
    for i in range(1, count - 1):
        before, after = h[:, i - 1], h[:, i]
        left[:, i, i - 1], left[:, i, i + 1] = after, before
        left[:, i, i] = 2 * (before + after)
        right[:, i] = 3 * (after[:, None] * rises[:, i - 1] + before[:, None] * rises[:, i])
    for i, j, first, second in ((0, 1, 0, 1), (count - 1, count - 2, count - 2, count - 3)):
        near, far = h[:, first], h[:, second]
        both = near + far
        left[:, i, i], left[:, i, j] = far, both
        right[:, i] = ((near + 2 * both) * far / both)[:, None] * rises[:, first] + (
            near**2 / both
        )[:, None] * rises[:, second]
    solved: Tensor = torch.linalg.solve(left, right)
    return solved


def spread_nodes(values: Tensor, middle: Tensor, count: int) -> Tensor:
    """Rising nodes (U, count) for values (N, U): half evenly spread, half by quantiles.

    Many values lie near each other and few far away; equal steps would spend nodes on the few,
    quantiles alone would leave them out. The ends lie 10% of the range beyond the values, and one
    inner node is `middle` (U,). A unit with a single value gets nodes around it.
    """
    low, high = values.double().aminmax(dim=0)
    middle = middle.double()
    low, high = torch.minimum(low, middle), torch.maximum(high, middle)
    width = high - low
    width = torch.where(width > 1e-6 * high.abs(), width, high.abs().clamp_min(1.0))
    low, high = low - PADDING * width, high + PADDING * width
    share = torch.linspace(0, 1, count, dtype=torch.float64, device=values.device)
    even = low + share[:, None] * (high - low)
    quantiles = torch.quantile(values.double(), share, dim=0)
    quantiles[0], quantiles[-1] = low, high
    nodes = ((even + quantiles) / 2).T.contiguous()
    nearest = (nodes[:, 1:-1] - middle[:, None]).abs().argmin(1) + 1
    nodes[torch.arange(len(nodes)), nearest] = middle
    return nodes


@dataclass(frozen=True, slots=True, eq=False)
class Polynomials:
    """Chebyshev series (G, N, U) on [low, high] (U,) of a value minus `origin` (N, U)."""

    origin: Tensor
    low: Tensor
    high: Tensor
    coefficients: Tensor

    @classmethod
    def through(cls, origin: Tensor, low: Tensor, high: Tensor, values: Tensor) -> Polynomials:
        """The polynomials with values (G, N, U) at `chebyshev_nodes(low, high, G)`."""
        count = len(values)
        angle = pi * (torch.arange(count, dtype=torch.float64, device=values.device) + 0.5) / count
        order = torch.arange(count, dtype=torch.float64, device=values.device)
        to_series = torch.cos(order[:, None] * angle) * (2 / count)
        to_series[0] /= 2
        series = torch.einsum("kg,gnu->knu", to_series.to(values.dtype), values)
        return cls(origin, low, high, series.float())

    def of(self, units: Tensor) -> Polynomials:
        """See `types.Curves`."""
        series = self.coefficients[:, :, units]
        return Polynomials(self.origin[:, units], self.low[units], self.high[units], series)

    def at(self, values: Tensor) -> Tensor:
        """See `types.Curves`. Clenshaw's summation."""
        x = self._inside(values)
        if bool(self.holds(values).all()):
            double, b, after = 2 * x, torch.zeros_like(x), torch.zeros_like(x)
            for c in reversed(self.coefficients[1:].unbind()):
                b, after = torch.addcmul(c - after, double, b), b
            return torch.addcmul(self.coefficients[0] - after, x, b).double()
        return self.with_slopes(values)[0]

    def with_slopes(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """See `types.Curves`. Clenshaw's summation and its derivative."""
        x = self._inside(values)
        zero = torch.zeros_like(x)
        double, b, after, db, dafter = 2 * x, zero, zero, zero, zero
        for c in reversed(self.coefficients[1:].unbind()):
            db, dafter = torch.addcmul(2 * b - dafter, double, db), db
            b, after = torch.addcmul(c - after, double, b), b
        half = (self.high - self.low) / 2
        slope = torch.addcmul(b - dafter, x, db) / half
        value = torch.addcmul(self.coefficients[0] - after, x, b)
        place = (values.float() - self.origin - self.low) / half - 1
        return (value + slope * (place - x) * half).double(), slope.double()

    def holds(self, values: Tensor) -> Tensor:
        """See `types.Curves`."""
        steps = values.float() - self.origin
        edge = 1e-5 * (self.high - self.low)  # float32 may put an end just outside
        return (steps >= self.low - edge) & (steps <= self.high + edge)

    def _inside(self, values: Tensor) -> Tensor:
        x = (values.float() - self.origin - self.low) * (2 / (self.high - self.low)) - 1
        return x.clamp(-1, 1)


def chebyshev_nodes(low: Tensor, high: Tensor, count: int) -> Tensor:
    """(count, U) roots of the Chebyshev polynomial of degree `count` on [low, high] (U,)."""
    angle = pi * (torch.arange(count, dtype=torch.float64, device=low.device) + 0.5) / count
    middle, half = (low + high).double() / 2, (high - low).double() / 2
    return middle + torch.cos(angle)[:, None] * half


def chebyshev_count(reach: float) -> int:
    """How many nodes log(sum p exp(d w)) needs for about 1e-6.

    `reach` is half the range of d times the largest difference of weights w. The function is
    analytic up to pi over that difference beside the real axis, so the error falls like rho^-G,
    rho that of the Bernstein ellipse.
    """
    if reach <= 0:
        return 4
    rate = asinh(pi / reach)
    return min(96, max(6, ceil(14 / rate)))
