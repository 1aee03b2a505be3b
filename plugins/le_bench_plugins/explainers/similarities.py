"""The five similarities of CLIP-Dissect between what units do and what an encoder sees.

All take `cosines` (N, C) of images and concepts and `activations` (N, U), finite, of a layer, and
give (U, C) float64: larger means more alike, NaN where it is undefined. Images that activate a
unit equally are taken in the order of the rows.

Source of all: Oikarinen and Weng, CLIP-Dissect, ICLR 2023, in the form of the authors' code
(`similarity.py`), whose defaults these are. Deviation common to all: float64, because log
probabilities of hundreds of images differ by less than float32 resolves.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

NUMBERS_AT_ONCE = 2**22  # of the units x images x concepts tensors
LEAST_PROBABILITY = 1e-7


def soft_wpmi(cosines: Tensor, activations: Tensor, top_k: int = 100) -> Tensor:
    """Soft weighted pointwise mutual information, the method's own choice.

    p = softmax over concepts of 10 * cosine. The unit's i-th of `top_k` highest images counts with
    q_i = 0.998 - 0.028 * i / top_k: L = sum log(1 + q_i * (p_i - 1) + 1e-7). The result is L minus
    the logarithm of the mean of exp(L) over the units of the layer, so it depends on which units
    are compared; with one unit it is 0 everywhere. At most N images are taken.
    """
    highest = _highest_images(activations, top_k)
    ranks = torch.arange(len(highest), dtype=torch.float64, device=cosines.device)
    trust = (0.998 - 0.028 * ranks / len(highest))[:, None]
    p = torch.softmax(10 * cosines.double(), 1)

    def evidence(rows: Tensor) -> Tensor:
        return (1 + trust * (p[rows] - 1) + LEAST_PROBABILITY).log().sum(1)

    return _against_layer(_by_unit(evidence, highest, cosines.shape[1]), weight=1.0)


def wpmi(cosines: Tensor, activations: Tensor, top_k: int = 28) -> Tensor:
    """Weighted pointwise mutual information.

    p = softmax over concepts of 2 * cosine; L = sum of log(p + 1e-7) over the unit's `top_k`
    highest images; the result is L - 0.6 * log mean exp(L) over the units of the layer, so it
    depends on which units are compared. At most N images are taken.
    """
    highest = _highest_images(activations, top_k)
    log_p = (torch.softmax(2 * cosines.double(), 1) + LEAST_PROBABILITY).log()

    def evidence(rows: Tensor) -> Tensor:
        return log_p[rows].sum(1)

    return _against_layer(_by_unit(evidence, highest, cosines.shape[1]), weight=0.6)


def rank_reorder(cosines: Tensor, activations: Tensor, seed: int) -> Tensor:
    """How well a concept sorts the unit's highest images.

    The unit's highest 5% of images (at least 2, at most N) have activations t, descending. A
    concept puts them in its own order; r are the activations put in that order. The result is
    -mean |t - r|^3 / base / sqrt(mean cosine), base being the same for 5 random orders, drawn from
    `seed` and the same for all units. NaN where the mean cosine is not above 0 (the authors' code
    lets this NaN win everywhere), and for units whose highest activations are all equal.
    """
    num_images = len(activations)
    count = min(max(int(0.05 * num_images), 2), num_images)
    highest = _highest_images(activations, count)
    sorted_values = activations.double().gather(0, highest)
    ascending = sorted_values.flip(0)
    random = torch.Generator().manual_seed(seed)
    orders = torch.stack([torch.randperm(count, generator=random) for _ in range(5)])
    shuffled = ascending[orders.to(ascending.device)]
    base = (ascending - shuffled).abs().pow(3).mean((0, 1))
    seen = cosines.double()

    def similarity(rows: Tensor, units: Tensor) -> Tensor:
        images = seen[rows]  # units, images, concepts
        ranks = torch.argsort(torch.argsort(images, dim=1, stable=True), dim=1)
        values = ascending[:, units].T[..., None].expand(ranks.shape)
        difference = sorted_values[:, units].T[..., None] - values.gather(1, ranks)
        error: Tensor = difference.abs().pow(3).mean(1) / base[units, None]
        presence = images.mean(1)
        return -error / torch.where(presence > 0, presence, torch.nan).sqrt()

    units_at_once = max(1, NUMBERS_AT_ONCE // max(1, count * cosines.shape[1]))
    parts = [
        similarity(highest[:, units].T, units)
        for units in torch.split(torch.arange(activations.shape[1]), units_at_once)
    ]
    return torch.where(base[:, None] > 0, torch.cat(parts), torch.nan)


def cosine_similarity(cosines: Tensor, activations: Tensor) -> Tensor:
    """Cosine between the columns, over all images, not centred; NaN for a column of zeros."""
    P, A = cosines.double(), activations.double()
    return _unit_columns(A, 0.0).T @ _unit_columns(P, 0.0)


def cubed_cosine_similarity(cosines: Tensor, activations: Tensor) -> Tensor:
    """Cosine between the cubes of the centred columns, over all images.

    Norms below 1e-3 count as 1e-3, as in the authors' code: a unit that hardly varies is like
    nothing.
    """
    P, A = ((values.double() - values.double().mean(0)).pow(3) for values in (cosines, activations))
    return _unit_columns(A, 1e-3).T @ _unit_columns(P, 1e-3)


def _unit_columns(values: Tensor, least_norm: float) -> Tensor:
    """Columns divided by their length, or by `least_norm` if they are shorter."""
    lengths: Tensor = torch.linalg.vector_norm(values, dim=0)
    return values / lengths.clamp_min(least_norm)


def _highest_images(activations: Tensor, count: int) -> Tensor:
    """Rows of the `count` highest images of each unit, highest first, (min(count, N), U)."""
    return torch.argsort(activations, dim=0, descending=True, stable=True)[:count]


def _by_unit(evidence: Callable[[Tensor], Tensor], highest: Tensor, num_concepts: int) -> Tensor:
    """`evidence` of the highest images of a few units at a time, (U, C)."""
    units_at_once = max(1, NUMBERS_AT_ONCE // max(1, len(highest) * num_concepts))
    return torch.cat([evidence(rows.T) for rows in torch.split(highest, units_at_once, dim=1)])


def _against_layer(evidence: Tensor, weight: float) -> Tensor:
    """Evidence (U, C) less `weight` times its logarithmic mean over the units."""
    prior = torch.logsumexp(evidence, 0, keepdim=True) - math.log(len(evidence))
    return evidence - weight * prior
