"""Sets of images: where a unit is active, and where its explanation claims that it is."""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor

from le_bench.types import require

ALPHA = 0.005


def check_alpha(alpha: float) -> None:
    """Refuse a share of active images that is not above 0 and at most one half."""
    require(0 < alpha <= 0.5, f"alpha is {alpha}, not in (0, 0.5]")


def active(recorded: Tensor, alpha: float = ALPHA) -> Tensor:
    """Which images activate a unit: the top `alpha` of them, at least one; (N, U) bool.

    The cutoff is the k-th largest activation, k = ceil(alpha N), and images that tie with it are
    all active. Where the cutoff is the unit's smallest activation (a unit that is 0 on all but
    fewer than k images) only images above it are active. So activations that are 0 and 1 are
    taken as they are, whatever alpha. A column that varies has both active and inactive images.

    Source: Oikarinen et al. (ICML 2025), whose code makes all images active in that last case.

    >>> active(torch.tensor([[3.0, 0.0], [2.0, 1.0], [2.0, 0.0]]), 0.5).T.tolist()
    [[True, False, False], [False, True, False]]
    """
    check_alpha(alpha)
    cutoff = recorded.topk(max(1, ceil(alpha * len(recorded))), dim=0).values[-1]
    lowest = recorded.amin(0)
    return torch.where(cutoff > lowest, recorded >= cutoff, recorded > lowest)


def claimed(simulated: Tensor, threshold: float | None = None) -> Tensor:
    """On which images an explanation claims that its unit is active; (N, U) bool.

    Without a `threshold`: in the upper half of the simulation's own range, s >= (min + max) / 2.
    For the presence of a concept that is 0 in some images and 1 in others this is presence of at
    least 0.5, as in the source; and unlike that it means the same for every linear explanation,
    whose simulation is a sum of weighted presences and a bias, because neither scale nor offset
    matters: one concept with any positive weight and bias claims the images of the concept alone.
    A column that varies has both claimed and other images. With a `threshold`: s >= threshold.

    >>> claimed(torch.tensor([[0.1], [0.2], [0.5]])).flatten().tolist()
    [False, False, True]
    """
    if threshold is not None:
        return simulated >= threshold
    low, high = torch.aminmax(simulated.double(), dim=0)
    return simulated.double() >= (low + high) / 2
