"""What a comparison holds: two sides on the same cells and units, said in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from le_bench.boards.comparing.agreement import RankAgreement, RankStability
from le_bench.boards.comparing.choosing import Axis
from le_bench.boards.comparing.contrasts import Estimate
from le_bench.boards.grid import Column


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """What both sides of a pair have in common beside the cell: scorer and simulator.

    None for the one of them that is compared.
    """

    scorer: str | None
    simulator: str | None


@dataclass(frozen=True, slots=True)
class SideBySide:
    """One explainer under two sides, or two explainers: in a layer, or over all shared layers.

    `row` is the explainer, None if explainers are the sides; `column` is None over all layers.
    Means are over the units that both sides score, `difference` is first minus second, and
    `corrected` its p-value after Holm's correction. `pearson` and `spearman` correlate the units
    within a layer; over layers they are means of those. `undefined` counts units that have no
    score on the first side only, on the second only, on both. `missing` counts the cells that
    only one side lacks, first and second. NaN where something has no meaning: differences of two
    scorers, correlations between units of two models.
    """

    group: Group
    first: str
    second: str
    row: str | None
    column: Column | None
    first_mean: float
    second_mean: float
    difference: Estimate
    pearson: float
    spearman: float
    undefined: tuple[int, int, int]
    missing: tuple[int, int] = (0, 0)
    num_layers: int = 1
    corrected: float = float("nan")


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether two sides order the contenders that are complete on both of them alike."""

    group: Group
    first: str
    second: str
    explainers: tuple[str, ...]
    ranks: RankAgreement


@dataclass(frozen=True, slots=True)
class Stability:
    """How the order of the contenders holds under one simulator and scorer."""

    group: Group
    explainers: tuple[str, ...]
    ranks: RankStability


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A unit on which two sides differ much, with both scores and both explainers.

    `size` is the difference of the scores, or between scorers that of the unit's rank among the
    layer's units as a share of them.
    """

    group: Group
    first: str
    second: str
    column: Column
    unit: int
    explainers: tuple[str, str]
    scores: tuple[float, float]
    size: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """All sides of one axis in pairs; `rows` over layers, `cells` by layer.

    `num_tests` is the number of differences that Holm's correction allows for. `leaders` holds
    for each group the pairs worth showing if there are many.
    """

    experiment: str
    by: Axis
    sides: tuple[str, ...]
    rows: tuple[SideBySide, ...]
    cells: tuple[SideBySide, ...]
    agreements: tuple[Agreement, ...]
    stabilities: tuple[Stability, ...]
    disagreements: tuple[Disagreement, ...]
    leaders: tuple[tuple[Group, str, str], ...]
    num_tests: int
    partial: bool = False
