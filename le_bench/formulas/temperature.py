"""Fitting the temperature of a classifier's logits."""

from __future__ import annotations

from math import exp, log

import torch
from torch import Tensor
from torch.nn import functional

from le_bench.types import Temperature, require

LOWEST, HIGHEST = 1e-3, 1e3
STEPS = 200


def fit_temperature(logits: Tensor, labels: Tensor) -> Temperature:
    """The T > 0 that minimises the mean cross-entropy of logits (N, C) / T with labels (N,).

    The loss is convex in 1/T, so its derivative has one sign change, which is bracketed and
    halved in log(1/T) to the last digit, in float64, between T = 0.001 and 1000. Where the loss
    falls for ever there is no such T: towards 0 if every image is classified rightly, towards
    infinity if the logits tell nothing. T is then 1 and `source` says why: a temperature near 0
    would make every loss 0 or enormous. Neither input is changed.

    Source: Guo et al., "On Calibration of Modern Neural Networks" (2017), section 4.2; used by
    "Linear Explanations for Individual Neurons", section 2, whose code has the constant 1.1.
    """
    require(len(logits) > 0 and len(logits) == len(labels), "a temperature needs labelled images")
    own, labels = logits.double(), labels.to(logits.device)

    def slope(inverse: float) -> float:
        """Derivative of the mean loss by 1/T: expected logit minus the label's logit."""
        expected = (torch.softmax(own * inverse, 1) * own).sum(1)
        return float((expected - own.gather(1, labels[:, None])[:, 0]).mean())

    if slope(1 / LOWEST) <= 0:
        return tempered(logits, labels, 1.0, "1, as every val image is classified rightly")
    if slope(1 / HIGHEST) >= 0:
        return tempered(logits, labels, 1.0, "1, as the logits tell nothing of the val labels")
    low, high = log(1 / HIGHEST), log(1 / LOWEST)
    for _ in range(STEPS):
        middle = (low + high) / 2
        if high - low < 1e-13:
            break
        if slope(exp(middle)) > 0:
            high = middle
        else:
            low = middle
    return tempered(logits, labels, exp(-(low + high) / 2), "fitted on the val images")


def tempered(logits: Tensor, labels: Tensor, value: float, source: str) -> Temperature:
    """A temperature with the mean cross-entropy that it gives for logits (N, C)."""
    own, labels = logits.double(), labels.to(logits.device)
    entropies = [float(functional.cross_entropy(own / t, labels)) for t in (value, 1.0)]
    return Temperature(value, source, *entropies)
