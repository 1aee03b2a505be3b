"""Analyses beside boards: numpy and the paper's printed fit as oracles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter

from le_bench.boards.analyses import (
    analysis_blocks,
    dead_table,
    fits,
    lengths_table,
    live_table,
    quadratic_fit,
    scorers_table,
)
from le_bench.boards.files import ResultError
from le_bench.boards.grid import make_grids
from le_bench.boards.impact import (
    LayerImpact,
    impact_blocks,
    impact_table,
    read_impacts,
    write_impact,
)
from le_bench.boards.leaderboard import render
from le_bench.boards.records import Environment, LogitTemperature, Result


def test_quadratic_fit_equals_numpy_and_the_printed_one() -> None:
    """Scores that lie on the paper's curve give its constants; noisy ones those of polyfit."""
    x = np.linspace(-0.1, 0.7, 60)
    y = 0.4231 * x**2 + 0.00574
    noisy = y + 0.02 * np.sin(40 * x)
    holes = np.where(np.arange(60) % 7 == 0, np.nan, noisy)

    exact, fit = quadratic_fit(x, y), quadratic_fit(x, holes)

    assert (exact.a, exact.b, exact.c) == pytest.approx((0.4231, 0, 0.00574), abs=1e-9)
    assert exact.r_squared == pytest.approx(1)
    kept = ~np.isnan(holes)
    right = np.polyfit(x[kept], holes[kept], 2)
    residual = holes[kept] - np.polyval(right, x[kept])
    assert (fit.a, fit.b, fit.c) == pytest.approx(tuple(right))
    assert fit.r_squared == pytest.approx(1 - residual.var() / holes[kept].var())
    assert fit.correlation == pytest.approx(np.corrcoef(x[kept], holes[kept])[0, 1])
    assert fit.num_units == kept.sum() == 51


@pytest.mark.parametrize("x", [np.array([]), np.array([0.1, 0.2, 0.2, 0.1])])
def test_fit_of_too_few_scores_is_undefined(x: np.ndarray) -> None:
    """A quadratic needs three different scores."""
    fit = quadratic_fit(x, x + 1)

    assert np.isnan([fit.a, fit.b, fit.c, fit.r_squared, fit.correlation]).all()
    assert fit.num_units == len(x)


def test_tables_show_dead_units_live_means_and_lengths(tiny: list[Result]) -> None:
    """Layers without dead units are not among the live means."""
    grid = make_grids(tiny, [])[0]

    assert "| cnn / layer2    |      40 |      2 |   5.00% |" in dead_table(grid)
    assert "| cnn / layer1    |      40 |      0 |   0.00% |" in dead_table(grid)
    live = live_table(grid)
    assert "layer1" not in live.splitlines()[0]
    best = grid.results["le-siglip", ("cnn", "layer2")]
    assert f"{best.score.live_mean:.3f}" in live
    assert "le-siglip" in lengths_table(grid)
    assert "4.00" in lengths_table(grid)


def test_scorers_stand_side_by_side(tiny: list[Result], result_of: Callable[..., Result]) -> None:
    """Over the cells that both have; with the share of scores below 0."""
    values = np.where(np.arange(40) < 10, -0.1, 0.1)
    both = [result_of(values, explainer=e, scorer="norm") for e in ("le-label", "le-siglip")]
    grids = make_grids([*[r for r in tiny if r.cell.scorer == "ablation"], *both], [])

    shown = scorers_table(grids)

    assert "0.0500" in shown
    assert "25.0%" in shown
    found = fits(grids)
    assert list(found) == [("siglip", "ablation", "norm"), ("siglip", "norm", "ablation")]
    assert found["siglip", "ablation", "norm"].num_units == 80


def test_no_results_give_no_section() -> None:
    """Nothing to analyse, nothing said."""
    assert analysis_blocks([]) == []
    assert impact_blocks([]) == []


def impact(layer: str, share: float, units: int, **changes: object) -> LayerImpact:
    """Top Impact of a layer whose units all have the same share of the upper half."""
    record = LayerImpact(
        key="a" * 64,
        experiment="tiny",
        dataset="picturebook",
        model="cnn",
        layer=layer,
        fractions=(0.1, 0.5),
        values=((share / 5,) * units, (share,) * units),
        images=200,
        counting="exact",
        accuracy=0.9,
        cross_entropy=0.4,
        temperature=LogitTemperature("cnn", 1.1, "fitted on the val images", 0.39, 0.41),
        environment=Environment("0.1.0", "3.11", "2.14.1", "cpu"),
        way="the rest of the network",
    )
    return replace(record, **changes)  # type: ignore[arg-type]  # fields of the record


def test_impact_table_weighs_layers_by_units_and_shows_a_uniform_unit() -> None:
    """ "all" is the mean over all units, as the paper's last column is."""
    shown = impact_table([impact("layer1", 0.6, 10), impact("layer2", 0.9, 30)])

    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown.splitlines()]
    assert cells[0] == ["fraction", "layer1", "layer2", "all", "uniform unit"]
    assert cells[2] == ["10%", "12.00%", "18.00%", "16.50%", "10.00%"]
    assert cells[3] == ["50%", "60.00%", "90.00%", "82.50%", "50.00%"]


def test_published_column_of_all_layers_follows_from_the_layers() -> None:
    """Table 1 of the paper: 0.319, 0.454, 0.574, 1.369, 2.007% give 1.522% over all units."""
    sizes, shares = (64, 256, 512, 1024, 2048), (0.319, 0.454, 0.574, 1.369, 2.007)
    layers = [
        impact(f"layer{at}", 0, n, fractions=(0.002,), values=((share / 100,) * n,))
        for at, (n, share) in enumerate(zip(sizes, shares, strict=True))
    ]

    row = impact_table(layers).splitlines()[2]

    assert "1.52%" in row


def test_units_without_effect_do_not_count() -> None:
    """They are told, and the others' mean stays."""
    layer = impact("layer1", 0.6, 3, values=((0.1, None, 0.3), (0.5, None, 0.7)))

    text = "\n".join(impact_blocks([layer]))

    assert "20.00%" in text
    assert "3 units, of which 1 have no effect and do not count" in text


def test_impact_says_over_which_images_it_is() -> None:
    """Test images, or those of all splits; only the latter is in a record's JSON."""
    layers = [impact("layer1", 0.6, 3), impact("layer1", 0.6, 3, over="all")]

    own, every = ("\n".join(impact_blocks([layer])) for layer in layers)
    records = [TypeAdapter(LayerImpact).dump_python(layer) for layer in layers]

    assert "over all test images, that lies" in own
    assert "- 200 test images, accuracy" in own
    assert "over all probe images, that lies" in every
    assert "- 200 probe images, accuracy" in every
    assert [record.get("over") for record in records] == [None, "all"]


def test_impact_records_come_back_and_partial_ones_are_refused(tmp_path: object) -> None:
    """Written and read again they are the same; boards refuse those of some units."""
    from pathlib import Path

    folder = Path(str(tmp_path))
    records = [impact("layer1", 0.6, 10), impact("a/b", 0.7, 4)]
    for record in records:
        assert write_impact(folder, record)
        assert not write_impact(folder, record)

    assert sorted(read_impacts(folder), key=lambda r: r.layer) == sorted(
        records, key=lambda r: r.layer
    )
    with pytest.raises(ResultError, match="1 of 1 records of Top Impact are partial"):
        render([], impacts=[impact("layer1", 0.6, 10, partial=True)])
    assert "## Top Impact" in render([], impacts=records)["tiny.md"]
