"""Network Dissection as an explainer: labels, reasons, options and cells without meaning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from le_bench.errors import BenchError, NotApplicableError
from le_bench.networks.maps import LayerMaps
from le_bench.probing.guarded import OwnImages, OwnMasks
from le_bench.testing.planted import PlantedEncodings, PlantedMemory
from le_bench.types import Evidence, Explanation, Layer, PixelLabels, ProbeView, Split, Term
from le_bench_plugins.explainers.netdissect.explainer import NetDissect
from le_bench_plugins.picturebook.plugin import Picturebook, PicturebookModel

from .dissecting import CONCEPTS, draw, oracle, with_units

BROAD = NetDissect(quantile=0.05)


def test_each_unit_is_named_by_its_largest_overlap() -> None:
    """One label of weight 1, the oracle's best; the same again for the same evidence."""
    scene = draw(0)
    expected = oracle(scene, 0.05, "category-in-region")

    explanations = BROAD.explain(scene.evidence())

    for unit in range(5):
        best = max(CONCEPTS, key=lambda concept: expected[unit, concept][3])
        figures = {"IoU": expected[unit, best][3]}
        assert explanations[unit] == Explanation(unit, (Term(best),), figures=figures)
    assert explanations == BROAD.explain(scene.evidence())


def test_a_planted_unit_finds_its_concept() -> None:
    """A unit that is active exactly where there is a car, or on beaches, is named so."""
    scene = draw(1)
    labels = scene.labels
    car = torch.from_numpy((labels.layers == CONCEPTS.index("car") + 1).any(1))[:, None].float()
    beach = torch.from_numpy((labels.whole == CONCEPTS.index("beach") + 1).any(1))
    beach = beach[:, None, None, None].expand_as(car).float()
    maps = torch.cat([car, beach], 1) + 0.01 * torch.rand(len(car), 2, *car.shape[2:])

    explanations = NetDissect(quantile=0.04).explain(with_units(scene, maps).evidence())

    assert [explanation.terms[0].concept for explanation in explanations] == ["car", "beach"]


def test_units_that_cannot_be_explained_have_reasons() -> None:
    """Dead, saturated, spoilt and unlabelled units get words instead of an empty name."""
    scene = draw(2)
    maps = scene.maps.clone()
    maps[:, 0] = 0.0
    maps[:, 1] = maps[:, 1].clamp_max(0.0)
    maps[scene.rows["train"][0], 2, 0, 0] = torch.nan
    maps[scene.rows["val"][0], 3, 0, 0] = torch.inf
    unlabelled = int(scene.rows["train"][1])
    maps[:, 4] = 0.01 * maps[:, 4]
    maps[unlabelled, 4] += 9.0
    layers, whole = scene.labels.layers.copy(), scene.labels.whole.copy()
    layers[unlabelled], whole[unlabelled] = 0, 0
    scene = replace(scene, maps=maps, labels=PixelLabels(layers, whole))

    explanations = NetDissect(quantile=0.02).explain(scene.evidence())

    assert [explanation.reason for explanation in explanations] == [
        "the unit has the same activation on all train images",
        "no position of the unit's maps exceeds its threshold, since its highest value is reached "
        "on more than 0.02 of all positions",
        "the unit's activation is not a finite number on 1 train image",
        "the unit's activation is not a finite number on 1 val image",
        "no labelled pixel lies where the unit is active",
    ]
    assert not any(explanation.terms for explanation in explanations)


def test_a_spoilt_map_counts_even_if_its_pooled_value_is_fine() -> None:
    """The class token may be finite where the grid is not."""
    scene = draw(2)
    maps = scene.maps.clone()
    maps[scene.rows["val"][0], 3, 0, 0] = torch.inf
    evidence = replace(
        with_units(scene, maps).evidence(), val_activations=scene.evidence().val_activations
    )

    explanation = BROAD.explain(evidence)[3]

    assert explanation.reason == "the unit's maps hold values that are not finite numbers"


def test_tied_overlaps_go_to_the_first_concept() -> None:
    """Two concepts that label the same pixels do not alternate."""
    scene = draw(3)
    layers = np.zeros_like(scene.labels.layers)
    red = scene.labels.layers[:, 0] < 4
    layers[:, 0], layers[:, 1] = red * 1, red * 2  # green wherever there is red
    whole = np.zeros_like(scene.labels.whole)

    explanations = BROAD.explain(replace(scene, labels=PixelLabels(layers, whole)).evidence())

    assert {explanation.terms[0].concept for explanation in explanations} == {"red"}


def test_an_experiment_may_limit_the_units() -> None:
    """Fewer units are explained as among all."""
    scene = draw(4)

    everything = BROAD.explain(scene.evidence())

    assert list(BROAD.explain(scene.evidence(range(2)))) == list(everything[:2])


@dataclass(frozen=True)
class NoMaps:
    """The maps of a layer that has none."""

    @property
    def shape(self) -> tuple[int, int, int]:
        raise NotApplicableError("layer 'fc' has no map of positions")

    def blocks(self, rows: Tensor) -> Any:
        raise NotApplicableError("layer 'fc' has no map of positions")


def test_cells_without_meaning_say_what_to_do() -> None:
    """A data set without masks, a layer without maps."""
    evidence = draw(0).evidence()
    bare = replace(
        evidence,
        train=replace(evidence.train, masks=None),
        val=replace(evidence.val, masks=None),
    )

    with pytest.raises(NotApplicableError, match="the probe dataset has no pixel labels to"):
        NetDissect().explain(bare)
    with pytest.raises(NotApplicableError, match="layer 'fc' has no map of positions"):
        NetDissect().explain(replace(evidence, maps=NoMaps()))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: NetDissect(quantile=0.0),
            "quantile is 0.0; it must lie between 0 and 1 (the share of positions where a unit is "
            "active)",
        ),
        (
            lambda: NetDissect(union="category-in-regoin"),  # type: ignore[arg-type]
            "unknown union 'category-in-regoin'; did you mean 'category-in-region' or "
            "'category-in-image'?",
        ),
        (lambda: NetDissect(memory_mib=0), "memory_mib is 0; it must be at least 1"),
    ],
)
def test_senseless_options_are_refused(make: Callable[[], Any], message: str) -> None:
    """When the experiment is read, with what may stand there."""
    with pytest.raises(ValueError, match=r".") as caught:
        make()

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("without", "message"),
    [
        (
            ("colour",),
            "`without` has an unknown category 'colour'; did you mean 'color'?",
        ),
        (
            ("color", "object", "scene"),
            "`without` leaves no concept; keep at least one category",
        ),
    ],
)
def test_categories_that_cannot_be_left_out_are_named(
    without: tuple[str, ...], message: str
) -> None:
    """Categories are those of the data set."""
    with pytest.raises(BenchError) as caught:
        NetDissect(without=without).explain(draw(0).evidence())

    assert str(caught.value) == message


def picturebook_evidence(network: str, layer: str, num_images: int = 600) -> Evidence:
    """A layer of a Picturebook network, as a run gives it."""
    dataset = Picturebook(num_images=num_images).load()
    model = PicturebookModel(network=network).load(torch.device("cpu"))  # type: ignore[arg-type]  # one of the literals
    assert dataset.masks is not None
    splits: tuple[Split, ...] = ("train", "val")
    views = {
        split: ProbeView(
            split,
            dataset.splits[split],
            PlantedEncodings((), {}),
            masks=OwnMasks(dataset.masks, dataset.splits[split]),
        )
        for split in splits
    }
    rows = torch.cat([dataset.splits["train"], dataset.splits["val"]])
    images = OwnImages(dataset.images, rows)
    maps = LayerMaps(model, images, Layer(layer), int(rows[0]), 10**6)
    pooled = {
        split: torch.cat([block.mean((2, 3)) for _, block in maps.blocks(views[split].rows)])
        for split in views
    }
    return Evidence(
        layer=Layer(layer),
        train=views["train"],
        val=views["val"],
        train_activations=pooled["train"],
        val_activations=pooled["val"],
        vocabulary=dataset.vocabulary,
        memory=PlantedMemory(),
        maps=maps,
    )


@pytest.mark.parametrize("layer", ["layer3", "layer4"])
def test_units_of_the_last_layers_find_their_concepts(layer: str) -> None:
    """On Picturebook the best label of the mean unit overlaps by more than a tenth.

    Its concepts cover more of the pictures than those of Broden do, and so must active regions:
    with the authors' share of positions the mean overlap is half as large.
    """
    evidence = picturebook_evidence("cnn", layer)
    explainer = NetDissect(quantile=0.02)

    overlaps = explainer.tally(evidence).overlaps().amax(1)
    explanations = explainer.explain(evidence)

    assert float(overlaps.mean()) > 0.1
    assert float((overlaps > 0.04).float().mean()) > 0.9
    assert len({explanation.terms[0].concept for explanation in explanations}) > 20
