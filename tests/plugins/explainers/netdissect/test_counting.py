"""Network Dissection counts what a slow and obvious program counts, exactly."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image

from le_bench_plugins.explainers.netdissect import counting
from le_bench_plugins.explainers.netdissect.counting import UnionRule, enlarge
from le_bench_plugins.explainers.netdissect.explainer import NetDissect
from le_bench_plugins.explainers.netdissect.tally import Tally, category_numbers

from .dissecting import Scene, draw, oracle, with_units

every_union = pytest.mark.parametrize("union", get_args(UnionRule))


def counts(tally: Tally) -> dict[tuple[int, str], tuple[int, int, int, float]]:
    """The tally in the oracle's form."""
    numbers = category_numbers(tally.categories).tolist()
    return {
        (unit, concept): (
            int(tally.both[unit, column]),
            int(tally.truth[column]),
            int(tally.active[unit, numbers[column]]),
            float(tally.overlaps()[unit, column]),
        )
        for unit in range(len(tally.both))
        for column, concept in enumerate(tally.concepts)
    }


def tally_of(
    scene: Scene, union: UnionRule = "category-in-region", quantile: float = 0.05
) -> Tally:
    return NetDissect(quantile=quantile, union=union).tally(scene.evidence())


def same(first: Tally, second: Tally) -> bool:
    return all(
        torch.equal(getattr(first, name), getattr(second, name))
        for name in ("both", "truth", "active", "area")
    )


@every_union
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_counts_equal_a_slow_oracle(union: UnionRule, seed: int) -> None:
    """Several layers, whole-image labels and half-size maps, pixel after pixel."""
    scene = draw(seed)

    tally = tally_of(scene, union)

    assert counts(tally) == oracle(scene, 0.05, union)
    assert int(tally.both.sum()) > 0


@every_union
def test_counts_equal_the_oracle_without_a_category(union: UnionRule) -> None:
    """What is left out is as if it had never been labelled."""
    scene = draw(3)

    tally = NetDissect(quantile=0.05, union=union, without=("object",)).tally(scene.evidence())

    assert list(tally.categories) == ["color", "scene"]
    assert counts(tally) == oracle(scene, 0.05, union, without=["object"])


def test_the_unions_differ() -> None:
    """Each way of counting active pixels takes in more than the one before, in this order."""
    areas = [tally_of(draw(0), union).active for union in get_args(UnionRule)]

    assert bool((areas[0] <= areas[1]).all())
    assert bool((areas[1] <= areas[2]).all())
    assert areas[0].sum() < areas[1].sum() < areas[2].sum()


@every_union
def test_units_together_are_units_one_by_one(union: UnionRule) -> None:
    """No unit changes another's counts."""
    scene = draw(4)
    together = tally_of(scene, union)

    for unit in range(5):
        alone = NetDissect(quantile=0.05, union=union).tally(scene.evidence([unit]))

        assert torch.equal(alone.both[0], together.both[unit])
        assert torch.equal(alone.active[0], together.active[unit])


@every_union
def test_order_and_blocks_of_images_do_not_matter(
    union: UnionRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does how many pixels are looked at together."""
    scene = draw(5)
    flipped = {split: rows.flip(0) for split, rows in scene.rows.items()}
    expected = tally_of(scene, union)

    assert same(tally_of(replace(scene, rows=flipped, block=1), union), expected)
    monkeypatch.setattr(counting, "PIXELS_AT_ONCE", 1)
    assert same(tally_of(scene, union), expected)


@every_union
def test_scaling_a_unit_changes_nothing(union: UnionRule) -> None:
    """Powers of two move threshold and maps alike, ties included; other factors without ties."""
    scene = draw(6)
    smooth = torch.randn(scene.maps.shape, generator=torch.Generator().manual_seed(6))

    doubled = with_units(scene, scene.maps * torch.tensor([0.5, 4, 1024, 2, 1])[:, None, None])
    other = with_units(scene, smooth * torch.tensor([3.7, 0.01, 7e5, 1 / 3, 1e-9])[:, None, None])

    assert same(tally_of(doubled, union), tally_of(scene, union))
    assert same(tally_of(other, union), tally_of(with_units(scene, smooth), union))


def test_test_images_have_no_part() -> None:
    """Other maps and labels of test images change nothing."""
    scene = draw(7)
    maps, layers = scene.maps.clone(), scene.labels.layers.copy()
    maps[scene.rows["test"]] = 100.0
    layers[scene.rows["test"].numpy()] = 1

    changed = replace(scene, maps=maps, labels=replace(scene.labels, layers=layers))

    assert same(tally_of(changed), tally_of(scene))


@pytest.mark.parametrize("given", [(4, 4), (7, 5), (1, 3), (16, 9), (64, 64)])
@pytest.mark.parametrize("wanted", [(8, 8), (13, 21), (7, 5)])
def test_maps_are_enlarged_as_by_pil(given: tuple[int, int], wanted: tuple[int, int]) -> None:
    """Larger or smaller, of any proportion."""
    maps = torch.randn(3, *given, generator=torch.Generator().manual_seed(0))

    found = enlarge(maps, wanted)

    for result, single in zip(found, maps, strict=True):
        picture = Image.fromarray(single.numpy(), mode="F")
        expected = np.asarray(picture.resize(wanted[::-1], Image.Resampling.BILINEAR))
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-5, atol=2e-6)


def test_overlaps_are_ratios_of_sums() -> None:
    """Written out by hand: 6 / (10 + 8 - 6); nothing active gives 0, not a failure."""
    tally = Tally(
        {"object": ("tree",), "texture": (), "color": ("red", "blue")},
        both=torch.tensor([[6, 2, 2], [0, 0, 0]]),
        truth=torch.tensor([8, 4, 4]),
        active=torch.tensor([[10, 0, 6], [0, 0, 0]]),
        area=torch.tensor([10, 0]),
    )

    overlaps, columns = tally.best()

    torch.testing.assert_close(tally.overlaps()[0], torch.tensor([0.5, 0.25, 0.25]).double())
    assert overlaps.tolist() == [[0.5, 0.0, 0.25], [0.0, 0.0, 0.0]]
    assert columns.tolist() == [[0, -1, 1], [-1, -1, -1]]
