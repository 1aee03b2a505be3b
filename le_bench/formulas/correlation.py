"""Pearson correlation, column by column, with an exact notion of a constant column."""

from __future__ import annotations

import torch
from torch import Tensor

from le_bench.types import require

ULPS = 4


def pearson(x: Tensor, y: Tensor) -> Tensor:
    """Pearson correlation of each column of `x` (N, U) with that of `y` (N, U), (U,) float64.

    In [-1, 1]; NaN for a column that is constant (see `constant_columns`) or holds NaN or
    infinity, and for fewer than two rows. Columns are centred and scaled in float64 before they
    are multiplied, so neither large offsets nor small or large scales matter. One column or many
    give the same numbers; neither input is changed.

    Source: "Linear Explanations for Individual Neurons", section 4. The authors call
    torch.corrcoef in float32; that is the same number with less precision.

    >>> x = torch.tensor([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]])
    >>> pearson(x, torch.tensor([[2.0, 1.0], [4.0, 2.0], [6.0, 3.0]])).round(decimals=6).tolist()
    [1.0, nan]
    """
    require(x.ndim == 2 and x.shape == y.shape, f"shapes {tuple(x.shape)}, {tuple(y.shape)} differ")
    if len(x) < 2:
        return torch.full((x.shape[1],), float("nan"), dtype=torch.float64)
    product = (_standardised(x) * _standardised(y)).sum(0).clamp(-1.0, 1.0)
    undefined = constant_columns(x) | constant_columns(y) | ~finite_columns(x) | ~finite_columns(y)
    return product.masked_fill(undefined, float("nan"))


def constant_columns(values: Tensor) -> Tensor:
    """Which columns of (N, U) do not vary beyond rounding, (U,) bool.

    A column is constant if its largest and smallest value differ by at most 4 units in the last
    place of its type, relative to its largest magnitude: max - min <= 4 * eps * max|value|, with
    eps = 1.2e-7 for float32. So is a unit whose value is the same but for the order in which a
    device sums. Columns with NaN or infinity are not constant.
    """
    if len(values) == 0:
        return torch.zeros(values.shape[1], dtype=torch.bool)
    eps = torch.finfo(values.dtype).eps if values.dtype.is_floating_point else 0.0
    low, high = torch.aminmax(values, dim=0)
    low, high = low.double(), high.double()
    return high - low <= ULPS * eps * torch.maximum(low.abs(), high.abs())


def finite_columns(values: Tensor) -> Tensor:
    """Which columns of (N, U) hold neither NaN nor infinity, (U,) bool."""
    return torch.isfinite(values).all(0)


def _standardised(values: Tensor) -> Tensor:
    """Columns centred and scaled to Euclidean length 1, float64."""
    centred = values.double()
    centred = centred - centred.mean(0)
    centred = centred / centred.abs().amax(0)
    lengths: Tensor = torch.linalg.vector_norm(centred, dim=0)
    return centred / lengths
