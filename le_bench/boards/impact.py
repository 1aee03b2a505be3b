"""Top Impact of layers: its records on disk and its table, in the form of the paper's Table 1.

A layer lies at `<impact>/<experiment>/<model>/<layer>.json` under the leaderboards folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt
from pydantic.dataclasses import dataclass

from le_bench.boards.files import file_name
from le_bench.boards.folders import RecordKind, read_records, write_record
from le_bench.boards.grid import natural
from le_bench.boards.markdown import code, number, page, shown, table
from le_bench.boards.records import (
    _STRICT,
    SCHEMA,
    Environment,
    Key,
    LogitTemperature,
    Name,
    Number,
    Schema,
)

EXPLAINED = (
    "Share of a unit's effect, over all {images}, that lies in the fraction of images with its "
    "highest activations; the mean over the units of a layer. A unit's effect on an image is half "
    "the change of accuracy less half the change of cross-entropy when the unit is set to 0 "
    "everywhere, each divided by the network's total. If all images mattered alike, a fraction b "
    "of them would have the share b (last column). *all*: mean over all units of a network."
)


@dataclass(frozen=True, config=_STRICT)
class LayerImpact:
    """Top Impact of each unit of one layer.

    `values[i]` are the units' TI at `fractions[i]`, null for a unit without any effect. `images`
    images were run, those of the test split or, if `over` says so, of all splits; `counting` says
    how many images a fraction is. `key` is the impact step's. `partial` records (--limit-units)
    never enter a committed board.
    """

    key: Key
    experiment: Name
    dataset: Name
    model: Name
    layer: Name
    fractions: tuple[Number, ...]
    values: tuple[tuple[Number | None, ...], ...]
    images: NonNegativeInt
    counting: Literal["exact", "authors"]
    accuracy: Number
    cross_entropy: Number
    temperature: LogitTemperature
    environment: Environment
    way: str
    partial: bool = False
    over: Annotated[Literal["test", "all"], Field(exclude_if=lambda over: over == "test")] = "test"
    schema: Schema = SCHEMA

    def __post_init__(self) -> None:
        if len(self.values) != len(self.fractions) or len({*map(len, self.values)}) > 1:
            raise ValueError("values needs one row of all units for each fraction")

    @property
    def num_units(self) -> int:
        """All units of the layer."""
        return len(self.values[0]) if self.values else 0

    @property
    def kind_of_images(self) -> str:
        """What the images are, in words."""
        return "test images" if self.over == "test" else "probe images"

    def defined(self, fraction: float) -> list[float]:
        """The units' TI at a fraction, those without any effect left out."""
        row = self.values[self.fractions.index(fraction)]
        return [value for value in row if value is not None]


def impact_path(folder: Path, impact: LayerImpact) -> Path:
    """Where the record of a layer lies."""
    model = folder / file_name(impact.experiment) / file_name(impact.model)
    return model / f"{file_name(impact.layer)}.json"


IMPACTS = RecordKind("Top Impact records", LayerImpact, impact_path)


def write_impact(folder: Path, impact: LayerImpact) -> bool:
    """Write the record of one layer; say whether the file changed."""
    return write_record(folder, impact, IMPACTS)


def read_impacts(folder: Path) -> list[LayerImpact]:
    """All records under a folder, by experiment, model and layer; none if there is no such folder.

    Raises ResultError with every fault of every file.
    """
    found = read_records(folder, folder.rglob("*.json"), IMPACTS)
    return sorted(found, key=lambda each: (each.experiment, *natural((each.model, each.layer))))


def impact_blocks(impacts: Sequence[LayerImpact]) -> list[str]:
    """The section of an experiment's page; nothing if there is no record."""
    if not impacts:
        return []
    models: dict[str, list[LayerImpact]] = {}
    for each in impacts:
        models.setdefault(each.model, []).append(each)
    kinds = " or ".join(dict.fromkeys(each.kind_of_images for each in impacts))
    blocks = ["## Top Impact", EXPLAINED.format(images=kinds)]
    for model, layers in models.items():
        blocks += [f"### {shown(model)}", impact_table(layers), _notes(layers)]
    return blocks


def impact_table(layers: Sequence[LayerImpact]) -> str:
    """Fractions by layers of one network in percent, the mean over all units, and uniform units."""
    rows = []
    for fraction in sorted({fraction for each in layers for fraction in each.fractions}):
        with_it = [each for each in layers if fraction in each.fractions]
        row = {"fraction": f"{100 * fraction:g}%"}
        for each in layers:
            row[_heading(each)] = _percent(each.defined(fraction) if each in with_it else [])
        every = [value for each in with_it for value in each.defined(fraction)]
        row["all"] = _percent(every if len(with_it) == len(layers) else [])
        row["uniform unit"] = _percent([fraction])
        rows.append(row)
    return table(rows, right=list(rows[0])[1:]) if rows else ""


def _heading(impact: LayerImpact) -> str:
    return code(impact.layer) if impact.layer in ("fraction", "all") else shown(impact.layer)


def _percent(values: Sequence[float]) -> str:
    mean = 100 * sum(values) / len(values) if values else None
    if mean is None:
        return number(None, 2)
    return f"{number(mean, 3 if mean < 1 else 2)}%"


def _notes(layers: Sequence[LayerImpact]) -> str:
    lines = []
    for each in layers:
        idle = each.num_units - len(each.defined(each.fractions[0]))
        without = f", of which {idle:,} have no effect and do not count" if idle else ""
        lines.append(f"- {shown(each.layer)}: {each.num_units:,} units{without}")
    first = layers[0]
    lines.append(
        f"- {first.images:,} {first.kind_of_images}, accuracy {number(first.accuracy, 4)}, "
        f"cross-entropy {number(first.cross_entropy, 4)} at temperature "
        f"{number(first.temperature.value, 3)} ({shown(first.temperature.source)})"
    )
    if first.counting == "authors":
        lines.append("- a fraction b counts floor(b N) + 1 images, as the authors' code does")
    return page("\n".join(lines)).rstrip()
