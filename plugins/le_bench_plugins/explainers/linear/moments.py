"""First and second moments of presence and activations: all that later steps need of the images.

Elastic net, least squares and correlation depend on the images only through these. They are taken
once a layer; what follows costs nothing that grows with the number of images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

ROWS_AT_ONCE = 4096
TWIN_DISTANCE = 1e-8  # 1 - correlation below which two concepts are one


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Moments of one split, all float64; products are of centred values, averaged over images.

    `num_images` (), `concept_mean` (C,), `activation_mean` (U,), `gram` (C, C) of presence with
    presence, `cross` (C, U) of presence with activations, `power` (U,) of activations with
    themselves. A column that is constant on the split has exact zeros in its products.
    """

    num_images: Tensor
    concept_mean: Tensor
    activation_mean: Tensor
    gram: Tensor
    cross: Tensor
    power: Tensor

    def take(self, concepts: Tensor) -> Moments:
        """The same images and units for some of the concepts."""
        return Moments(
            self.num_images,
            self.concept_mean[concepts],
            self.activation_mean,
            self.gram[concepts][:, concepts],
            self.cross[concepts],
            self.power,
        )

    def tensors(self, prefix: str) -> dict[str, Tensor]:
        """The moments by name, each name with a prefix; see `from_tensors`."""
        return {f"{prefix}.{f.name}": getattr(self, f.name) for f in fields(self)}

    @staticmethod
    def from_tensors(tensors: Mapping[str, Tensor], prefix: str) -> Moments:
        """What `tensors` with this prefix had given."""
        return Moments(**{f.name: tensors[f"{prefix}.{f.name}"] for f in fields(Moments)})


def moments(presence: Tensor, activations: Tensor) -> Moments:
    """Moments of presence (N, C) and finite activations (N, U) over N >= 1 images.

    Two passes of at most 4096 rows at a time: means first, then products of centred values in
    float64, so that nothing cancels however far the values lie from zero.
    """
    num_images = len(presence)
    concept_mean = _mean(presence)
    activation_mean = _mean(activations)
    gram = concept_mean.new_zeros(presence.shape[1], presence.shape[1])
    cross = concept_mean.new_zeros(presence.shape[1], activations.shape[1])
    power = concept_mean.new_zeros(activations.shape[1])
    varies = varies_within(presence)
    responds = varies_within(activations)
    for start in range(0, num_images, ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        P = (presence[rows].double() - concept_mean) * varies
        A = (activations[rows].double() - activation_mean) * responds
        gram += P.T @ P
        cross += P.T @ A
        power += A.square().sum(0)
    return Moments(
        torch.tensor(num_images, dtype=torch.float64, device=gram.device),
        concept_mean,
        activation_mean,
        gram / num_images,
        cross / num_images,
        power / num_images,
    )


def varies_within(values: Tensor) -> Tensor:
    """Which columns of (N, ...) hold two different values; False for a column with NaN alone."""
    return values.amax(0) > values.amin(0)


def without_twins(train: Moments, val: Moments) -> Tensor:
    """Concepts, in order, without those that vary with an earlier one in every image.

    Two concepts are twins if their correlation is above 1 - 1e-8 on train and on val (or both are
    constant on val). A concept that is constant on train has no weight there and is left out too.

    Deviation: the authors keep both, among whom the elastic net then shares one weight, so that a
    repeated word in the concept set ("missile" is two classes of ImageNet) changes the ranking of
    all concepts. Here it changes nothing.
    """
    varies = train.gram.diagonal() > 0
    twins = _twins(train, varies)
    on_val = val.gram.diagonal() > 0
    twins &= _twins(val, on_val) | ~(on_val[:, None] | on_val)
    has_earlier = twins.triu(1).any(0)
    return torch.nonzero(varies & ~has_earlier).flatten()


def _twins(split: Moments, varies: Tensor) -> Tensor:
    """(C, C) of whether two varying concepts have a correlation of practically 1."""
    deviation = split.gram.diagonal().sqrt()
    scale = torch.where(varies, 1 / deviation, 0.0)
    correlation = split.gram * scale[:, None] * scale
    return correlation > 1 - TWIN_DISTANCE


def _mean(values: Tensor) -> Tensor:
    """Mean over rows in float64."""
    parts = [part.double().sum(0) for part in torch.split(values, ROWS_AT_ONCE)]
    return torch.stack(parts).sum(0) / len(values)
