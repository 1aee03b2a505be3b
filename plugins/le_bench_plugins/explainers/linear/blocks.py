"""Presence of concepts in images, read in blocks of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

BLOCK_BYTES = 2**27  # of one block in float32, 128 MiB


@dataclass(frozen=True, slots=True, eq=False)
class PresenceBlocks:
    """Presence (N, C) in [0, 1] that is read block by block and need not stand in memory.

    `read` gives the values (B, all concepts) of some images by their place in [0, all images), in
    any floating dtype, the same whenever it is asked; `images` (N,) are the places of those that
    count, in order; `concepts` (C,) the columns that count.
    """

    read: Callable[[Tensor], Tensor]
    images: Tensor
    concepts: Tensor

    @staticmethod
    def of(values: Tensor | np.ndarray) -> PresenceBlocks:
        """Presence that exists: a tensor or an array, which may be mapped from a file."""
        num_images, num_concepts = values.shape
        read = _of_tensor(values) if isinstance(values, Tensor) else _of_array(values)
        return PresenceBlocks(read, torch.arange(num_images), torch.arange(num_concepts))

    @property
    def shape(self) -> tuple[int, int]:
        """N and C."""
        return len(self.images), len(self.concepts)

    def take(self, concepts: Tensor) -> PresenceBlocks:
        """The same images for some of the concepts."""
        return PresenceBlocks(self.read, self.images, self.concepts[concepts.to("cpu")])

    def rows(self, images: Tensor) -> PresenceBlocks:
        """The same concepts for some of the images."""
        return PresenceBlocks(self.read, self.images[images.to("cpu")], self.concepts)

    def followed_by(self, other: PresenceBlocks) -> PresenceBlocks:
        """These images followed by others, for the same concepts."""
        ahead = len(self.images)

        def read(places: Tensor) -> Tensor:
            mine, others = places[places < ahead], places[places >= ahead] - ahead
            parts = [part.at(rows) for part, rows in ((self, mine), (other, others)) if len(rows)]
            return parts[0] if len(parts) == 1 else torch.cat(parts)

        every = torch.arange(ahead + len(other.images))
        return PresenceBlocks(read, every, torch.arange(len(self.concepts)))

    def at(self, places: Tensor) -> Tensor:
        """The values of the images at ascending places in [0, N)."""
        return self._columns(self.read(self.images[places]))

    def blocks(self, at_once: int = 0) -> Iterator[Tensor]:
        """The images in order, `at_once` in a block (by default as many as fill 128 MiB)."""
        for places in torch.split(self.images, at_once or self.rows_of(BLOCK_BYTES)):
            yield self._columns(self.read(places))

    def sample(self, num_images: int) -> Tensor:
        """At most so many images, evenly spread: images may be sorted by class."""
        step = -(-len(self.images) // num_images)
        return self._columns(self.read(self.images[::step]))

    def whole(self) -> Tensor:
        """All of it in memory, (N, C)."""
        return torch.cat(list(self.blocks()))

    def rows_of(self, num_bytes: int) -> int:
        """How many images fill so many bytes in float32; at least 64."""
        return max(64, num_bytes // (4 * max(1, len(self.concepts))))

    def _columns(self, values: Tensor) -> Tensor:
        every = len(self.concepts) == values.shape[1] and bool((self.concepts.diff() == 1).all())
        return values if every else values[:, self.concepts.to(values.device)]


def _of_tensor(values: Tensor) -> Callable[[Tensor], Tensor]:
    def read(places: Tensor) -> Tensor:
        if len(places) and bool((places.diff() == 1).all()):
            return values[int(places[0]) : int(places[-1]) + 1]  # no copy
        return values[places.to(values.device)]

    return read


def _of_array(values: np.ndarray) -> Callable[[Tensor], Tensor]:
    def read(places: Tensor) -> Tensor:
        return torch.from_numpy(np.array(values[places.numpy()]))

    return read
