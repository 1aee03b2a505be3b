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
    """Moments in units of the train deviation of each concept, made where they are read.

    `deviation` (C,) is that of train presence, above 0; `train` and `val` are not scaled.
    """

    deviation: Tensor
    train: Moments
    val: Moments

    @staticmethod
    def of(train: Moments, val: Moments) -> ScaledMoments:
        """Both splits on the scale of the train split."""
        return ScaledMoments(train.gram.diagonal().double().sqrt(), train, val)

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the moments' matrices."""
        return self.train.gram.dtype


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
    hidden = split.concept_mean * (1 - split.concept_mean) - split.gram.diagonal().double()
    extra = (doubt * hidden.clamp_min(0)).to(split.gram.dtype)
    seen = replace(split, gram=split.gram + torch.diag(extra))
    return replace(ScaledMoments.of(split, split), train=seen, val=seen)


def fit_all(scaled: ScaledMoments, sets: Tensor) -> Tensor:
    """Least squares with bias on train for one set of S concepts a unit, (U, S) to weights (U, S).

    If concepts are collinear the solution of least norm on the scale of `scaled`, so that nothing
    is refused.
    """
    train, scale = scaled.train, 1 / scaled.deviation[sets]
    gram = train.gram[sets[:, :, None], sets[:, None, :]] * scale[:, :, None] * scale[:, None, :]
    units = torch.arange(len(sets), device=sets.device)[:, None]
    cross = train.cross[sets, units] * scale
    inverse: Tensor = torch.linalg.pinv(gram, rtol=collinear(scaled.dtype), hermitian=True)
    return (inverse @ cross[..., None])[..., 0]
