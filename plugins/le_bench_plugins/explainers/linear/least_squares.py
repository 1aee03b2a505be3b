"""Least squares on a few concepts of each unit, from moments alone, for many units at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from le_bench_plugins.explainers.linear.moments import Moments

COLLINEAR = 1e-6
COLLINEAR_IN_FLOAT32 = 1e-4
NO_VARIANCE = 1e-12  # variance of a fit, relative to its parts', below which it is constant


@dataclass(frozen=True, slots=True, eq=False)
class ScaledMoments:
    """Moments in units of the train deviation of each concept.

    Float64, but for the matrices, which are float32 if the moments are.

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
        deviation = train.gram.diagonal().double().sqrt()
        factor = (1 / deviation).to(train.gram.dtype)
        return ScaledMoments(
            deviation,
            (train.gram * factor).mul_(factor[:, None]),
            train.cross * factor[:, None],
            (val.gram * factor).mul_(factor[:, None]),
            val.cross * factor[:, None],
            val.power,
        )


def collinear(dtype: torch.dtype) -> float:
    """Share of a concept's variance that others must leave unexplained, for moments of this dtype.

    In float32 what is left has an error of about 1e-6, so that smaller shares mean nothing.
    """
    return COLLINEAR if dtype == torch.float64 else COLLINEAR_IN_FLOAT32


def doubted(split: Moments, doubt: float) -> ScaledMoments:
    """The moments of one set of images, as both splits, if concepts are doubted.

    Where presence P is a calibrated probability, the truth has a variance that P does not show:
    the mean of P (1 - P). A share `doubt` of that is added to the variance of each concept. With
    0, least squares fits what the encoder sees; with 1, it fits what those see who see the truth,
    if the unit responds to nothing but what P shows. Labels are not doubted: there P (1 - P) is 0.
    """
    variance = split.gram.diagonal().double()
    scaled = ScaledMoments.of(split, split)
    hidden = (split.concept_mean * (1 - split.concept_mean) - variance).clamp_min(0)
    gram = scaled.gram + torch.diag((doubt * hidden / variance).to(scaled.gram.dtype))
    return replace(scaled, gram=gram, val_gram=gram)


def fit_all(scaled: ScaledMoments, sets: Tensor) -> Tensor:
    """Least squares with bias on train for one set of S concepts a unit, (U, S) to weights (U, S).

    If concepts are collinear the solution of least norm on the scale of `scaled`, so that nothing
    is refused.
    """
    gram = scaled.gram[sets[:, :, None], sets[:, None, :]].double()
    units = torch.arange(len(sets), device=sets.device)[:, None]
    inverse: Tensor = torch.linalg.pinv(gram, rtol=collinear(scaled.gram.dtype), hermitian=True)
    return (inverse @ scaled.cross[sets, units].double()[..., None])[..., 0]
