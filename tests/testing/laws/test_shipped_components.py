"""Every component that ships keeps to the laws of its kind."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from le_bench.plugins import HOME, Offer, Plugins
from le_bench.testing.laws import LAWS, make_for_laws, verdicts

NEEDS_FILES = {  # data sets, networks and captions that do not ship, or that an author gives
    "dataset": {
        *("broden", "cifar", "hf-dataset", "image-folder", "imagenet", "imagenet-npz", "npz"),
        *("parquet", "places365"),
    },
    "model": {"factory", "preset", "timm", "torch-hub", "torchvision"},
    "encoder": {"open-clip"},
    "explainer": {"milan"},
}
GIVEN: dict[str, dict[str, Any]] = {"picturebook": {"num_images": 60}}
OFFERS = [
    offer
    for offer in Plugins.find().offers()
    if offer.distribution == HOME
    and offer.component.name not in NEEDS_FILES.get(offer.component.kind, ())
]


@pytest.mark.parametrize("offer", OFFERS, ids=lambda o: f"{o.component.kind}-{o.component.name}")
def test_shipped_components_keep_to_the_laws(offer: Offer, tmp_path: Path) -> None:
    """No law is broken by a component of ours, each with planted encoders and its defaults."""
    kind, name = offer.component.kind, offer.component.name
    table = GIVEN.get(name, {}) if kind == "dataset" else {}
    if name == "published":
        rows = [["unit", "description"], *([unit, "class 0"] for unit in range(300))]
        with (tmp_path / "units.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        table = {"file": "units.csv", "layer": "planted", "first_unit": 0}
    component = make_for_laws(offer.component, table, tmp_path)
    costly = name == "milan-picturebook"  # its network takes seconds for what takes others none
    chosen = [law for law in LAWS[kind] if not costly or law.name not in COSTLY]

    found = list(verdicts(component, chosen))

    assert [str(verdict) for verdict in found if verdict.state == "broken"] == []
    assert any(verdict.state == "holds" for verdict in found)


COSTLY = ("large input", "any device", "together as one by one", "order of units", "no test images")


def test_the_list_of_exempt_components_is_up_to_date() -> None:
    """Exempt are only components that there are."""
    known = {(offer.component.kind, offer.component.name) for offer in Plugins.find().offers()}

    assert {(kind, name) for kind, names in NEEDS_FILES.items() for name in names} <= known
