"""Formulas over the order of images; ties count by average ranks, so nothing is random."""

from __future__ import annotations

import torch
from torch import Tensor


def average_ranks(values: Tensor) -> Tensor:
    """Ranks from 1 within each column of (N, U), float64; equal values share their average.

    >>> average_ranks(torch.tensor([[0.5], [0.1], [0.5]])).flatten().tolist()
    [2.5, 1.0, 2.5]
    """
    ordered, order = values.sort(0)
    first, last = _groups(ordered)
    ranks = (first + last).double() / 2 + 1
    return torch.empty_like(ranks).scatter_(0, order, ranks)


def area_under_roc(scores: Tensor, truth: Tensor) -> Tensor:
    """P(score of a true image > that of another), ties count half; (U,) float64 in [0, 1].

    `scores` (N, U) real, `truth` (N, U) bool with both values in each column, else NaN.

    Source: Hanley and McNeil (1982): the Mann-Whitney statistic over the number of pairs.
    """
    positives = truth.sum(0).double()
    negatives = len(truth) - positives
    ranks = torch.where(truth, average_ranks(scores), 0.0).sum(0)
    area: Tensor = (ranks - positives * (positives + 1) / 2) / (positives * negatives)
    return area


def average_precision(scores: Tensor, truth: Tensor) -> Tensor:
    """Sum over thresholds of recall gained times precision reached; (U,) float64 in [0, 1].

    `scores` (N, U) real, `truth` (N, U) bool; NaN without a true image. Images of equal score
    enter at one threshold. This is scikit-learn's average_precision_score, a step-wise area under
    the precision-recall curve without interpolation.
    """
    ordered, order = scores.sort(0, descending=True)
    hits = truth.gather(0, order).double()
    _, last = _groups(ordered)
    precision = hits.cumsum(0).gather(0, last) / (last + 1)
    areas: Tensor = (hits * precision).sum(0) / hits.sum(0)
    return areas


def _groups(ordered: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the last row of the run of equal values that each row of (N, U) lies in."""
    rows = torch.arange(len(ordered)).unsqueeze(1).expand(ordered.shape)
    change = ordered[1:] != ordered[:-1]
    edge = torch.ones_like(ordered[:1], dtype=torch.bool)
    first = torch.where(torch.cat([edge, change]), rows, 0).cummax(0).values
    ends = torch.where(torch.cat([change, edge]), rows, len(ordered))
    last = ends.flip(0).cummin(0).values.flip(0)
    return first, last
