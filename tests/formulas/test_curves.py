"""Curves from a few nodes: scipy's splines and exact log-sums of exponentials as oracles."""

from __future__ import annotations

import pytest
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor
from torch.nn import functional as F

from le_bench.formulas.curves import Splines, spread_nodes
from le_bench.running.heads import exact_changes, fits_table, head_table, series
from le_bench.running.judged import Judged


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("count", [4, 5, 9])
def test_splines_equal_scipy(count: int) -> None:
    """Values and slopes between the nodes; beyond, lines that lead away from 0."""
    nodes = spread_nodes(draw(50, 3), torch.zeros(3), count)
    values = draw(20, 3, count, seed=1)
    splines = Splines.through(nodes, values)
    given = draw(20, 3, seed=2) * 3

    found, slopes = splines.with_slopes(given)

    for n in range(20):
        for u in range(3):
            spline = CubicSpline(nodes[u], values[n, u])
            v = float(given[n, u])
            inside = min(max(v, float(nodes[u, 0])), float(nodes[u, -1]))
            end, slope = float(spline(inside)), float(spline(inside, 1))
            sign = 1 if end >= 0 else -1
            if v != inside:
                end += sign * abs(slope * (v - inside))
                slope = sign * abs(slope) * (1 if v > inside else -1)
            assert float(found[n, u]) == pytest.approx(end, abs=2e-4)
            assert float(slopes[n, u]) == pytest.approx(slope, abs=2e-4)
            assert bool(splines.holds(given)[n, u]) == (v == inside)
    some = torch.tensor([2, 0])
    assert torch.equal(splines.of(some).at(given[:, some]), found[:, some])


def test_nodes_rise_and_hold_the_middle() -> None:
    """For skewed, constant and dead units; the ends lie beyond all values."""
    values = torch.stack([draw(40).exp(), torch.full((40,), 2.0), torch.zeros(40)], 1)
    middle = values.mean(0)

    nodes = spread_nodes(values, middle, 6)

    assert nodes.shape == (3, 6)
    assert bool((nodes.diff(dim=1) > 0).all())
    assert bool((nodes[:, 0] < values.amin(0)).all() & (nodes[:, -1] > values.amax(0)).all())
    assert bool((nodes == middle[:, None]).any(1).all())


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0, 1000.0])
def test_series_equal_exact_changes_and_torch(scale: float) -> None:
    """Head weights of any scale; what polynomials do not reach they say."""
    labels = torch.arange(40) % 6
    logits, directions, activations = draw(40, 6) * 4, draw(3, 6, seed=1) * scale, draw(40, 3).abs()
    judged = Judged(torch.arange(40), torch.arange(40), labels, logits, activations, 1.7)
    low, high = torch.full((3,), -2.0), torch.full((3,), 2.0)
    steps = draw(40, 3, seed=2).clamp(-2, 2)

    exact = exact_changes(judged, directions, steps)
    curves = series(judged, directions, activations.float(), low, high)

    for u in range(3):
        moved = (logits + steps[:, u : u + 1] * directions[u]) / 1.7
        right = F.cross_entropy(moved, labels, reduction="none") - F.cross_entropy(
            logits / 1.7, labels, reduction="none"
        )
        torch.testing.assert_close(exact[:, u], right, rtol=1e-9, atol=1e-9)
    held = curves.holds(activations + steps)
    gap = (curves.at(activations + steps) - exact).abs()[held]
    assert float(gap.max()) < 1e-4
    assert bool(held.all()) == (scale < 10)


def test_series_slopes_are_derivatives() -> None:
    """By central differences of the exact changes."""
    labels = torch.arange(40) % 6
    logits, directions, activations = draw(40, 6) * 4, draw(3, 6, seed=1), draw(40, 3).abs()
    judged = Judged(torch.arange(40), torch.arange(40), labels, logits, activations, 1.7)
    steps = draw(40, 3, seed=2).clamp(-1.9, 1.9)
    curves = series(
        judged, directions, activations.float(), torch.full((3,), -2.0), torch.full((3,), 2.0)
    )

    _, slopes = curves.with_slopes(activations + steps)

    up, down = (exact_changes(judged, directions, steps + h) for h in (1e-5, -1e-5))
    torch.testing.assert_close(slopes, (up - down) / 2e-5, rtol=1e-3, atol=1e-4)


def test_small_changes_keep_their_digits() -> None:
    """A step of 1e-9 changes the loss by its derivative times 1e-9, not by rounding."""
    labels = torch.arange(10) % 4
    logits, directions = draw(10, 4) * 3, draw(2, 4, seed=1)
    judged = Judged(torch.arange(10), torch.arange(10), labels, logits, torch.zeros(10, 2), 1.0)

    tiny = exact_changes(judged, directions, torch.full((10, 2), 1e-9, dtype=torch.float64))

    p = torch.softmax(logits, 1)
    slope = p @ directions.T - directions[:, labels].T
    torch.testing.assert_close(tiny / 1e-9, slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0, 1000.0])
def test_tables_equal_exact_changes(scale: float) -> None:
    """Values and slopes for head weights of any scale, of all units or some."""
    labels = torch.arange(40) % 6
    logits, directions, activations = draw(40, 6) * 4, draw(3, 6, seed=1) * scale, draw(40, 3).abs()
    judged = Judged(torch.arange(40), torch.arange(40), labels, logits, activations, 1.7)
    steps = draw(40, 3, seed=2) * 3 / scale

    table = head_table(judged, directions)
    values, slopes = table.with_slopes(activations.float() + steps)

    origin = activations.float().double()
    held = table.holds(activations.float() + steps)
    exact = exact_changes(judged, directions, origin + steps - origin)
    h = 1e-5 / scale
    up, down = (exact_changes(judged, directions, steps + change) for change in (h, -h))
    assert bool(held.all()) or scale < 1
    assert float((values - exact).abs()[held].max()) < 2e-4
    torch.testing.assert_close(slopes, (up - down) / (2 * h), rtol=1e-2, atol=2e-3 * scale)
    assert torch.equal(table.at(activations.float() + steps), values)
    some = torch.tensor([2, 0])
    part = table.of(some).at((activations.float() + steps)[:, some])
    assert torch.equal(part, values[:, some])


def test_tables_hold_up_to_their_reach_and_then_go_straight() -> None:
    """Beyond, a value follows from the slope at the end; nothing is added at no step."""
    labels = torch.arange(10) % 4
    judged = Judged(
        torch.arange(10), torch.arange(10), labels, draw(10, 4), torch.zeros(10, 2), 1.0
    )
    table = head_table(judged, draw(2, 4, seed=1))
    end = table.reach.double().expand(10, 2)

    value, slope = table.with_slopes(end)

    assert torch.equal(table.at(torch.zeros(10, 2)), torch.zeros(10, 2, dtype=torch.float64))
    assert bool(table.holds(end * 0.999).all())
    assert not bool(table.holds(end * 1.001).any())
    torch.testing.assert_close(table.at(end * 2), value + slope * end, rtol=1e-5, atol=1e-4)


def test_a_table_is_made_for_few_classes_alone() -> None:
    """Of many classes, or for many images, polynomials take less time and memory."""
    labels = torch.arange(40) % 30
    judged = Judged(
        torch.arange(40), torch.arange(40), labels, draw(40, 30), torch.zeros(40, 2), 1.0
    )

    assert fits_table(judged, draw(2, 30))
    assert not fits_table(judged, draw(2, 101))
    assert not fits_table(judged, draw(10_000, 30))
