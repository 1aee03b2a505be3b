"""Choosing among concepts so that rounding never decides."""

from __future__ import annotations

import torch
from torch import Tensor

TIE = 1e-9


def first_best(values: Tensor) -> tuple[Tensor, Tensor]:
    """The largest of each row of (U, C) and the first column that holds it, both (U,).

    Values that differ by less than 1e-9 (of the largest, if that is above 1) are equal: sums over
    the same images may differ in their last digits from column to column. NaN never wins; the
    largest of a row of NaN is -inf.

    >>> first_best(torch.tensor([[0.1, 0.7, float("nan"), 0.7]]))
    (tensor([0.7000]), tensor([1]))
    """
    known = values.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    best = known.amax(1, keepdim=True)
    equal = known >= best - TIE * best.abs().clamp_min(1)
    equal |= known == best  # for a best of -inf or inf, whose tolerance is not a number
    return best[:, 0], equal.to(torch.uint8).argmax(1)
