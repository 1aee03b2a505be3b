"""Small results with planted scores for the tests of records and boards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from le_bench.boards.records import (
    Cell,
    Constants,
    Cost,
    Costs,
    Environment,
    Failure,
    LayerExplanations,
    MadeWith,
    Provenance,
    Result,
    UnitExplanation,
)
from le_bench.boards.results import UnitScores, make_result

CELL = Cell(
    experiment="tiny",
    dataset="picturebook",
    model="cnn",
    layer="layer1",
    explainer="le-label",
    simulator="siglip",
    scorer="correlation",
)
MADE_BY = Provenance(
    environment=Environment(le_bench="0.1.0", python="3.11", torch="2.14.1", device="cpu"),
    seed=0,
    components={
        "dataset": MadeWith("picturebook", 1, "le-bench 0.1.0", {"num_images": 1000}),
        "model": MadeWith("picturebook-cnn", 2, "le-bench 0.1.0"),
        "explainer": MadeWith("le-label", 1, "le-bench 0.1.0", {"penalty": 0.05}),
        "simulator": MadeWith("encoder", 1, "le-bench 0.1.0", {"encoder": "siglip"}),
        "scorer": MadeWith("correlation", 1, "le-bench 0.1.0"),
    },
    inputs={"simulate": "0" * 64},
    images={"train": 700, "val": 100, "test": 200},
    calibrations=(Constants("siglip", 58.0, -0.13, "fitted on val"),),
)


def key_of(cell: Cell) -> str:
    """A key that depends on the cell's names."""
    return hashlib.sha256(repr(cell).encode()).hexdigest()


def planted(mean: float, num_units: int = 40, wave: float = 1.0) -> np.ndarray:
    """Scores around a mean that differ by unit, the same on every machine to six decimals."""
    return np.asarray(mean + 0.05 * np.sin(np.arange(num_units) * wave))


ResultMaker = Callable[..., Result]


@pytest.fixture
def cell() -> Cell:
    """A cell."""
    return CELL


@pytest.fixture
def provenance() -> Provenance:
    """How the planted results were made."""
    return MADE_BY


@pytest.fixture
def result_of() -> ResultMaker:
    """Makes a result from scores; further keywords are names of the cell or fields of it."""

    def make(
        values: Sequence[float] | np.ndarray,
        *,
        undefined: dict[int, str] | None = None,
        dead: Sequence[int] = (),
        length: int = 3,
        options: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Result:
        names = {name: changes.pop(name) for name in set(changes) & set(Cell.__annotations__)}
        cell = replace(CELL, **names)
        values = np.asarray(values, dtype=np.float64)
        reasons = dict.fromkeys(np.flatnonzero(np.isnan(values)).tolist(), "constant simulation")
        lengths = [0 if unit in (undefined or reasons) else length for unit in range(len(values))]
        components = {
            **MADE_BY.components,
            "explainer": MadeWith(cell.explainer, 1, "le-bench 0.1.0", options or {}),
        }
        return make_result(
            cell,
            key_of(cell),
            UnitScores(values, lengths, reasons if undefined is None else undefined, dead),
            replace(MADE_BY, components=components),
            **changes,
        )

    return make


DEEP = ("layer2", "siglip")


@pytest.fixture
def tiny(result_of: ResultMaker) -> list[Result]:
    """An experiment with every kind of cell that a board knows.

    Two layers, two simulators, two scorers. le-siglip and le-label are tied on layer1 and not on
    layer2; the oracle is a reference row; some scores of clip-dissect are undefined; two units
    of layer2 are dead; one cell has a published figure.
    """
    results = []
    for simulator, loss in (("siglip", 0.0), ("clip", 0.06)):
        for layer, dead in (("layer1", ()), ("layer2", (3, 5))):
            deep = 0.1 if layer == "layer2" else 0.0
            lead = 0.08 if layer == "layer2" else 0.001
            where = {"layer": layer, "simulator": simulator, "dead": dead}
            middle = 0.3 + deep - loss
            gaps = planted(0.19 - loss, wave=2.0)
            gaps[[1, 7]] = np.nan
            results += [
                result_of(planted(middle), explainer="le-label", **where),
                result_of(
                    planted(middle + lead, wave=1.3),
                    explainer="le-siglip",
                    length=4,
                    published={"value": 0.3772} if (layer, simulator) == DEEP else {},
                    **where,
                ),
                result_of(
                    gaps,
                    explainer="clip-dissect",
                    length=1,
                    **where,
                    undefined={1: "constant simulation", 7: "the explainer gave no terms"},
                ),
                result_of(
                    planted(0.9 - loss, wave=0.7), explainer="oracle", reference_row=True, **where
                ),
            ]
    results += [
        result_of(planted(0.05, wave=1.7) / 2, explainer=name, scorer="ablation")
        for name in ("le-label", "le-siglip")
    ]
    return results


@pytest.fixture
def failures() -> list[Failure]:
    """Three cells without a result: one failed, two cannot exist."""
    lost = replace(CELL, explainer="milan", layer="layer2")
    absent = [replace(CELL, explainer="netdissect", layer=layer) for layer in ("layer1", "layer2")]
    return [
        Failure(key_of(lost), lost, "explain", "RuntimeError: out of memory\nat <b>|</b>"),
        *(
            Failure(key_of(each), each, "explain", "no masks", not_applicable=True)
            for each in absent
        ),
    ]


@pytest.fixture
def explanations() -> list[LayerExplanations]:
    """Explanations of layer1 by le-siglip: one of each form."""
    many = tuple((f"concept {n}", round(0.9 - n / 10, 1)) for n in range(8))
    units = (
        UnitExplanation(
            0, (("cat", 0.83), ("striped", 0.41)), bias=-0.12, figures={"val correlation": 0.5}
        ),
        UnitExplanation(1, (("general store, indoor", 1.0),)),
        UnitExplanation(2, (), reason="the unit is dead"),
        UnitExplanation(3, (("a|b", -0.5), ("<script>", 0.004)), bias=0.25),
        UnitExplanation(4, many),
        UnitExplanation(5, (("not shown", 1.0),)),
    )
    return [LayerExplanations("1" * 64, "tiny", "cnn", "layer1", "le-siglip", units)]


@pytest.fixture
def costs() -> list[Costs]:
    """What le-siglip cost on both layers."""
    measured = [
        Cost("cnn", layer, "le-siglip", 12.34, "cpu", "2 cores") for layer in ("layer1", "layer2")
    ]
    return [Costs("tiny", tuple(measured))]
