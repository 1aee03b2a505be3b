"""Images on which a target model is judged, and what is known of them beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from le_bench.types import Split

JUDGED: tuple[Split, ...] = ("val", "test")  # splits on which explanations are tried


@dataclass(frozen=True, eq=False)
class Judged:
    """The images of a split that are run: dataset rows (n,), their places in the split, and what
    is known of them: labels (n,), logits (n, C) of the whole network, activations (n, U); and the
    temperature by which logits are divided."""

    rows: Tensor
    places: Tensor
    labels: Tensor
    logits: Tensor
    activations: Tensor
    temperature: float

    @property
    def scaled(self) -> Tensor:
        """Logits divided by the temperature, (n, C) float64."""
        return self.logits.double() / self.temperature

    @cached_property
    def losses(self) -> Tensor:
        """Cross-entropy of the whole network, (n,) float64."""
        return F.cross_entropy(self.scaled, self.labels, reduction="none")

    @cached_property
    def log_probabilities(self) -> Tensor:
        """(n, C) float64."""
        return torch.log_softmax(self.scaled, 1)

    @cached_property
    def probabilities(self) -> Tensor:
        """(n, C) float32."""
        return self.log_probabilities.exp().float()
