"""Least squares on a few concepts of each unit, from moments alone, for many units at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from le_bench_plugins.explainers.linear.moments import Moments

COLLINEAR = 1e-6  # share of a concept's variance that the other concepts must leave unexplained
NO_VARIANCE = 1e-12  # variance of a fit, relative to its parts', below which it is constant


@dataclass(frozen=True, slots=True, eq=False)
class ScaledMoments:
    """Moments in units of the train deviation of each concept, float64.

    `deviation` (C,); `gram`, `cross` of train with ones on the diagonal of `gram`; `val_gram`,
    `val_cross`, `val_power` of val on the same scale. All concepts vary on train.
    """

    deviation: Tensor
    gram: Tensor
    cross: Tensor
    val_gram: Tensor
    val_cross: Tensor
    val_power: Tensor

    @staticmethod
    def of(train: Moments, val: Moments) -> ScaledMoments:
        """Both splits on the scale of the train split."""
        deviation = train.gram.diagonal().sqrt()
        products = deviation[:, None] * deviation
        return ScaledMoments(
            deviation,
            train.gram / products,
            train.cross / deviation[:, None],
            val.gram / products,
            val.cross / deviation[:, None],
            val.power,
        )


def fit(scaled: ScaledMoments, sets: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
    """Least squares with bias on train, for each of B units and K sets of S concepts.

    `sets` (B, K, S) are concepts, `units` (B,) the units. Gives weights (B, K, S) of the scaled
    concepts, and the share (B, K) of the last concept's variance that the others of its set leave
    unexplained (its Schur complement). Where that share is below 1e-6 the last concept is
    collinear with the others: there the weights are NaN and the share is 0.
    """
    gram = scaled.gram[sets[..., :, None], sets[..., None, :]]
    cross = scaled.cross[sets, units[:, None, None]]
    factor, failed = torch.linalg.cholesky_ex(gram)
    left = torch.where(failed > 0, 0.0, factor[..., -1, -1].square())
    left = torch.where(left < COLLINEAR, 0.0, left)
    solvable = (left > 0)[..., None]
    identity = torch.eye(sets.shape[-1], dtype=gram.dtype, device=gram.device)
    factor = torch.where(solvable[..., None], factor, identity)
    weights = torch.cholesky_solve(cross[..., None], factor)[..., 0]
    return torch.where(solvable, weights, torch.nan), left


def val_correlation(scaled: ScaledMoments, sets: Tensor, weights: Tensor, units: Tensor) -> Tensor:
    """Pearson correlation on val of each fit of `fit` with its unit, (B, K).

    NaN where the weights are NaN or the fit is constant on val.
    """
    gram = scaled.val_gram[sets[..., :, None], sets[..., None, :]]
    covariance = (weights * scaled.val_cross[sets, units[:, None, None]]).sum(-1)
    variance = (weights[..., None, :] @ gram @ weights[..., None])[..., 0, 0]
    parts = (weights.square() * gram.diagonal(dim1=-2, dim2=-1)).sum(-1)
    variance = torch.where(variance > NO_VARIANCE * parts, variance, torch.nan)
    return covariance / (variance * scaled.val_power[units][:, None]).sqrt()


def fit_all(scaled: ScaledMoments, sets: Tensor) -> Tensor:
    """Least squares with bias on train for one set of S concepts a unit, (U, S) to weights (U, S).

    If concepts are collinear the solution of least norm on the scale of `scaled`, so that nothing
    is refused.
    """
    gram = scaled.gram[sets[:, :, None], sets[:, None, :]]
    units = torch.arange(len(sets), device=sets.device)[:, None]
    inverse: Tensor = torch.linalg.pinv(gram, rtol=COLLINEAR, hermitian=True)
    return (inverse @ scaled.cross[sets, units][..., None])[..., 0]
