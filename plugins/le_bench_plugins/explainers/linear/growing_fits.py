"""Least squares on sets of concepts that grow by one, tried with every candidate at once.

The Cholesky factor of a set grows by a row with each concept, so that nothing is ever factored
again (forward selection as orthogonalisation; Chen, Billings and Luo 1989).
"""

from __future__ import annotations

import torch
from torch import Tensor

from le_bench_plugins.explainers.linear.least_squares import NO_VARIANCE, ScaledMoments, collinear


class GrowingFits:
    """For each of B units a set of t chosen concepts, and R candidates that may join it.

    `pool` (B, R) are the candidates as concepts of `scaled`, or None if every concept is one;
    `power` (B,) is the val power of the units. The chosen concepts are made into t directions that
    are orthonormal on train; what is kept for each candidate are its products with the directions
    on train and on val, and what the directions leave of it. All in float64. Time and memory for a
    step: B * R * t.
    """

    def __init__(
        self, scaled: ScaledMoments, pool: Tensor | None, units: Tensor, length: int
    ) -> None:
        self.scaled, self.pool = scaled, pool
        self.in_float64 = scaled.dtype == torch.float64
        self.power = scaled.val.power[units]
        zero = self.power.new_zeros
        num_units = len(units)
        num_candidates = len(scaled.deviation) if pool is None else pool.shape[1]
        self.size = 0
        self.on_train = zero(num_units, length, num_candidates)  # products with the directions
        self.on_val = zero(num_units, length, num_candidates)
        each = torch.zeros_like(units)
        train, val = scaled.train, scaled.val
        self.scale = self._at(1 / scaled.deviation[None], each)  # of each candidate
        self.left = self._at(train.gram.diagonal()[None], each) * self.scale.square()
        self.val_left = self._at(val.gram.diagonal()[None], each) * self.scale.square()
        self.cross = self._at(train.cross.T, units) * self.scale
        self.val_cross = self._at(val.cross.T, units) * self.scale
        self.val_fit = zero(num_units, num_candidates)  # with the present fit on val
        self.least = collinear(scaled.dtype) * self.left
        self.factor = zero(num_units, length, length)  # directions = factor^-1 chosen concepts
        self.amounts = zero(num_units, length)  # of each direction in the fit
        self.val_covariance = zero(num_units)  # of the present fit with the unit on val
        self.val_variance = zero(num_units)  # of the present fit on val
        self.val_directions = zero(num_units, length, length)  # their products on val

    def val_correlation(self, signed: bool = True) -> Tensor:
        """Pearson correlation on val of the unit and the fit with each candidate added, (B, R).

        NaN for a candidate that the chosen concepts explain to all but 1e-6 of its train variance
        (1e-4 with float32 moments), if the fit is constant on val, and, unless `signed`, if a
        weight of the fit is not positive.
        """
        amount = self.cross / self.left
        covariance = self.val_covariance[:, None] + amount * self.val_cross
        added = amount * (2 * self.val_fit + amount * self.val_left)
        variance = self.val_variance[:, None] + added
        parts = self.val_variance[:, None] + amount.square() * self.val_left.clamp_min(0)
        known = (self.left >= self.least) & (self.left > 0) & (variance > NO_VARIANCE * parts)
        if not signed:
            known &= self._positive(amount)
        correlation = covariance / (variance * self.power[:, None]).sqrt()
        return torch.where(known, correlation, torch.nan)

    def grown(self, winner: Tensor) -> GrowingFits:
        """These fits with one candidate (B,) of each unit's pool added; they are used up."""
        t, row = self.size, winner[:, None]

        def of_winner(values: Tensor) -> Tensor:
            return values.gather(1, row)

        length = of_winner(self.left).sqrt()
        steps = self.on_train[:, :t].gather(2, row[:, :, None].expand(-1, t, 1))  # (B, t, 1)
        chosen = self.concepts(winner)
        scale = self.scale * of_winner(self.scale)
        on_train = self._at(self.scaled.train.gram, chosen) * scale
        on_train = (on_train - (self.on_train[:, :t] * steps).sum(1)) / length
        on_val = self._at(self.scaled.val.gram, chosen) * scale
        on_val = (on_val - (self.on_val[:, :t] * steps).sum(1)) / length
        self.factor[:, t, :t] = steps[:, :, 0]
        self.factor[:, t, t] = length[:, 0]

        amount = of_winner(self.cross) / length  # of the new direction in the fit
        unit = of_winner(self.val_cross) / length  # covariance of the new direction on val
        own = of_winner(self.val_left) / length.square()  # its variance on val
        with_fit = of_winner(self.val_fit) / length
        with_chosen = self._extend_directions(steps, length, row)
        # of what is left of a candidate with the new direction on val
        between = on_val - (self.on_train[:, :t] * with_chosen).sum(1)
        self.val_fit = self.val_fit - on_train * with_fit + amount * (between - on_train * own)
        self.val_left = self.val_left - on_train * (2 * between - on_train * own)
        self.val_cross = self.val_cross - on_train * unit
        self.left = self.left - on_train.square()
        self.cross = self.cross - on_train * amount
        self.val_covariance = self.val_covariance + (amount * unit)[:, 0]
        self.val_variance = self.val_variance + (amount * (2 * with_fit + amount * own))[:, 0]
        self.on_train[:, t], self.on_val[:, t] = on_train, on_val
        self.amounts[:, t] = amount[:, 0]
        self.size = t + 1
        return self

    def weights(self) -> Tensor:
        """The weights of the chosen concepts in the present fit, (B, t)."""
        factor = self.factor[:, : self.size, : self.size]
        amounts = self.amounts[:, : self.size, None]
        solution: Tensor = torch.linalg.solve_triangular(factor.mT, amounts, upper=True)
        return solution[..., 0]

    def take(self, units: Tensor) -> GrowingFits:
        """The fits of some of the units, (B,) bool; the same object if it is all of them."""
        if bool(units.all()):
            return self
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value[units])
        return self

    def concepts(self, places: Tensor) -> Tensor:
        """The concepts at these places (B,) of each unit's pool."""
        return places if self.pool is None else self.pool.gather(1, places[:, None])[:, 0]

    def _extend_directions(self, steps: Tensor, length: Tensor, row: Tensor) -> Tensor:
        """Val products (B, t, 1) of the chosen directions with the new one."""
        t = self.size
        mine = self.on_val[:, :t].gather(2, row[:, :, None].expand(-1, t, 1))
        products = (mine - self.val_directions[:, :t, :t] @ steps) / length[:, :, None]
        self.val_directions[:, :t, t] = products[:, :, 0]
        self.val_directions[:, t, :t] = products[:, :, 0]
        own = self.val_left.gather(1, row) / length.square()
        self.val_directions[:, t, t] = own[:, 0]
        return products

    def _positive(self, amount: Tensor) -> Tensor:
        """Whether all weights of the fit with each candidate are positive, (B, R)."""
        t = self.size
        positive = amount > 0
        if t:
            change = torch.linalg.solve_triangular(
                self.factor[:, :t, :t].mT, self.on_train[:, :t], upper=True
            )
            weights = self.weights()[:, :, None] - change * amount[:, None]
            positive &= (weights > 0).all(1)
        return positive

    def _at(self, values: Tensor, rows: Tensor) -> Tensor:
        """Entries (B, R) of a matrix (any, C) at one of its rows (B,) and the pool, in float64."""
        if self.pool is None:
            return values[rows].double()
        return values[rows[:, None], self.pool].double()
