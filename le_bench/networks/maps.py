"""Activations of a layer before pooling, computed whenever they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import isqrt

import torch
from torch import Tensor

from le_bench.errors import NotApplicableError
from le_bench.networks.batches import read_batches
from le_bench.networks.directions import Directions, read_directions
from le_bench.networks.layers import channels_first, first_tensor, resolve_layers
from le_bench.networks.precision import computing_in
from le_bench.networks.recording import BATCH_SIZE, PassEnded
from le_bench.types import Images, Layer, TargetModel


@dataclass(eq=False)
class LayerMaps:
    """The maps of one layer; see `types.Maps`.

    `images` refuses those that must stay hidden; `first` is the row of one that it gives.
    `num_units` limits the layer to its first units. Memory holds maps of
    `batch_size` images and three batches of input.
    """

    model: TargetModel
    images: Images
    layer: Layer
    first: int
    num_units: int
    batch_size: int = BATCH_SIZE

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """U, height and width, from a pass over one image."""
        _, maps = next(self.blocks(torch.tensor([self.first])))
        return maps.shape[1], maps.shape[2], maps.shape[3]

    def blocks(self, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Rows (B,) and maps (B, U, h, w) float32 on the model's device, in order.

        A pass ends behind the layer, so that no later in-place layer changes its output.
        """
        kept: list[object] = []

        def hook(_module: object, _inputs: object, output: object) -> None:
            kept.append(output)
            raise PassEnded

        module = resolve_layers(self.model.module, [self.layer])[0]
        for part, batch in read_batches(
            self.images, rows.tolist(), self.model.preprocess, self.batch_size, self.model.device
        ):
            kept.clear()
            # not around the yield: whoever reads the maps has hooks and gradients of their own
            handle = module.register_forward_hook(hook)
            try:
                with torch.no_grad(), computing_in(self.model.precision, self.model.device):
                    self.model.module(batch)
            except PassEnded:
                pass
            finally:
                handle.remove()
            maps = positions(first_tensor(kept[0]), self.layer)
            for rows_of_block, block in self._as_units(torch.tensor(part), maps):
                yield rows_of_block, block[:, : self.num_units].float()

    def _as_units(self, rows: Tensor, maps: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The maps themselves, or those of the layer's directions in blocks that fit memory."""
        if self._directions is None:
            yield rows, maps
            return
        done = 0
        for block in self._directions.to(maps.device).maps(maps, self.layer):
            yield rows[done : done + len(block)], block
            done += len(block)

    @cached_property
    def _directions(self) -> Directions | None:
        path = self.layer.directions
        return None if path is None else read_directions(path)


def positions(output: Tensor | None, layer: Layer) -> Tensor:
    """A layer's output as maps (N, U, h, w).

    Tokens (N, T, U) whose number is a square, or one more, lie row by row on a square grid; the one
    more is a class token, which comes first and has no place. Raises NotApplicableError for
    anything else, and for a single position.
    """
    if output is not None:
        output = channels_first(output, layer)
    if output is not None and output.ndim == 3:
        side = isqrt(output.shape[1])
        tokens = output if side**2 == output.shape[1] else output[:, 1:]
        side = isqrt(tokens.shape[1])
        if side**2 == tokens.shape[1]:
            output = tokens.transpose(1, 2).reshape(*tokens.shape[::2], side, side)
    if output is None or output.ndim != 4 or output.shape[2:].numel() == 1:
        shape = "no tensor" if output is None else f"shape {tuple(output.shape[1:])} an image"
        raise NotApplicableError(
            f"layer '{layer.path}' has no map of positions ({shape}): only convolutional layers "
            "and tokens on a square grid have"
        )
    return output
