"""What is kept of a run: frozen records that hold only deterministic, portable content.

No time stamps, no wall clock and no paths are in them, save `Cost`, which is machine-dependent
and therefore kept apart from results. In JSON and in memory an undefined number is null (None).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from math import isfinite
from typing import Annotated, Any, Final, Literal, get_args

import numpy as np
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    ValidationInfo,
)
from pydantic.dataclasses import dataclass

from le_bench.boards.statistics import INTERVAL, Floats, mean_and_error

SCHEMA: Final = 1
TOLERANCE = 2e-6  # a figure of rounded values against the rounded figure, plus summing error

_STRICT = ConfigDict(extra="forbid", defer_build=True)


def _json_object(given: Any, found: ValidationInfo) -> Any:
    """Options as plain JSON (tuples become lists); NaN and infinity are refused.

    What was read as JSON is so already.
    """
    if found.mode == "json":
        return given
    return json.loads(json.dumps(given, allow_nan=False, sort_keys=True))


Name = Annotated[str, Field(min_length=1)]
Text = Annotated[str, Field(min_length=0)]  # a limit, of any kind, has half surrogates refused
Key = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Number = Annotated[
    float, Field(allow_inf_nan=False), AfterValidator(lambda number: round(number, 6) + 0.0)
]
Figure = Annotated[
    float, Field(allow_inf_nan=False), AfterValidator(lambda figure: float(f"{figure:.6g}"))
]
Seconds = Annotated[
    float, Field(ge=0, allow_inf_nan=False), AfterValidator(lambda number: round(number, 3))
]
Numbers = Annotated[
    tuple[Annotated[float, Field(allow_inf_nan=False)] | None, ...],
    AfterValidator(
        lambda numbers: tuple(None if n is None else round(n, 6) + 0.0 for n in numbers)
    ),
]
Options = Annotated[dict[str, Any], BeforeValidator(_json_object)]
FurtherFigure = Literal["se", "live_mean", "live_se", "length", "dead"]
FURTHER_FIGURES: tuple[FurtherFigure, ...] = get_args(FurtherFigure)
Schema = Literal[1]


@dataclass(frozen=True, order=True, config=_STRICT)
class Cell:
    """One combination, by the names that boards show."""

    experiment: Name
    dataset: Name
    model: Name
    layer: Name
    explainer: Name
    simulator: Name
    scorer: Name

    def __str__(self) -> str:
        return (
            f"{self.experiment}: {self.model}, {self.layer}, {self.explainer}, "
            f"{self.simulator}, {self.scorer}"
        )


@dataclass(frozen=True, config=_STRICT)
class MadeWith:
    """One component of a cell: who it is and with which options (JSON, never rounded)."""

    name: Name
    version: int
    distribution: str
    options: Options = Field(default_factory=dict)


@dataclass(frozen=True, config=_STRICT)
class Constants:
    """The calibration of one encoder: P = sigmoid(a * (cosine + b)), and how it came about."""

    encoder: Name
    a: Number
    b: Number
    source: str


@dataclass(frozen=True, config=_STRICT)
class LogitTemperature:
    """What a target model's logits were divided by, and how it came about.

    `cross_entropy` is the mean over val images at this temperature, `plain` that at 1.
    """

    model: Name
    value: Number
    source: str
    cross_entropy: Number
    plain: Number


@dataclass(frozen=True, config=_STRICT)
class Environment:
    """What the score was computed with; not part of any key."""

    le_bench: str
    python: str
    torch: str
    device: str


@dataclass(frozen=True, config=_STRICT)
class Provenance:
    """How a result was made.

    `components` by kind (model, dataset, explainer, simulator, scorer), `inputs` the keys of the
    steps that went in, by step, `images` the number of probe images by split. `calibrations` are
    of encoders and, for scores that need its losses, of the target model.
    """

    environment: Environment
    seed: int
    components: dict[Name, MadeWith]
    inputs: dict[str, str] = Field(default_factory=dict)
    images: dict[str, NonNegativeInt] = Field(default_factory=dict)
    calibrations: tuple[Constants | LogitTemperature, ...] = ()


@dataclass(frozen=True, config=_STRICT)
class Origin:
    """Where a submitted result came from: the file or folder given, and who gave it."""

    file: Name
    by: Name


@dataclass(frozen=True, config=_STRICT)
class Summary:
    """A cell's score over units; six decimals.

    `standard_error` is std (ddof=1) / sqrt(defined units), null below two defined units, as are
    `ci_low` and `ci_high`, made as `interval` says. `undefined` counts units by reason.
    `live_mean` is over defined units that are not dead (Table 15 of "Linear Explanations for
    Individual Neurons"), `mean_length` the number of terms over explained units.
    """

    mean: Number | None
    standard_error: Number | None
    ci_low: Number | None
    ci_high: Number | None
    num_units: NonNegativeInt
    num_undefined: NonNegativeInt
    undefined: dict[Name, NonNegativeInt]
    num_dead: NonNegativeInt
    live_mean: Number | None
    mean_length: Number | None
    interval: str = INTERVAL


@dataclass(frozen=True, config=_STRICT)
class Result:
    """One cell's scores: the summary, the score of each unit (null: undefined) and provenance.

    `values` is by unit number from 0; `dead` lists dead units. `published` is the paper's figure
    for this cell's mean; `published_further`, left out of the JSON if there are none, are others:
    the standard error `se`, `live_mean` with `live_se`, the mean `length` of explanations and the
    share of `dead` units. `partial` results (--limit-units) never enter a committed board. An
    explainer that is a `reference_row` (a floor or ceiling such as random or oracle) is shown on
    boards but is never the best. `key` is that of the score step. `origin` is kept only of results
    that were submitted, which nobody has reproduced here.
    """

    key: Key
    cell: Cell
    score: Summary
    values: Numbers
    dead: tuple[NonNegativeInt, ...]
    made_by: Provenance
    higher_is_better: bool = True
    published: Number | None = None
    partial: bool = False
    reference_row: bool = False
    origin: Annotated[Origin | None, Field(exclude_if=lambda origin: origin is None)] = None
    published_further: Annotated[
        dict[FurtherFigure, Number], Field(exclude_if=lambda further: not further)
    ] = Field(default_factory=dict)
    schema: Schema = SCHEMA

    @cached_property
    def unit_values(self) -> Floats:
        """The scores by unit, (U,), NaN where undefined; cannot be written to."""
        values = np.array(self.values, dtype=np.float64)
        values.setflags(write=False)
        return values

    def __post_init__(self) -> None:
        score = self.score
        num_undefined = sum(value is None for value in self.values)
        checks = {
            f"num_units is {score.num_units} but there are {len(self.values)} values": (
                score.num_units == len(self.values)
            ),
            f"num_undefined is {score.num_undefined} but {num_undefined} values are null": (
                score.num_undefined == num_undefined
            ),
            f"reasons are given for {sum(score.undefined.values())} of {num_undefined} "
            "undefined units": sum(score.undefined.values()) == num_undefined,
            f"num_dead is {score.num_dead} but dead lists {len(self.dead)} units": (
                score.num_dead == len(self.dead)
            ),
            "dead is not a rising list of unit numbers": list(self.dead)
            == sorted({unit for unit in self.dead if unit < len(self.values)}),
        }
        wrong = [fault for fault, holds in checks.items() if not holds]
        wrong = wrong or list(self._wrong_figures())
        if wrong:
            raise ValueError("; ".join(wrong))

    def _wrong_figures(self) -> Iterator[str]:
        whole = live = mean_and_error(self.unit_values)
        if self.dead:
            live = mean_and_error(np.delete(self.unit_values, self.dead))
        for figure, right in (
            ("mean", whole.mean),
            ("standard_error", whole.standard_error),
            ("live_mean", live.mean),
        ):
            given = getattr(self.score, figure)
            if not agree(given, right, TOLERANCE):
                shown = f"{right:.6g}" if isfinite(right) else "none"
                yield f"{figure} is {given} but the values have {shown}"


def agree(given: float | None, right: float, tolerance: float) -> bool:
    """Whether a figure on record is the right one; both may be undefined, as null and NaN."""
    if given is None or not isfinite(right):
        return given is None and not isfinite(right)
    return abs(given - right) <= tolerance * max(1.0, abs(right))


@dataclass(frozen=True, config=_STRICT)
class Failure:
    """A cell without a result: where it stopped and why, in one sentence.

    `key` is that of the score step which could not be reached. `not_applicable` marks a cell
    that cannot exist (an explainer that needs masks on a dataset without): no fault of anyone.
    """

    key: Key
    cell: Cell
    step: Name
    reason: Name
    not_applicable: bool = False
    schema: Schema = SCHEMA


@dataclass(frozen=True, config=_STRICT)
class UnitExplanation:
    """The explanation of one unit: terms as (concept, weight), or the reason for having none.

    `figures` is what the explainer found of its own explanation, by name; six digits.
    """

    unit: NonNegativeInt
    terms: tuple[tuple[Text, Number], ...]
    bias: Number = 0.0
    reason: Text = ""
    figures: dict[Name, Figure] = Field(default_factory=dict)


@dataclass(frozen=True, config=_STRICT)
class LayerExplanations:
    """All explanations that one explainer gives for one layer; `key` is the explain step's."""

    key: Key
    experiment: Name
    model: Name
    layer: Name
    explainer: Name
    units: tuple[UnitExplanation, ...]
    schema: Schema = SCHEMA


@dataclass(frozen=True, config=_STRICT)
class Cost:
    """Measured seconds to explain one layer, and on what: the device and the processor."""

    model: Name
    layer: Name
    explainer: Name
    seconds: Seconds
    device: str
    cpu: str


@dataclass(frozen=True, config=_STRICT)
class Costs:
    """What the explainers of one experiment cost, sorted by model, layer and explainer."""

    experiment: Name
    cells: tuple[Cost, ...]
    schema: Schema = SCHEMA


@dataclass(frozen=True, config=_STRICT)
class About:
    """What a board says of its experiment, and in which order it shows things.

    `pairs` are explainers that are compared by name; scorers and layers (model and layer) come in
    the experiment's order, others after them.
    """

    experiment: Name
    title: str
    description: str
    pairs: tuple[tuple[Name, Name], ...] = ()
    scorers: tuple[Name, ...] = ()
    layers: tuple[tuple[Name, Name], ...] = ()
    schema: Schema = SCHEMA
