"""A handful of invented images that an elastic net cannot tell from the real ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from le_bench_plugins.explainers.linear.elastic_net import RankingProblem

RANK_BELOW = 1e-12  # share of the largest eigenvalue below which a direction does not exist


@dataclass(frozen=True, slots=True, eq=False)
class PseudoImages:
    """At most C + 1 images with the first and second moments of all train images, float64.

    `presence` (R + 1, C) for a Gram matrix of rank R, `activations` (R + 1, U), and `step`, the
    reciprocal of the Gram matrix's largest eigenvalue.
    """

    presence: Tensor
    activations: Tensor
    step: float


def pseudo_images(problem: RankingProblem) -> PseudoImages:
    """Images whose means and mean products are those of the problem.

    With gram = V diag(e) V', the rows of sqrt(R + 1) * H diag(sqrt(e)) V' have them if the columns
    of H (R + 1, R) are orthonormal and orthogonal to the constant, so that presence has mean zero.
    Activations follow by diag(1 / sqrt(e)) V' cross, plus their mean. What the concepts cannot
    explain of the activations is left out: it adds a constant to a unit's objective.

    The elastic net over these images differs from that over all images by this constant alone.
    """
    eigenvalues, vectors = torch.linalg.eigh(problem.gram)
    exists = eigenvalues > RANK_BELOW * eigenvalues[-1]
    roots, directions = eigenvalues[exists].sqrt(), vectors[:, exists]
    mix = _balanced_rows(len(roots)).to(problem.gram)
    return PseudoImages(
        presence=mix @ (roots[:, None] * directions.T),
        activations=mix @ (directions.T @ problem.cross / roots[:, None]) + problem.offset,
        step=float(1 / eigenvalues[-1]),
    )


def _balanced_rows(rank: int) -> Tensor:
    """(rank + 1, rank) with columns of mean 0, mean square 1 and no correlation (Helmert)."""
    n = torch.arange(1.0, rank + 1, dtype=torch.float64)
    length = (n * (n + 1)).sqrt()
    rows = torch.zeros(rank + 1, rank, dtype=torch.float64)
    rows[:-1] = torch.ones(rank, rank, dtype=torch.float64).triu() / length
    rows[1:] -= torch.diag(n / length)
    return rows * math.sqrt(rank + 1)
