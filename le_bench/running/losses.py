"""Loss changes of a target model with units of one layer replaced; see `types.Ablations`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from le_bench.formulas.curves import HermiteTable, Splines, spread_nodes
from le_bench.formulas.impact import unit_impacts
from le_bench.networks.ablating import Ablator, State
from le_bench.running.heads import NUMBERS, exact_changes, fits_table, head_table, series
from le_bench.running.judged import Judged
from le_bench.types import Curves, Images, Layer, Split, Temperature

MEAN_POOLINGS = ("avg", "first", "none")  # activations are what a linear head reads
HEAD = "directions"  # what caches call the weights of a linear head
KEPT_NUMBERS = 2**26  # numbers of layer outputs that are kept
CURVE_NUMBERS = 2**18  # images x units of a block, whose coefficients then stay near the processor


@dataclass(eq=False)
class LayerLosses:
    """Loss changes of one layer.

    `tensors` are those of `loss_tensors`. With head weights all follows from the logits alone;
    otherwise exact changes come from running the network through `ablator`, which is made when
    asked for.
    """

    layer: Layer
    temperature: Temperature
    judged: Mapping[Split, Judged]
    images: Images
    ablator: Callable[[], Ablator]
    tensors: Mapping[str, Tensor]
    states: dict[tuple[Split, int], State] = field(default_factory=dict)
    tables: dict[Split, HermiteTable] = field(default_factory=dict)

    @property
    def head_weights(self) -> Tensor | None:
        """By how much logits grow with each unit, (U, C), if they are affine in it."""
        return self.tensors.get(HEAD)

    @property
    def rows(self) -> Mapping[Split, Tensor]:
        """Places within each split of the images that are run."""
        return {split: each.places.clone() for split, each in self.judged.items()}

    @cached_property
    def noise(self) -> float:
        """Rounding of float32 logits, or of float32 activations where changes follow from these."""
        sources = [each.logits for each in self.judged.values()]
        factor = 4.0
        if self.head_weights is not None:
            sources = [each.activations.nan_to_num(0.0) for each in self.judged.values()]
            factor = float(self.head_weights.abs().max())
        largest = max(float(each.abs().max()) for each in sources)
        return factor * torch.finfo(torch.float32).eps * largest / self.temperature.value

    @property
    def block(self) -> int:
        """Units whose curves fit the processor's cache."""
        return max(1, CURVE_NUMBERS // max(len(each.rows) for each in self.judged.values()))

    def changes(self, split: Split, units: slice, values: Tensor) -> Tensor:
        """See `types.Ablations`."""
        judged = self.judged[split]
        if self.head_weights is not None:
            steps = values.double() - judged.activations[:, units].double()
            return exact_changes(judged, self.head_weights[units], steps)
        chosen = range(*units.indices(judged.activations.shape[1]))
        return network_changes(self.ablator(), self.images, judged, chosen, values[:, :, None])[
            :, :, 0
        ]

    def changes_at(self, split: Split, units: slice, values: Tensor, where: Tensor) -> Tensor:
        """See `types.Ablations`."""
        judged = self.judged[split]
        image, unit = where.nonzero(as_tuple=True)
        given, number = values[where].double(), unit + (units.start or 0)
        collected = []
        for some in torch.split(
            torch.arange(len(image)), max(1, NUMBERS // judged.logits.shape[1])
        ):
            at, which = image[some], number[some]
            if self.head_weights is not None:
                steps = given[some] - judged.activations[at, which].double()
                w = self.head_weights[which].double() / judged.temperature
                moved = (judged.log_probabilities[at] + steps[:, None] * w).logsumexp(1)
                own = w.gather(1, judged.labels[at][:, None])[:, 0]
                collected.append(moved - steps * own)
            else:
                logits = self._pairs(split, at, which, given[some]).double().cpu()
                losses = F.cross_entropy(
                    logits / judged.temperature, judged.labels[at], reduction="none"
                )
                collected.append(losses - judged.losses[at])
        return torch.cat(collected) if collected else given

    def _pairs(self, split: Split, image: Tensor, unit: Tensor, values: Tensor) -> Tensor:
        """Logits (P, C) of images by their place among the judged ones, a unit of each replaced."""
        ablator, rows = self.ablator(), self.judged[split].rows
        order, logits = [], []
        for start in range(0, len(rows), ablator.runs):
            here = ((image >= start) & (image < start + ablator.runs)).nonzero().flatten()
            if len(here):
                state = self._state(split, start)
                logits.append(
                    ablator.run_pairs(state, image[here] - start, unit[here], values[here])
                )
                order.append(here)
        together = torch.cat(logits)
        return torch.empty_like(together).index_copy(
            0, torch.cat(order).to(together.device), together
        )

    def _state(self, split: Split, start: int) -> State:
        """What some of the images are behind the layer; kept while it is little."""
        if (split, start) not in self.states:
            ablator, rows = self.ablator(), self.judged[split].rows
            made = ablator.state(self.images.read(rows[start : start + ablator.runs].tolist()))
            size = sum(part.numel() for part in made[0])
            if size * len(rows) > KEPT_NUMBERS * (min(ablator.runs, len(rows))):
                return made
            self.states[split, start] = made
        return self.states[split, start]

    def curves(self, split: Split, units: slice, low: Tensor, high: Tensor) -> Curves:
        """See `types.Ablations`."""
        judged = self.judged[split]
        if self.head_weights is not None:
            if fits_table(judged, self.head_weights):
                if split not in self.tables:
                    self.tables[split] = head_table(judged, self.head_weights)
                return self.tables[split].of(torch.arange(len(self.head_weights))[units])
            own = judged.activations[:, units].float().nan_to_num(0.0, 0.0, 0.0)
            reach = (low.float() - own.amax(0), high.float() - own.amin(0))
            return series(judged, self.head_weights[units], own, *reach)
        changes = self.tensors[f"changes_{split}"][:, units]
        return Splines.through(self.tensors["nodes"][units], changes)


def loss_tensors(
    ablator: Ablator, images: Images, judged: Mapping[Split, Judged], mean: Tensor, count: int
) -> dict[str, Tensor]:
    """What the losses of a layer follow from.

    That is the head's weights (U, C) if logits are affine in the activations, or else `nodes`
    (U, count) and the changes there, `changes_val` and `changes_test` (n, U, count).

    `mean` (U,) is what units are compared with, hence one of the nodes.
    """
    num_units = len(mean)
    if ablator.rank_one and ablator.unit_steps and ablator.layer.pooling in MEAN_POOLINGS:
        return {HEAD: ablator.unit_steps[0][:num_units].float().cpu()}
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
    base = judged.losses
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
    base = judged.losses
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
