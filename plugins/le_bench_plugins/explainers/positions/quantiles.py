"""Upper quantiles of each unit's values, taken in as they come, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

import torch
from torch import Tensor

from le_bench.errors import BenchError
from le_bench.types import require

MEMORY = 2**29  # bytes
LEAST_ROOM = 64  # values a unit, however little memory is given
SCRATCH = 2**23  # values that are sorted at a time


def num_above(share: float, num_values: int) -> int:
    """How many of so many values may lie above the quantile that cuts off this share at the top.

    The share counts as the decimal number it is written as: 0.005 of 200 values is 1, not 0.

    >>> num_above(0.005, 200), num_above(0.01, 50)
    (1, 0)
    """
    return floor(Fraction(repr(share)) * num_values)


@dataclass(frozen=True, slots=True)
class Keeping:
    """How the top values of a unit are kept: one for each `group`, `kept` of them.

    `waiting` values gather before they are sorted and thinned. `rank_error` bounds by how much the
    rank of what stands for a value is wrong in the end; it is 0 if every value is kept.
    """

    group: int
    kept: int
    waiting: int
    rank_error: int

    @classmethod
    def make(cls, num_values: int, num_units: int, share: float, memory: int) -> Keeping:
        """The one with the least error in `memory` bytes for this many values of each unit."""
        room = max(memory // (4 * num_units), LEAST_ROOM)
        top = num_above(share, num_values) + 1
        if top <= room // 2:
            waiting = min(max(top, 2**16), room - top, num_values)
            return cls(1, top, waiting, 0)
        group = -(-top // (room // 2))
        waiting = room // 2 // group * group
        if waiting == 0:
            raise BenchError(
                f"{memory} bytes cannot hold the top {share:.3g} of {num_values} values of "
                f"{num_units} units; give more memory"
            )
        chunks = -(-num_values // waiting)
        return cls(group, (top - 1) // group + 1, waiting, chunks * (group // 2))


@dataclass(eq=False)
class UpperQuantiles:
    """The values of each unit that cut off a share of at most `share` at the top.

    `num_values` values of each of `num_units` units come in blocks of any size. `quantile(s)` is,
    of all n values of a unit, the (floor(s n) + 1)-th largest (numpy's `inverted_cdf` at 1 - s): a
    value that occurs, which at most s n values exceed. If those few largest values do not fit into
    half of `memory` bytes, the result T is off by a rank of `rank_error` at most: no more than
    floor(s n) + rank_error values lie above T, and no fewer than floor(s n) + 1 - rank_error are
    as large as T. This holds for any values in any order. The quantile of a unit with a NaN is NaN.

    Law: without rank error the order of values does not matter, and blocks never do.

    How: values gather, are sorted and, if they are too many, of each `group` of neighbours the
    middle one stays. It stands for all of them, so that what is counted above any bound is off by
    half a group at most each time; of those that stay only the largest can matter later.
    Deviation: Network Dissection keeps a random sketch (KLL) of all values, whose error is a
    probability, and reads the 994th of 999 intervals of it, the share 0.005005.

    >>> quantiles = UpperQuantiles(num_units=1, num_values=8, share=0.25)
    >>> quantiles.add(torch.tensor([[3.0, 1.0, 2.0]]))
    >>> quantiles.add(torch.tensor([[8.0, 7.0, 6.0, 5.0, 4.0]]))
    >>> quantiles.quantile(0.25), quantiles.rank_error
    (tensor([6.]), 0)
    """

    num_units: int
    num_values: int
    share: float
    memory: int = MEMORY
    device: torch.device | None = None
    added: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        require(self.num_values > 0, "quantiles need values")
        require(0 < self.share < 1, f"share is {self.share}; it must lie between 0 and 1")
        self._keeping = Keeping.make(self.num_values, self.num_units, self.share, self.memory)
        size = (self.num_units, self._keeping.kept)
        self._kept = torch.full(size, -torch.inf, device=self.device)
        self._waiting = torch.empty(self.num_units, self._keeping.waiting, device=self.device)
        self._spoilt = torch.zeros(self.num_units, dtype=torch.bool, device=self.device)
        self._filled = 0

    @property
    def rank_error(self) -> int:
        """By how many ranks a quantile can be off, among `num_values`."""
        return self._keeping.rank_error

    def add(self, values: Tensor) -> None:
        """Take in the next values (U, n) float32, whatever n."""
        self.added += values.shape[1]
        require(self.added <= self.num_values, f"more than {self.num_values} values a unit came")
        start = 0
        while start < values.shape[1]:
            room = self._keeping.waiting - self._filled
            part = values[:, start : start + room]
            self._waiting[:, self._filled : self._filled + part.shape[1]] = part
            self._filled += part.shape[1]
            start += part.shape[1]
            if self._filled == self._keeping.waiting:
                self._settle()

    def quantile(self, share: float) -> Tensor:
        """The quantile of each unit (U,), for a share up to that asked for at the start."""
        require(self.added == self.num_values, f"{self.added} of {self.num_values} values came")
        require(share <= self.share, f"share {share} lies above {self.share}")
        self._settle()
        place = num_above(share, self.num_values) // self._keeping.group
        found = self._kept.topk(place + 1, dim=1, sorted=False).values.amin(1)
        return found.masked_fill(self._spoilt, torch.nan)

    def _settle(self) -> None:
        """Sort what waits into what is kept, some units at a time."""
        keeping, filled = self._keeping, self._filled
        if filled == 0:
            return
        for units in torch.split(
            torch.arange(self.num_units), max(1, SCRATCH // (filled + keeping.kept))
        ):
            block = slice(int(units[0]), int(units[-1]) + 1)
            values = self._waiting[block, :filled]
            self._spoilt[block] |= values.amax(1).isnan()
            if keeping.group > 1:
                values = _middles(values, keeping.group)
            merged = torch.cat([self._kept[block], values], 1)
            self._kept[block] = merged.topk(keeping.kept, dim=1, sorted=False).values
        self._filled = 0


def _middles(values: Tensor, group: int) -> Tensor:
    """Of each `group` values that are neighbours when sorted, the middle one."""
    ordered = values.sort(dim=1, descending=True).values
    short = -ordered.shape[1] % group
    ordered = torch.nn.functional.pad(ordered, (0, short), value=-torch.inf)
    return ordered[:, group // 2 :: group]
