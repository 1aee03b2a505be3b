"""Many smooth functions of one number each, from their values at a few nodes.

The functions f[n, u] belong to N images and U units; nodes are a unit's. Between its first and last
node a function is interpolated; beyond, it goes on as a straight line, of splines away from 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import asinh, ceil, log, pi

import torch
from torch import Tensor

from le_bench.types import require

FLOAT32_NODES = 8
PADDING = 0.1  # by how much of their range nodes reach beyond the values they are made for


@dataclass(frozen=True, slots=True, eq=False)
class Splines:
    """Cubic splines through values (N, U, G) at rising nodes (U, G), "not a knot" at both ends.

    Two continuous derivatives; exact for cubic polynomials; what scipy's CubicSpline gives. Kept as
    a cubic polynomial in t, the value's place in [-1, 1] between the ends, plus a truncated cube
    for each node but the first and the last two: no piece has to be looked up. `coefficients`
    (G, N, U), `derivative` (3, N, U) of the polynomial, `knots` (G - 4, U) places. With up to 8
    nodes float32 is enough, else float64.

    Source: de Boor, A Practical Guide to Splines (1978), chapters IV and IX.
    """

    low: Tensor
    high: Tensor
    knots: Tensor
    coefficients: Tensor
    derivative: Tensor

    @classmethod
    def through(cls, nodes: Tensor, values: Tensor) -> Splines:
        """The splines with these values at the nodes, solved in float64."""
        require(nodes.shape[1] >= 4, "a spline needs four nodes")
        nodes = nodes.double()
        low, high = nodes[:, 0], nodes[:, -1]
        t = (2 * (nodes - low[:, None]) / (high - low)[:, None] - 1).T  # (G, U)
        knots = t[2:-2]
        cubes = (t[:, None] - knots).clamp_min(0) ** 3
        basis = torch.cat([torch.stack([t**power for power in range(4)], 1), cubes], 1)
        solved = torch.linalg.solve(basis.permute(2, 0, 1), values.double().permute(1, 2, 0))
        kind = torch.float32 if len(t) <= FLOAT32_NODES else torch.float64
        coefficients = solved.permute(1, 2, 0).to(kind).contiguous()
        derivative = coefficients[1:4] * coefficients.new_tensor([1, 2, 3])[:, None, None]
        return cls(low.to(kind), high.to(kind), knots.to(kind), coefficients, derivative)

    def of(self, units: Tensor) -> Splines:
        """See `types.Curves`."""
        return Splines(
            self.low[units],
            self.high[units],
            self.knots[:, units],
            self.coefficients[:, :, units],
            self.derivative[:, :, units],
        )

    def at(self, values: Tensor) -> Tensor:
        """See `types.Curves`."""
        t, beyond = self._places(values)
        if beyond is not None:
            return self.with_slopes(values)[0]
        value = self._cubic(t)
        for knot, weights in zip(self.knots, self.coefficients[4:], strict=True):
            past = (t - knot).clamp_min_(0)
            value.addcmul_(past * past, past.mul_(weights))
        return value.double()

    def with_slopes(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """See `types.Curves`."""
        t, beyond = self._places(values)
        value, d = self._cubic(t), self.derivative
        slope = torch.addcmul(d[0], t, torch.addcmul(d[1], t, d[2]))
        for knot, weights in zip(self.knots, self.coefficients[4:], strict=True):
            past = (t - knot).clamp_min_(0)
            square = (past * past).mul_(weights)
            slope.add_(square, alpha=3)
            value.addcmul_(square, past)
        if beyond is not None:  # a line through 0 would promise a loss that nobody measured
            away = torch.where(value < 0, -1.0, 1.0) * slope.abs()
            value.addcmul_(away, beyond.abs())
            slope = torch.where(beyond == 0, slope, away.mul_(beyond.sign()))
        return value.double(), slope.mul_(2 / (self.high - self.low)).double()

    def holds(self, values: Tensor) -> Tensor:
        """See `types.Curves`."""
        return (values >= self.low) & (values <= self.high)

    def _cubic(self, t: Tensor) -> Tensor:
        """The part without the truncated cubes."""
        c = self.coefficients
        return torch.addcmul(c[0], t, torch.addcmul(c[1], t, torch.addcmul(c[2], t, c[3])))

    def _places(self, values: Tensor) -> tuple[Tensor, Tensor | None]:
        """Places of values in [-1, 1], and how far they are beyond; None if none is."""
        scale = 2 / (self.high - self.low)
        t = (values.to(self.low.dtype) - self.low).mul_(scale).sub_(1)
        inside = t.clamp(-1, 1)
        beyond = t.sub_(inside)
        return inside, beyond if bool(beyond.any()) else None


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
class HermiteTable:
    """Values and slopes at even nodes, and the cubic between two that has both at each.

    A function stands for what replaces `origin` (N, U) by up to `reach` (U,) more or less. Its
    `count` cubics are rows of `pieces` (R, 4), rising powers of the place between two nodes, from
    row `first` (N, U) on.
    """

    origin: Tensor
    reach: Tensor
    first: Tensor
    pieces: Tensor
    count: int

    @classmethod
    def through(cls, origin: Tensor, reach: Tensor, values: Tensor, slopes: Tensor) -> HermiteTable:
        """The table of values and slopes (N, U, G) at even nodes."""
        count = values.shape[2] - 1
        slopes = slopes * (2 * reach / count)[:, None]
        f, m, n = values[..., :-1], slopes[..., :-1], slopes[..., 1:]
        rise = values[..., 1:] - f
        pieces = torch.stack([f, m, 3 * rise - 2 * m - n, m + n - 2 * rise], 3)
        first = torch.arange(origin.numel(), device=origin.device).view(origin.shape) * count
        return cls(origin, reach, first, pieces.view(-1, 4), count)

    def of(self, units: Tensor) -> HermiteTable:
        """See `types.Curves`."""
        return HermiteTable(
            self.origin[:, units], self.reach[units], self.first[:, units], self.pieces, self.count
        )

    def at(self, values: Tensor) -> Tensor:
        """See `types.Curves`."""
        return self.with_slopes(values)[0]

    def with_slopes(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """See `types.Curves`."""
        place = ((values - self.origin) / self.reach + 1).float().mul_(self.count / 2)
        inside = place.clamp(0, self.count)
        piece = inside.floor().clamp_max_(self.count - 1)
        t = inside - piece
        rows = self.pieces.index_select(0, piece.long().add_(self.first).view(-1))
        f, m, square, cube = rows.view(*t.shape, 4).unbind(2)
        value = torch.addcmul(f, t, torch.addcmul(m, t, torch.addcmul(square, t, cube)))
        slope = torch.addcmul(m, t, torch.add(2 * square, 3 * t * cube))
        value.addcmul_(slope, place.sub_(inside))
        return value.double(), slope.double().mul_(self.count / 2 / self.reach.double())

    def holds(self, values: Tensor) -> Tensor:
        """See `types.Curves`."""
        return (values - self.origin).abs() <= self.reach


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


def chebyshev_count(reach: float, error: float) -> int:
    """How many nodes log(sum p exp(d w)) needs for about this error.

    `reach` is half the range of d times the largest difference of weights w. The function is
    analytic up to pi over that difference beside the real axis, so the error falls like rho^-G,
    rho that of the Bernstein ellipse.
    """
    if reach <= 0:
        return 4
    rate = asinh(pi / reach)
    return min(96, max(6, ceil(-log(error) / rate)))
