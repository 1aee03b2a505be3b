"""Batched Pearson correlation against scipy, and its laws."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr
from torch import Tensor

from le_bench.formulas.correlation import constant_columns, finite_columns, pearson


def draw(seed: int, images: int = 40, units: int = 6) -> tuple[Tensor, Tensor]:
    """Two related blocks of columns."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(images, units, generator=generator)
    return x, 0.5 * x + torch.randn(images, units, generator=generator)


def scipy_pearson(x: Tensor, y: Tensor) -> list[float]:
    """The oracle, column by column."""
    columns = zip(x.double().T.numpy(), y.double().T.numpy(), strict=True)
    return [float(pearsonr(a, b).statistic) for a, b in columns]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_pearson_equals_scipy(dtype: torch.dtype) -> None:
    """Every type of input is correlated in float64."""
    x, y = (block.to(dtype) for block in draw(0))

    result = pearson(x, y)

    assert result.dtype == torch.float64
    assert result.tolist() == pytest.approx(scipy_pearson(x, y), abs=1e-14)


def test_large_offset_costs_no_precision() -> None:
    """Activations around 1e6 give what the very same float32 numbers give in scipy."""
    x, y = draw(1)
    shifted = x + 1e6

    result = pearson(shifted, y)

    assert result.tolist() == pytest.approx(scipy_pearson(shifted, y), abs=1e-10)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_extreme_scales_neither_vanish_nor_overflow(scale: float) -> None:
    """Tiny and huge float32 columns have the correlation of ordinary ones."""
    x, y = draw(2)

    result = pearson(x * scale, y)

    assert torch.allclose(result, pearson(x, y), atol=1e-6)


def test_ties_are_plain_values() -> None:
    """Rectified columns, mostly zeros, equal scipy."""
    x, y = draw(3)
    x, y = x.relu(), (y > 0.5).float()

    result = pearson(x, y)

    assert result.tolist() == pytest.approx(scipy_pearson(x, y), abs=1e-14)


def test_two_images_give_one_or_minus_one() -> None:
    """Two points always lie on a line."""
    x = torch.tensor([[1.0, 1.0], [2.0, 2.0]])
    y = torch.tensor([[0.0, 5.0], [3.0, 4.0]])

    result = pearson(x, y)

    assert result.tolist() == pytest.approx([1.0, -1.0])


@pytest.mark.parametrize("images", [0, 1])
def test_fewer_than_two_images_are_undefined(images: int) -> None:
    """One image has no correlation."""
    result = pearson(torch.ones(images, 3), torch.ones(images, 3))

    assert result.isnan().tolist() == [True] * 3


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    scale=st.floats(1e-3, 1e3),
    offset=st.floats(-100, 100),
)
def test_scale_and_offset_do_not_matter_and_the_mirror_turns_the_sign(
    seed: int, scale: float, offset: float
) -> None:
    """Unchanged by x -> scale * x + offset; -1 for the mirror image, 1 for itself."""
    x, y = draw(seed)
    changed = x.double() * scale + offset

    assert torch.allclose(pearson(changed, y.double()), pearson(x, y), atol=1e-9)
    assert torch.allclose(pearson(x, -x), torch.tensor(-1.0, dtype=torch.float64))
    assert torch.allclose(pearson(x, x), torch.tensor(1.0, dtype=torch.float64))
    assert bool((pearson(x, x) <= 1).all())
    assert torch.equal(pearson(x, y), pearson(y, x))


def test_units_together_or_alone_are_the_same() -> None:
    """Each column's number does not depend on the others, and inputs stay as they are."""
    x, y = draw(4)
    before = x.clone(), y.clone()

    together = pearson(x, y)
    alone = torch.cat([pearson(x[:, [u]], y[:, [u]]) for u in range(6)])

    assert torch.allclose(together, alone, atol=1e-15)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


def test_undefined_columns_do_not_reach_others() -> None:
    """Constant, NaN and infinite columns on either side are NaN, the rest stays."""
    x, y = draw(5)
    expected = pearson(x, y)
    x[:, 0], x[2, 1], y[:, 2], y[1, 3] = 7.0, float("nan"), -1.0, float("inf")

    result = pearson(x, y)

    assert result.isnan().tolist() == [True, True, True, True, False, False]
    assert torch.equal(result[4:], expected[4:])


@pytest.mark.parametrize("level", [0.0, 0.3, -1e6, 1e30])
def test_rounding_noise_counts_as_constant(level: float) -> None:
    """A float32 column that wavers by one unit in the last place is constant, one by 1e-5 not."""
    noisy = torch.full((10, 1), level)
    noisy[::2] = torch.nextafter(noisy[::2], torch.tensor(float("inf"))) if level else 0.0
    varied = torch.full((10, 1), level)
    varied[0] = level + (abs(level) * 1e-5 or 1e-30)

    assert constant_columns(noisy).tolist() == [True]
    assert constant_columns(varied).tolist() == [False]


def test_constancy_knows_the_precision_of_its_input() -> None:
    """The threshold is relative to the type: 1 and 1.001 differ in float32, hardly in float16."""
    column = torch.tensor([[1.0], [1.001]])

    assert constant_columns(column).tolist() == [False]
    assert constant_columns(column.half()).tolist() == [True]
    assert constant_columns(torch.tensor([[1], [2]])).tolist() == [False]


def test_nan_and_infinity_are_not_constant_but_not_finite() -> None:
    """The reasons for an undefined score stay apart."""
    column = torch.tensor([[float("nan"), float("inf")], [1.0, float("inf")]])

    assert constant_columns(column).tolist() == [False, False]
    assert finite_columns(column).tolist() == [False, False]
