"""Maps of a layer that are kept, as far as memory allows, for the next explainer that asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from time import perf_counter

import torch
from torch import Tensor

from le_bench.networks.maps import LayerMaps


@dataclass(eq=False)
class KeptMaps:
    """The maps of `maps`, of which those of the images in `rows` (N,) are kept once read.

    They are kept if all of them fit into `limit` bytes of the device, else each reading runs the
    network. What is handed out is a copy.

    `spared` is what the maps read since `begin` cost when they were computed for somebody else, in
    seconds, so that an explainer that finds them ready is charged for them all the same.
    """

    maps: LayerMaps
    rows: Tensor
    limit: int
    spared: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._rows = self.rows.sort().values
        self._values = torch.empty(0)
        self._seconds = torch.full((len(self.rows),), torch.nan, dtype=torch.float64)
        self._paid = torch.zeros(len(self.rows), dtype=torch.bool)

    @property
    def shape(self) -> tuple[int, int, int]:
        """See `types.Maps`."""
        return self.maps.shape

    def begin(self) -> None:
        """From here on another explainer reads: it has paid for nothing yet."""
        self.spared = 0.0
        self._paid[:] = False

    def blocks(self, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """See `types.Maps`."""
        if 4 * len(self.rows) * prod(self.shape) > self.limit:
            yield from self.maps.blocks(rows)
            return
        for part in torch.split(rows, self.maps.batch_size):
            places = torch.searchsorted(self._rows, part).clamp_max(len(self._rows) - 1)
            own = torch.equal(self._rows[places], part)
            if own and not bool(self._seconds[places].isnan().any()):
                new = torch.unique(places[~self._paid[places]])
                self.spared += float(self._seconds[new].sum())
                self._paid[new] = True
                yield part, self._values[places.to(self._values.device)]
            else:
                yield self._computed(part, places)

    def _computed(self, part: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Maps of one batch from the network, which refuses images that must stay hidden."""
        start = perf_counter()
        blocks = [block for _, block in self.maps.blocks(part)]  # of directions there are several
        maps = blocks[0] if len(blocks) == 1 else torch.cat(blocks)
        if self._values.numel() == 0:
            self._values = maps.new_empty(len(self._rows), *maps.shape[1:])
        self._values[places.to(maps.device)] = maps
        self._seconds[places] = (perf_counter() - start) / len(part)
        self._paid[places] = True
        return part, maps
