"""First and second moments of presence and activations: all that later steps need of the images.

Elastic net, least squares and correlation depend on the images only through these. They are taken
once a layer; what follows costs nothing that grows with the number of images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from le_bench.types import WORKING_BYTES
from le_bench_plugins.explainers.linear.blocks import PresenceBlocks

FLOAT64_WORK = 2**34  # products of numbers up to which they are made in float64
SAMPLE = 1024
SQUARE = 640
TWIN_DISTANCE = 1e-8  # 1 - correlation below which two concepts are one
SUSPICION = 1e-5  # the same where float32 decides who is looked at closely


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Moments of one split; products are of centred values, averaged over images.

    All float64, but `gram` and `cross` may be float32 (see `moments`).

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
        if torch.equal(concepts, torch.arange(len(self.gram), device=concepts.device)):
            return self
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


def moments(
    presence: Tensor | PresenceBlocks,
    activations: Tensor,
    *,
    dtype: torch.dtype | None = None,
    working_bytes: int = WORKING_BYTES,
    device: torch.device | None = None,
) -> Moments:
    """Moments of presence (N, C) and finite activations (N, U) over N >= 1 images.

    One pass over blocks of images, on `device` (by default where the activations are). All values
    are shifted by the means of a sample of at most 1024 images spread evenly, which is taken back
    in float64 at the end, so that nothing cancels however far the values lie from zero. A column
    that is constant is shifted by itself and has products of exactly 0.

    Products are made and kept in `dtype`; by default float64 if N * C * (C + U) is at most 2^34
    (a second on one core), else float32, whose error is about 1e-6 of the deviations. On
    CUDA float32 wants `torch.backends.cuda.matmul.allow_tf32` off, as it is unless changed.
    Presence may have any floating dtype. The Gram matrix is symmetric, of which the half above the
    diagonal is computed, in squares of 640.

    Memory on `device` beside the result: `working_bytes` (256 MiB), or 64 images if that is more.
    """
    source = presence if isinstance(presence, PresenceBlocks) else PresenceBlocks.of(presence)
    num_images, num_concepts = source.shape
    num_units = activations.shape[1]
    device = activations.device if device is None else device
    work = num_images * num_concepts * (num_concepts + num_units)
    dtype = dtype or (torch.float64 if work <= FLOAT64_WORK else torch.float32)
    width = torch.empty(0, dtype=dtype).element_size() * (num_concepts + num_units)
    at_once = max(64, working_bytes // (2 * max(1, width)))
    shift = _typical(source.sample(SAMPLE)).to(device, dtype)
    base = _typical(activations[:: -(-num_images // SAMPLE)]).to(device, dtype)
    gram = torch.zeros(num_concepts, num_concepts, dtype=dtype, device=device)
    cross = torch.zeros(num_concepts, num_units, dtype=dtype, device=device)
    sums = [torch.zeros(n, dtype=torch.float64, device=device) for n in (num_concepts, num_units)]
    power = torch.zeros_like(sums[1])
    room = [shift.new_empty(min(at_once, num_images), n) for n in (num_concepts, num_units)]
    targets = torch.split(activations, at_once)
    for block, target in zip(source.blocks(at_once), targets, strict=True):
        P, A = (part[: len(block)] for part in room)
        torch.sub(block.to(device), shift, out=P)
        torch.sub(target.to(device), base, out=A)
        for start in range(0, num_concepts, SQUARE):
            columns = slice(start, start + SQUARE)
            gram[columns, start:].addmm_(P[:, columns].T, P[:, start:])
        cross.addmm_(P.T, A)
        sums[0].add_(P.sum(0))
        sums[1].add_(A.sum(0))
        power += A.square_().sum(0)
    del room
    ahead, above = (total / num_images for total in sums)  # what the shifts miss of the means
    _mirror(gram)
    gram.div_(num_images).addr_(ahead.to(dtype), ahead.to(dtype), alpha=-1)
    cross.div_(num_images).addr_(ahead.to(dtype), above.to(dtype), alpha=-1)
    return Moments(
        torch.tensor(num_images, dtype=torch.float64, device=device),
        shift.double() + ahead,
        base.double() + above,
        gram,
        cross,
        power / num_images - above.square(),
    )


def pooled(train: Moments, val: Moments) -> Moments:
    """The moments over the images of both splits."""
    n, m = train.num_images, val.num_images
    share = m / (n + m)
    between = (share * (1 - share)).sqrt()
    shift = between * (train.concept_mean - val.concept_mean)
    rise = between * (train.activation_mean - val.activation_mean)
    dtype, weight = train.gram.dtype, float(share)
    return Moments(
        n + m,
        torch.lerp(train.concept_mean, val.concept_mean, share),
        torch.lerp(train.activation_mean, val.activation_mean, share),
        torch.lerp(train.gram, val.gram, weight).addr_(shift.to(dtype), shift.to(dtype)),
        torch.lerp(train.cross, val.cross, weight).addr_(shift.to(dtype), rise.to(dtype)),
        torch.lerp(train.power, val.power, share) + rise.square(),
    )


def _typical(sample: Tensor) -> Tensor:
    """Means of columns in float64, and exactly the value of a column that is constant."""
    first = sample[0].double()
    return torch.where(varies_within(sample), sample.double().mean(0), first)


def _mirror(gram: Tensor) -> None:
    """Copy what is above the diagonal to below, square by square, in place."""
    for start in range(0, len(gram), SQUARE):
        rows = slice(start, start + SQUARE)
        square = gram[rows, rows]
        square.copy_(square.triu() + square.triu(1).T)
        gram[start + SQUARE :, rows] = gram[rows, start + SQUARE :].T


def varies_within(values: Tensor) -> Tensor:
    """Which columns of (N, ...) hold two different values; False for a column with NaN alone."""
    return values.amax(0) > values.amin(0)


def without_twins(
    train: Moments,
    val: Moments,
    exact: Callable[[Tensor], tuple[Moments, Moments]] | None = None,
) -> Tensor:
    """Concepts, in order, without those that vary with an earlier one in every image.

    Two concepts are twins if their correlation is above 1 - 1e-8 on train and on val (or both are
    constant on val). A concept that is constant on train has no weight there and is left out too.
    Float32 cannot tell this: `exact` gives both moments of some concepts in float64, and is asked
    for those whose correlation is above 1 - 1e-5.

    Deviation: the authors keep both, among whom the elastic net then shares one weight, so that a
    repeated word in the concept set ("missile" is two classes of ImageNet) changes the ranking of
    all concepts. Here it changes nothing.
    """
    varies = train.gram.diagonal() > 0
    in_float64 = train.gram.dtype == torch.float64
    twins = _twins(train, val, TWIN_DISTANCE if in_float64 or exact is None else SUSPICION)
    if not in_float64 and exact is not None:
        suspects = torch.nonzero((twins | twins.T).any(0)).flatten()
        twins = torch.zeros_like(twins)
        if len(suspects):
            twins[suspects[:, None], suspects] = _twins(*exact(suspects), TWIN_DISTANCE)
    return torch.nonzero(varies & ~twins.any(0)).flatten()


def _twins(train: Moments, val: Moments, distance: float) -> Tensor:
    """(C, C) of whether a concept is a twin of a later one: above the diagonal alone."""
    on_val = val.gram.diagonal() > 0
    twins = _correlated(val, distance)
    twins |= ~(on_val[:, None] | on_val)
    twins &= _correlated(train, distance)
    return twins.triu_(1)


def _correlated(split: Moments, distance: float) -> Tensor:
    """(C, C) of whether two varying concepts have a correlation of practically 1."""
    variance = split.gram.diagonal()
    scale = torch.where(variance > 0, variance.rsqrt(), 0.0)
    return (split.gram * scale[:, None]).mul_(scale) > 1 - distance
