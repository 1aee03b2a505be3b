"""Fitting the constants of P = sigmoid(a * (cosine + b)) to known presence."""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, hypot, log

import torch
from torch import Tensor

from le_bench.errors import BenchError
from le_bench.types import Calibration, require

MAX_PREVALENCE = 0.3
MAX_SLOPE = 1000.0
MIN_SLOPE = 1e-6
TOLERANCE = 1e-10
MAX_STEPS = 200
BLOCK_CELLS = 1 << 20
ARMIJO = 1e-4
REMEDY = "give the encoder its constants `a` and `b`"


@dataclass(frozen=True)
class _Cells:
    """Usable cells: `cosines` and `truth` (N, C), and the mean and spread that scale cosines."""

    cosines: Tensor
    truth: Tensor
    mean: float
    spread: float


@dataclass(frozen=True)
class _Point:
    """Loss and derivatives at logits = slope * (cosine - mean) / spread + offset."""

    slope: float
    offset: float
    loss: float
    gradient: tuple[float, float]
    curvature: tuple[float, float, float]


def fit_calibration(cosines: Tensor, truth: Tensor) -> Calibration:
    """The a and b of P = sigmoid(a * (cosine + b)) with the smallest mean binary cross-entropy.

    `cosines` (N, C) in [-1, 1] and `truth` (N, C) in [0, 1] have one row for each image and one
    column for each concept; neither is changed. Concepts present in over 30% of the images are
    left out, all other cells count alike, those of absent concepts included.

    Source: "Linear Explanations for Individual Neurons", section 3. The authors take the best
    point of a grid; here the problem is solved as the convex logistic regression that it is in
    (a, a * b), by Newton steps with a line search in float64 until no derivative of the mean loss
    by the standardised coefficients exceeds 1e-10, so no grid point is ever better.

    |a| is at most 1000: where presence can be read off the cosine without a mistake the best `a`
    is infinite, and the best point at the bound is given. A negative `a` says that the encoder's
    cosines fall where concepts are present. Raises BenchError if no concept is usable or the
    cosines tell nothing.

    >>> cosines = torch.tensor([[0.1, 0.3], [0.3, 0.1], [0.2, 0.1], [0.1, 0.1], [0.2, 0.2]])
    >>> truth = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    >>> round(fit_calibration(cosines, truth).a, 6)
    1000.0
    """
    require(
        cosines.ndim == 2 and cosines.shape == truth.shape,
        f"cosines {tuple(cosines.shape)} and truth {tuple(truth.shape)} are not (images, concepts)",
    )
    cells = _usable_cells(cosines, truth)
    best = _minimise(cells)
    a = best.slope / cells.spread
    if abs(a) < MIN_SLOPE:
        raise BenchError(
            "cannot fit the encoder's calibration: its cosines do not depend on whether a concept "
            f"is present; use a trained encoder or {REMEDY}"
        )
    images, concepts = cells.truth.shape
    return Calibration(
        a=a,
        b=best.offset / a - cells.mean,
        source=f"fitted on {images} images and {concepts} concepts",
        cross_entropy=best.loss,
    )


def _usable_cells(cosines: Tensor, truth: Tensor) -> _Cells:
    """The columns present in at most 30% of the images, or a BenchError if none can be used."""
    prevalence = truth.double().mean(0)
    kept = prevalence <= MAX_PREVALENCE
    if not bool((kept & (prevalence > 0)).any()):
        raise BenchError(
            f"cannot fit the encoder's calibration: none of {truth.shape[1]} concepts with ground "
            f"truth is present in at least one and at most {MAX_PREVALENCE:.0%} of "
            f"{truth.shape[0]} images; {REMEDY}"
        )
    if not bool(kept.all()):
        cosines, truth = cosines[:, kept], truth[:, kept]
    if not bool(torch.isfinite(cosines).all()):
        raise BenchError(
            "cannot fit the encoder's calibration: its cosines contain NaN or infinity; "
            "check its weights and preprocessing"
        )
    mean = float(cosines.mean(dtype=torch.float64))
    square = sum(float((block.double() - mean).square().sum()) for block in _blocks(cosines))
    spread = float((square / cosines.numel()) ** 0.5)
    if spread <= torch.finfo(torch.float32).eps:
        raise BenchError(
            "cannot fit the encoder's calibration: all its cosines are equal; "
            f"use a trained encoder or {REMEDY}"
        )
    return _Cells(cosines, truth, mean, spread)


def _blocks(values: Tensor) -> tuple[Tensor, ...]:
    """Row blocks of about a million cells, so that float64 copies stay small."""
    return torch.split(values, max(1, BLOCK_CELLS // values.shape[1]))


def _evaluate(cells: _Cells, slope: float, offset: float) -> _Point:
    """Mean cross-entropy with its gradient and second derivatives by slope and offset."""
    total = torch.zeros(6, dtype=torch.float64)
    for cosines, truth in zip(_blocks(cells.cosines), _blocks(cells.truth), strict=True):
        z = (cosines.double() - cells.mean) / cells.spread
        target = truth.double()
        logits = slope * z + offset
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")
        probability = torch.sigmoid(logits)
        residual = probability - target
        weight = probability * (1 - probability)
        weighted = weight * z
        total += torch.stack(
            [
                loss,
                (residual * z).sum(),
                residual.sum(),
                (weighted * z).sum(),
                weighted.sum(),
                weight.sum(),
            ]
        )
    f, g0, g1, h00, h01, h11 = (total / cells.cosines.numel()).tolist()
    return _Point(slope, offset, f, (g0, g1), (h00, h01, h11))


def _minimise(cells: _Cells) -> _Point:
    """The best point with |a| at most MAX_SLOPE.

    The loss is convex, and so is its minimum over the offset as a function of the slope. Hence if
    that minimum does not rise at the bound when seen from inside, the best point is at the bound.
    """
    prevalence = float(cells.truth.mean(dtype=torch.float64))
    bound = MAX_SLOPE * cells.spread
    point = _evaluate(cells, 0.0, log(prevalence / (1 - prevalence)))
    direction = _separating_direction(cells)
    if direction:
        return _fit_offset(cells, direction * bound, point.offset)
    for _ in range(MAX_STEPS):
        if abs(point.slope) > bound:
            edge = _fit_offset(cells, copysign(bound, point.slope), point.offset)
            if edge.gradient[0] * copysign(1.0, point.slope) <= TOLERANCE:
                return edge
            bound, point = float("inf"), edge
        if max(map(abs, point.gradient)) <= TOLERANCE:
            return point
        following = _descend(cells, point, _newton_step(point))
        if following is None:
            return point
        point = following
    raise RuntimeError(f"calibration did not converge in {MAX_STEPS} steps: {point}")


def _separating_direction(cells: _Cells) -> int:
    """1 or -1 if one cosine tells all present from all absent cells, rising or falling; else 0."""
    inf = float("inf")
    present, absent = (inf, -inf), (inf, -inf)
    for cosines, truth in zip(_blocks(cells.cosines), _blocks(cells.truth), strict=True):
        if not bool(((truth == 0) | (truth == 1)).all()):
            return 0
        present = _widen(present, cosines[truth == 1])
        absent = _widen(absent, cosines[truth == 0])
    return int(present[0] >= absent[1]) - int(present[1] <= absent[0])


def _widen(span: tuple[float, float], values: Tensor) -> tuple[float, float]:
    """The smallest and the largest of a span's ends and these values."""
    if values.numel() == 0:
        return span
    return min(span[0], float(values.min())), max(span[1], float(values.max()))


def _fit_offset(cells: _Cells, slope: float, offset: float) -> _Point:
    """The best point with this slope: Newton steps, or halves of the bracket where they leave it.

    The derivative by the offset rises with it. It is negative while all logits lie below the one
    of the mean truth and positive while all lie above, which brackets its zero.
    """
    prevalence = float(cells.truth.mean(dtype=torch.float64))
    middle = log(prevalence / (1 - prevalence))
    ends = [slope * (float(c) - cells.mean) / cells.spread for c in cells.cosines.aminmax()]
    low, high = middle - max(ends), middle - min(ends)
    point = _evaluate(cells, slope, min(max(offset, low), high))
    for _ in range(MAX_STEPS):
        residual, weight = point.gradient[1], point.curvature[2]
        low, high = (point.offset, high) if residual < 0 else (low, point.offset)
        following = point.offset - residual / weight if weight > 0 else high
        if not low < following < high:
            following = (low + high) / 2
        if residual == 0 or abs(following - point.offset) <= 1e-12 * (1 + abs(point.offset)):
            break
        point = _evaluate(cells, slope, following)
    return point


def _newton_step(point: _Point) -> tuple[float, float]:
    """The Newton step, or the steepest descent where the curvature has vanished."""
    (g0, g1), (h00, h01, h11) = point.gradient, point.curvature
    determinant = h00 * h11 - h01 * h01
    if determinant <= torch.finfo(torch.float64).eps * h00 * h11 or h11 <= 0:
        return -g0, -g1
    return (h01 * g1 - h11 * g0) / determinant, (h01 * g0 - h00 * g1) / determinant


def _descend(cells: _Cells, point: _Point, step: tuple[float, float]) -> _Point | None:
    """The first point along the step, halved as often as needed, that lowers loss or gradient.

    Where the losses differ by no more than rounding, the smaller gradient decides; None if no
    length helps, which is as near to the minimum as float64 tells.
    """
    slack = 4 * torch.finfo(torch.float64).eps * abs(point.loss)
    decrease = point.gradient[0] * step[0] + point.gradient[1] * step[1]
    length = 1.0
    while length > torch.finfo(torch.float64).eps:
        trial = _evaluate(cells, point.slope + length * step[0], point.offset + length * step[1])
        if trial.loss <= point.loss + ARMIJO * length * decrease:
            return trial
        if trial.loss <= point.loss + slack and hypot(*trial.gradient) < hypot(*point.gradient):
            return trial
        length /= 2
    return None
