"""Logits of a target model with units of one layer replaced, many at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from le_bench.errors import LayerError
from le_bench.networks.affine import Halves, halves
from le_bench.networks.layers import channels_first
from le_bench.networks.rest import Cut, Kept, traced_cut, whole_cut
from le_bench.types import Images, Layer, TargetModel

PROBES = 4  # images and units by which a shorter way is checked
PROBE_UNITS = 12
TOLERANCE = 1e-4  # of the largest logit: what a shortcut may differ from whole passes
logger = logging.getLogger(__name__)

# the network's state behind the layer for a batch, before anything is replaced
State = tuple[tuple[Tensor, ...], Kept, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Replaced:
    """Logits (B, u, G, C) of some images with some units replaced by G values each."""

    images: slice
    units: slice
    logits: Tensor


@dataclass(frozen=True, eq=False)
class Ablator:
    """Replaces units of one layer by a number and gives the logits that follow.

    All positions that the pooling reads get the same number: the class token alone for pooling
    `first` unless `everywhere`, and otherwise the whole map. `runs` images go through the rest of
    the network at a time. `how` says which way was found to do this; each shorter way than a whole
    pass was checked against whole passes. `unit_steps` are there if what lies behind the layer is,
    up to some tensors, affine in the mean over the replaced positions: by how much they change for
    each unit that grows by 1, (U, ...) each.
    """

    model: TargetModel
    layer: Layer
    runs: int
    everywhere: bool
    how: str
    cut: Cut
    parts: Halves | None = None
    unit_steps: tuple[Tensor, ...] | None = None

    @property
    def rank_one(self) -> bool:
        """Whether logits change by (v - a) times a direction (C,) for each unit."""
        return self.unit_steps is not None and self.parts is not None and self.parts.complete

    def replaced(
        self, images: Images, rows: Sequence[int], units: Sequence[int], values: Tensor
    ) -> Iterator[Replaced]:
        """Logits for all images (N,) and units (U,) with `values` (N or 1, U, G), in blocks.

        Memory holds `runs` images at a time, and the layer's output for as many.
        """
        num_values = values.shape[2]
        many = max(1, self.runs // num_values)
        at_once = max(1, min(len(rows), many // min(len(units), 16)))
        for first in range(0, len(rows), at_once):
            some = slice(first, min(first + at_once, len(rows)))
            state = self.state(images.read(list(rows[some])))
            step = max(1, many // (some.stop - some.start))
            own = values[some] if len(values) > 1 else values
            for start in range(0, len(units), step):
                part = slice(start, min(start + step, len(units)))
                yield Replaced(some, part, self.run(state, units[part], own[:, part]))

    def state(self, pictures: Sequence[Any]) -> State:
        """What images are behind the layer: tensors, what else is read, and the units' means."""
        batch = self.model.preprocess(pictures).to(self.model.device)
        output, kept = self.cut.start(batch)
        if output.shape[0] != len(batch) or output.ndim not in (2, 3, 4):
            raise LayerError(
                f"layer '{self.layer.path}' gives shape {tuple(output.shape)}; only (images, "
                "units), (images, tokens, units) and (images, units, height, width) can be replaced"
            )
        means = _means(self._read(output))
        if self.unit_steps is not None and self.parts is not None:
            return self.parts.affine(output.clone(), kept), kept, means
        return (output,), kept, means

    def run(self, state: State, units: Sequence[int], values: Tensor) -> Tensor:
        """Logits (B, u, G, C) of a batch, each unit replaced by `values` (B or 1, u, G)."""
        tensors, kept, means = state
        num_images, num_units, num_values = len(means), len(units), values.shape[2]
        shape = (num_images, num_units, num_values)
        values = values.to(means.device, means.dtype).expand(shape)
        tiled = tuple(_tiled(part, num_images, num_units * num_values) for part in kept)
        if self.unit_steps is not None and self.parts is not None:
            steps = (values - means[:, list(units), None]).to(tensors[0])
            moved = tuple(
                _moved(part, steps, by[list(units)])
                for part, by in zip(tensors, self.unit_steps, strict=True)
            )
            logits = self.parts.beyond(moved, tiled)
        else:
            output = _tiled(tensors[0], num_images, num_units * num_values)
            self._write(output, units, values)
            logits = self.cut.finish(output, tiled)
        return logits.reshape(*shape, logits.shape[1])

    def run_pairs(self, state: State, images: Tensor, units: Tensor, values: Tensor) -> Tensor:
        """Logits (P, C) of a batch's images (P,), each with one of the units (P,) replaced."""
        tensors, kept, means = state
        collected = []
        for at in torch.split(torch.arange(len(images)), self.runs):
            image, unit = images[at], units[at]
            value = values[at].to(means.device, means.dtype)
            own = tuple(_taken(part, len(means), image) for part in kept)
            if self.unit_steps is not None and self.parts is not None:
                steps = value - means[image, unit]
                moved = tuple(
                    part[image] + steps.reshape(-1, *(1,) * (part.ndim - 1)) * by[unit]
                    for part, by in zip(tensors, self.unit_steps, strict=True)
                )
                collected.append(self.parts.beyond(moved, own))
            else:
                output = tensors[0][image]
                self._write_pairs(output, unit, value)
                collected.append(self.cut.finish(output, own))
        return torch.cat(collected)

    def _read(self, output: Tensor) -> Tensor:
        """A view of the positions that are replaced, the units of a map second."""
        output = channels_first(output, self.layer)
        if output.ndim == 3 and self.layer.pooling == "first" and not self.everywhere:
            return output[:, :1]
        return output

    def _write(self, tiled: Tensor, units: Sequence[int], values: Tensor) -> None:
        """Replace, in outputs (B * u * G, ...) by image, unit and value, the unit of each."""
        num_images, _, num_values = values.shape
        which = torch.tensor(list(units), device=tiled.device).repeat_interleave(num_values)
        self._write_pairs(tiled, which.repeat(num_images), values.reshape(-1))

    def _write_pairs(self, tiled: Tensor, which: Tensor, values: Tensor) -> None:
        """Replace, in outputs (P, ...), the unit `which` (P,) of each by its value (P,)."""
        every = torch.arange(len(tiled), device=tiled.device)
        flat = values.to(tiled.dtype)
        places = self._read(tiled)
        if places.ndim == 2:
            places[every, which] = flat
        elif places.ndim == 3:
            places[every, :, which] = flat[:, None].expand(-1, places.shape[1])
        else:
            places[every, which] = flat[:, None, None].expand(-1, *places.shape[2:])


def make_ablator(
    model: TargetModel,
    layer: Layer,
    images: Images,
    rows: Sequence[int],
    *,
    runs: int = 256,
    everywhere: bool = False,
) -> Ablator:
    """The shortest way to replace units of a layer that agrees with whole passes.

    Tried are, in this order: a change of the tensors up to which the network is affine in the
    unit's mean (of the logits themselves for a linear head), the rest of the network behind the
    layer, and whole passes. On the first of the images `rows`, with some units, spread over the
    layer, replaced by 0, by their mean and by a larger value, logits must agree to 1e-4 of the
    largest logit.
    """
    probes = images.read(list(rows[:PROBES]))
    slow = Ablator(model, layer, runs, everywhere, "whole passes", whole_cut(model.module, layer))
    cut = traced_cut(model.module, layer)
    if cut is None or cut.graph is None:
        logger.warning(
            "layer '%s': the network cannot be cut behind it, so every replaced unit takes a "
            "whole pass",
            layer.path,
        )
        return slow
    rest = Ablator(model, layer, runs, everywhere, "the rest of the network", cut)
    check = _Check.of(slow, probes)
    for make in (lambda: _affine(rest, halves(cut.graph), probes), lambda: rest):
        quick: Ablator | None = _attempt(make)
        if quick is not None and _attempt(lambda: check.passed(quick)):  # noqa: B023  # called at once
            return quick
    logger.warning(
        "layer '%s': running only what lies behind it gives other logits than whole passes, so "
        "every replaced unit takes a whole pass",
        layer.path,
    )
    return slow


def _attempt(make: Callable[[], Any]) -> Any:
    """What a call gives; None if it fails, as a graph of another path through the code may."""
    try:
        return make()
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, KeyError):
        logger.debug("a shorter way does not run", exc_info=True)
        return None


def _affine(rest: Ablator, parts: Halves, probes: Sequence[Any]) -> Ablator | None:
    """Changes the tensors at the end of the affine half; right only if their unit's mean counts.

    None if nothing is gained by it.
    """
    if parts.trivial:
        return None
    output, kept = rest.cut.start(rest.model.preprocess(probes[:1]).to(rest.model.device))
    units = range(_means(rest._read(output)).shape[1])
    ends = []
    for value in (0.0, 1.0):
        runs = []
        for some in torch.split(torch.tensor(list(units)), max(1, rest.runs)):
            tiled = _tiled(output, 1, len(some))
            rest._write(tiled, some.tolist(), torch.full((1, len(some), 1), value))
            runs.append(parts.affine(tiled, tuple(_tiled(k, 1, len(some)) for k in kept)))
        ends.append([torch.cat(list(tensors)) for tensors in zip(*runs, strict=True)])
    unit_steps = tuple(one - zero for zero, one in zip(*ends, strict=True))
    how = (
        "logits, which are affine in the layer's means"
        if parts.complete
        else (f"the network behind {parts.name}, which is affine in the layer's means")
    )
    return Ablator(
        rest.model, rest.layer, rest.runs, rest.everywhere, how, rest.cut, parts, unit_steps
    )


@dataclass(frozen=True, eq=False)
class _Check:
    """Logits of whole passes over a few images with a few units replaced, three values each."""

    probes: Sequence[Any]
    units: Sequence[int]
    values: Tensor
    right: Tensor

    @classmethod
    def of(cls, slow: Ablator, probes: Sequence[Any]) -> _Check:
        """What whole passes give, at most `runs` at a time."""
        state = slow.state(probes)
        means = state[2]
        num_units = means.shape[1]
        units = torch.linspace(0, num_units - 1, min(num_units, PROBE_UNITS)).long().tolist()
        largest = means.abs().amax(0)
        values = torch.stack([torch.zeros_like(largest), means.mean(0), 1.5 * largest + 0.1], 1)
        values = values[None, units]
        right = [slow.run(state, [u], values[:, at : at + 1]) for at, u in enumerate(units)]
        return cls(probes, units, values, torch.cat(right, 1))

    def passed(self, quick: Ablator) -> bool:
        """Whether another way gives the same logits, all units in one batch."""
        given = quick.run(quick.state(self.probes), self.units, self.values)
        if given.shape != self.right.shape:
            return False
        gap = float((given - self.right).abs().max())
        if not gap <= TOLERANCE * max(1.0, float(self.right.abs().max())):
            logger.debug("%s differs from whole passes by %g", quick.how, gap)
            return False
        return True


def _means(output: Tensor) -> Tensor:
    """(B, U) means over positions."""
    values = output.float() if output.dtype in (torch.float16, torch.bfloat16) else output
    if output.ndim == 2:
        return values
    return values.mean((1,) if output.ndim == 3 else (2, 3))


def _tiled(part: Any, num_images: int, times: int) -> Any:
    """A fresh tensor with each image `times` times in a row; whatever has no images as it is."""
    if isinstance(part, Tensor) and part.ndim > 0 and part.shape[0] == num_images:
        return part.repeat_interleave(times, 0)
    return part.clone() if isinstance(part, Tensor) else part


def _taken(part: Any, num_images: int, image: Tensor) -> Any:
    """A fresh tensor with the images (P,); whatever has no images as it is."""
    if isinstance(part, Tensor) and part.ndim > 0 and part.shape[0] == num_images:
        return part[image]
    return part.clone() if isinstance(part, Tensor) else part


def _moved(part: Tensor, steps: Tensor, by: Tensor) -> Tensor:
    """Tensors (B * u * G, ...): each image's own plus step (B, u, G) times direction (u, ...)."""
    extra = (1,) * (part.ndim - 1)
    change = steps.reshape(*steps.shape, *extra) * by[None, :, None]
    return (part[:, None, None] + change).reshape(-1, *part.shape[1:])
