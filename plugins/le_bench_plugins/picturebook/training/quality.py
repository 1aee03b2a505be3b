"""Measure how well an encoder tells which concepts a picture shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from torch.nn import functional as F

from le_bench_plugins.picturebook.concepts import CONCEPTS
from le_bench_plugins.picturebook.training.pool import to_pictures

Tokenizer = Callable[[list[str]], Tensor]
CONCEPT_NAMES: tuple[str, ...] = tuple(concept.name for concept in CONCEPTS)
PROMPTS: Mapping[str, Sequence[str]] = {
    "bare": ("{}",),
    "photo": ("a photo of {}",),
    "mean of both": ("{}", "a photo of {}"),
}


@dataclass(frozen=True, slots=True)
class Calibration:
    """The shared `a` and `b` of P = sigmoid(a * (cosine + b))."""

    a: float
    b: float

    def predict(self, cosines: Tensor) -> Tensor:
        """Return probabilities of the same shape as the cosines."""
        return torch.sigmoid(self.a * (cosines + self.b))


@torch.no_grad()
def embed_images(model: nn.Module, images: npt.NDArray[np.uint8], chunk: int = 250) -> Tensor:
    """Return unit vectors (N, D) of images (N, 64, 64, 3)."""
    parts = [
        model.encode_image(to_pictures(images[first : first + chunk]), normalize=True)  # type: ignore[operator]
        for first in range(0, len(images), chunk)
    ]
    return torch.cat(parts).float()


@torch.no_grad()
def embed_names(
    model: nn.Module, tokenizer: Tokenizer, prompts: Sequence[str], names: Sequence[str]
) -> Tensor:
    """Return unit vectors (C, D) of the names, each the mean over the prompts."""
    total = torch.zeros(())
    for prompt in prompts:
        texts = [prompt.format(name) for name in names]
        total = total + model.encode_text(tokenizer(texts), normalize=True)  # type: ignore[operator]
    return F.normalize(total.float(), dim=-1)


def average_precisions(cosines: Tensor, presence: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the average precision of each concept, (C,); NaN if no picture shows it.

    cosines and presence: (N, C). The definition is that of scikit-learn.
    """
    scores = cosines.numpy()
    return np.array(
        [
            average_precision_score(truth, score) if truth.any() else np.nan
            for truth, score in zip(presence.T, scores.T, strict=True)
        ]
    )


def by_category(values: npt.NDArray[np.float64]) -> dict[str, float]:
    """Return the mean over all concepts, and over those of each category, of values (C,)."""
    categories = np.array([concept.category for concept in CONCEPTS])
    means = {"all": float(np.nanmean(values))}
    for category in dict.fromkeys(categories.tolist()):
        means[category] = float(np.nanmean(values[categories == category]))
    return {name: round(mean, 4) for name, mean in means.items()}


def fit_calibration(cosines: Tensor, presence: npt.NDArray[np.bool_]) -> Calibration:
    """Return the `a` and `b` with the least mean binary cross-entropy, found by L-BFGS.

    cosines and presence: (N, C).
    """
    truth = torch.from_numpy(presence).double()
    inputs = cosines.double()
    slope_and_shift = torch.tensor([10.0, -1.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [slope_and_shift], max_iter=200, line_search_fn="strong_wolfe", tolerance_change=1e-12
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits = slope_and_shift[0] * inputs + slope_and_shift[1]
        loss = F.binary_cross_entropy_with_logits(logits, truth)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    slope, shift = slope_and_shift.tolist()
    return Calibration(slope, shift / slope)


def cross_entropy(
    calibration: Calibration, cosines: Tensor, presence: npt.NDArray[np.bool_]
) -> float:
    """Return the mean binary cross-entropy in nats of the calibrated probabilities."""
    probabilities = calibration.predict(cosines.double())
    return float(F.binary_cross_entropy(probabilities, torch.from_numpy(presence).double()))


def marginal_entropy(presence: npt.NDArray[np.bool_]) -> float:
    """Return the cross-entropy of always predicting each concept's own prevalence."""
    prevalence = presence.mean(axis=0).clip(1e-9, 1 - 1e-9)
    entropies = -(prevalence * np.log(prevalence) + (1 - prevalence) * np.log(1 - prevalence))
    return float(entropies.mean())
