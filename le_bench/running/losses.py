"""Loss changes of a target model with units of one layer replaced; see `types.Ablations`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from le_bench.formulas.curves import (
    Polynomials,
    Splines,
    chebyshev_count,
    chebyshev_nodes,
    spread_nodes,
)
from le_bench.formulas.impact import unit_impacts
from le_bench.networks.ablating import Ablator
from le_bench.types import Curves, Images, Layer, Split, Temperature

MEAN_POOLINGS = ("avg", "first", "none")  # activations are what a linear head reads
NUMBERS = 2**24  # numbers of an intermediate tensor
CURVE_NUMBERS = 2**18  # images x units of a block, whose coefficients then stay near the processor
ERROR = 1e-5  # of a polynomial, relative to its range
FARTHEST = 20.0  # change of logits up to which polynomials are made
STEEP = 30.0  # from where exp needs float64
NEAR_NOTHING = -0.99  # where log1p of a float32 sum loses digits


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
    def log_probabilities(self) -> Tensor:
        """(n, C) float64."""
        return torch.log_softmax(self.scaled, 1)

    @cached_property
    def probabilities(self) -> Tensor:
        """(n, C) float32."""
        return self.log_probabilities.exp().float()


@dataclass(eq=False)
class LayerLosses:
    """Loss changes of one layer.

    `tensors` are those of `loss_tensors`. With directions all follows from the logits alone;
    otherwise exact changes come from running the network through `ablator`, which is made when
    asked for.
    """

    layer: Layer
    temperature: Temperature
    judged: Mapping[Split, Judged]
    images: Images
    ablator: Callable[[], Ablator]
    tensors: Mapping[str, Tensor]

    @property
    def directions(self) -> Tensor | None:
        """By how much logits grow with each unit, (U, C), if they are affine in it."""
        return self.tensors.get("directions")

    @property
    def rows(self) -> Mapping[Split, Tensor]:
        """Places within each split of the images that are run."""
        return {split: each.places for split, each in self.judged.items()}

    @cached_property
    def noise(self) -> float:
        """Rounding of float32 logits, or of float32 activations where changes follow from these."""
        sources = [each.logits for each in self.judged.values()]
        factor = 4.0
        if self.directions is not None:
            sources = [each.activations.nan_to_num(0.0) for each in self.judged.values()]
            factor = float(self.directions.abs().max())
        largest = max(float(each.abs().max()) for each in sources)
        return factor * torch.finfo(torch.float32).eps * largest / self.temperature.value

    @property
    def block(self) -> int:
        """Units whose curves fit the processor's cache."""
        return max(1, CURVE_NUMBERS // max(len(each.rows) for each in self.judged.values()))

    def changes(self, split: Split, units: slice, values: Tensor) -> Tensor:
        """See `types.Ablations`."""
        judged = self.judged[split]
        if self.directions is not None:
            steps = values.double() - judged.activations[:, units].double()
            return exact_changes(judged, self.directions[units], steps)
        chosen = range(*units.indices(judged.activations.shape[1]))
        return network_changes(self.ablator(), self.images, judged, chosen, values[:, :, None])[
            :, :, 0
        ]

    def curves(self, split: Split, units: slice, low: Tensor, high: Tensor) -> Curves:
        """See `types.Ablations`."""
        judged = self.judged[split]
        if self.directions is not None:
            own = judged.activations[:, units].float().nan_to_num(0.0, 0.0, 0.0)
            reach = (low.float() - own.amax(0), high.float() - own.amin(0))
            return series(judged, self.directions[units], own, *reach)
        changes = self.tensors[f"changes_{split}"][:, units]
        return Splines.through(self.tensors["nodes"][units], changes)


def loss_tensors(
    ablator: Ablator, images: Images, judged: Mapping[Split, Judged], mean: Tensor, count: int
) -> dict[str, Tensor]:
    """What the losses of a layer follow from.

    That is `directions` (U, C) if logits are affine in the activations, or else `nodes` (U, count)
    and the changes there, `changes_val` and `changes_test` (n, U, count).

    `mean` (U,) is what units are compared with, hence one of the nodes.
    """
    num_units = len(mean)
    if ablator.rank_one and ablator.directions and ablator.layer.pooling in MEAN_POOLINGS:
        return {"directions": ablator.directions[0][:num_units].float().cpu()}
    nodes = curve_nodes(judged, mean, count)
    tensors = {"nodes": nodes}
    for split, each in judged.items():
        changes = network_changes(ablator, images, each, range(num_units), nodes[None])
        tensors[f"changes_{split}"] = changes.float()
    return tensors


def curve_nodes(judged: Mapping[Split, Judged], mean: Tensor, count: int) -> Tensor:
    """Nodes (U, count) for the activations of all judged images, the mean (U,) among them."""
    seen = torch.cat([each.activations for each in judged.values()])
    # units with NaN get some nodes or other: their scores are undefined whatever these are
    return spread_nodes(seen.nan_to_num(0.0, 0.0, 0.0), mean.nan_to_num(0.0, 0.0, 0.0), count)


def network_changes(
    ablator: Ablator,
    images: Images,
    judged: Judged,
    units: range,
    values: Tensor,
) -> Tensor:
    """Loss changes (n, u, G) float64 of these units for `values` (n or 1, u, G)."""
    base = F.cross_entropy(judged.scaled, judged.labels, reduction="none")
    changes = torch.empty(len(judged.rows), len(units), values.shape[2], dtype=torch.float64)
    for block in ablator.replaced(images, judged.rows.tolist(), units, values):
        losses = cross_entropies(block.logits, judged.labels[block.images], judged.temperature)
        changes[block.images, block.units] = losses - base[block.images, None, None]
    return changes


def zeroed_impacts(ablator: Ablator, images: Images, judged: Judged) -> Tensor:
    """Impacts (n, U) float64 of all units of which activations are given, each replaced by 0.

    A unit that changes losses by no more than rounding has no impact at all.
    """
    shape = judged.activations.shape
    base = F.cross_entropy(judged.scaled, judged.labels, reduction="none")
    right = judged.logits.argmax(1) == judged.labels
    losses = torch.empty(shape, dtype=torch.float64)
    hits = torch.empty(shape, dtype=torch.bool)
    zeros = torch.zeros(1, shape[1], 1)
    for block in ablator.replaced(images, judged.rows.tolist(), range(shape[1]), zeros):
        labels = judged.labels[block.images]
        given = cross_entropies(block.logits, labels, judged.temperature)
        losses[block.images, block.units] = given[:, :, 0]
        guesses = block.logits[:, :, 0].argmax(2).cpu()
        hits[block.images, block.units] = guesses == labels[:, None]
    noise = 4 * torch.finfo(torch.float32).eps * float(judged.scaled.abs().max())
    still = (losses - base[:, None]).abs().mean(0) <= noise
    impacts = unit_impacts(right, base, hits, losses)
    return torch.where(still & (hits == right[:, None]).all(0), 0.0, impacts)


def cross_entropies(logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Cross-entropy (B, u, G) float64, on the CPU, of logits (B, u, G, C) / T."""
    flat = logits.double().flatten(0, 2) / temperature
    targets = labels.to(logits.device).repeat_interleave(logits.shape[1] * logits.shape[2])
    return F.cross_entropy(flat, targets, reduction="none").reshape(logits.shape[:3]).cpu()


def exact_changes(judged: Judged, directions: Tensor, steps: Tensor) -> Tensor:
    """log sum_c p_c exp(s w_c) - s w_y for steps (n, u) of units with directions (u, C): float64.

    p are the probabilities of the whole network and w = directions / T. The exponentials less one
    are summed, so that a small change keeps its digits.
    """
    w = directions.double() / judged.temperature
    log_p = judged.log_probabilities
    changes = torch.empty_like(steps)
    size = max(1, NUMBERS // (w.shape[1] * max(1, steps.shape[1])))
    for start in range(0, len(steps), size):
        some = slice(start, start + size)
        moves = steps[some, :, None] * w
        grown = (log_p[some, None] + moves).logsumexp(2)
        small = moves.abs().amax(2) < 0.5
        careful = torch.log1p((log_p[some, None].exp() * torch.expm1(moves)).sum(2))
        own = w[:, judged.labels[some]].T * steps[some]
        changes[some] = torch.where(small, careful, grown) - own
    return changes


def series(
    judged: Judged,
    directions: Tensor,
    activations: Tensor,
    low: Tensor,
    high: Tensor,
) -> Polynomials:
    """The changes of `exact_changes` for steps in [low, high] (u,) as polynomials.

    Steps that change some logit by over 20 more than another are left to the straight lines.
    One product of probabilities (n, C) with exponentials (C, u G) gives all values at the nodes.
    """
    w = directions.double() / judged.temperature
    widths = w.amax(1) - w.amin(1)
    limit = FARTHEST / widths.clamp_min(1e-12)
    low = torch.maximum(low.double(), -limit)
    high = torch.minimum(torch.maximum(high, low + 1e-6 * (1 + low.abs())), limit)
    nodes = chebyshev_nodes(
        low, high, chebyshev_count(float((widths * (high - low)).max()) / 2, ERROR)
    )
    moves = nodes[:, :, None] * w  # (G, u, C)
    steep = float(moves.abs().max()) > STEEP
    kind = torch.float64 if steep else torch.float32
    p = judged.log_probabilities.exp() if steep else judged.probabilities
    sums = p @ torch.expm1(moves).to(kind).flatten(0, 1).T  # (n, G u)
    grown = torch.log1p(sums.clamp_min(NEAR_NOTHING)).reshape(len(p), *nodes.shape)
    label_weights = w[:, judged.labels].T.to(kind)  # (n, u)
    values = grown.transpose(0, 1) - nodes[:, None].to(kind) * label_weights
    lost = (sums < NEAR_NOTHING).reshape(len(p), *nodes.shape)
    if bool(lost.any()):
        image, node, unit = lost.nonzero(as_tuple=True)
        log_p = judged.log_probabilities
        size = max(1, NUMBERS // w.shape[1])
        for n, g, u in zip(*(torch.split(each, size) for each in (image, node, unit)), strict=True):
            right = (log_p[n] + moves[g, u]).logsumexp(1) - nodes[g, u] * w[u, judged.labels[n]]
            values[g, n, u] = right.to(kind)
    return Polynomials.through(activations, low.float(), high.float(), values)
