"""Top Impact: how much of a unit's effect lies in the images that activate it most."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from typing import Literal

import torch
from torch import Tensor

from le_bench.types import require


def unit_impacts(
    correct: Tensor, losses: Tensor, correct_without: Tensor, losses_without: Tensor
) -> Tensor:
    """I[n, k], what unit k contributes on image n, (N, U) float64; above 0 where it helps.

    I = (dAcc - dL) / 2 with dAcc = (correct - correct without the unit) / sum of correct and
    dL = (loss - loss without) / sum of losses, from `correct` (N,) bool, `losses` (N,) and the same
    with each unit replaced by 0, (N, U). A network that is right nowhere has no dAcc: it is 0.

    Source: "Linear Explanations for Individual Neurons", section 2.
    """
    hits, total = correct.double().sum(), losses.double().sum()
    accuracy = (correct[:, None].double() - correct_without.double()) / hits.clamp_min(1.0)
    loss = (losses[:, None].double() - losses_without.double()) / total.clamp_min(1e-300)
    return (accuracy - loss) / 2


def top_impact(
    impacts: Tensor,
    activations: Tensor,
    fractions: Sequence[float],
    counting: Literal["exact", "authors"] = "exact",
) -> Tensor:
    """TI(b) for each fraction b and unit, (F, U) float64 in [0, 1].

    The sum of |I| over the b N images with the highest pooled activation, divided by the sum over
    all N; NaN for a unit without any impact. `impacts` and `activations` are (N, U). Images of
    equal activation keep their order. For `exact` the image on which b N falls counts in part, so
    that TI(b) = b if all images matter alike, whatever N; `authors` counts floor(b N) + 1 images,
    as their code does: nearly the same for N = 50,000, far more for small N.

    Source: "Linear Explanations for Individual Neurons", section 2 and Table 1; the authors'
    activation_importance.ipynb.
    """
    require(impacts.shape == activations.shape, "impacts and activations differ in shape")
    count = len(impacts)
    order = activations.argsort(dim=0, descending=True, stable=True)
    sums = impacts.abs().double().gather(0, order).cumsum(0)
    sums = torch.cat([torch.zeros_like(sums[:1]), sums])
    found = []
    for fraction in fractions:
        if counting == "authors":
            found.append(sums[min(count, int(fraction * count) + 1)])
        else:
            whole = min(count - 1, floor(fraction * count))
            part = min(1.0, fraction * count - whole)
            found.append(sums[whole] + part * (sums[whole + 1] - sums[whole]))
    return torch.stack(found) / torch.where(sums[-1] > 0, sums[-1], torch.nan)
