"""Upper quantiles in bounded memory: exact where promised, within their bound on any values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from le_bench.errors import BenchError
from le_bench_plugins.explainers.positions.quantiles import UpperQuantiles, num_above

SMALL = 4 * 3 * 400  # bytes for 400 values of each of three units
NUM_VALUES = 20_000


def random_numbers(seed: int = 0) -> Tensor:
    return torch.randn(3, NUM_VALUES, generator=torch.Generator().manual_seed(seed))


def mostly_zeros() -> Tensor:
    return random_numbers().clamp_min(2.0) - 2.0


def by_class() -> Tensor:
    """All high values in one stretch, as if images came sorted by class."""
    values = random_numbers()
    values[:, 7000:7300] += 50
    return values


def spread(low: float, high: float) -> Tensor:
    """Values of all magnitudes."""
    return torch.exp(torch.linspace(np.log(low), np.log(high), NUM_VALUES)).expand(3, -1).clone()


ADVERSARIES: dict[str, Callable[[], Tensor]] = {
    "normal": random_numbers,
    "ascending": lambda: random_numbers().sort(1).values,
    "descending": lambda: random_numbers().sort(1, descending=True).values,
    "all ties": lambda: torch.full((3, NUM_VALUES), 3.7),
    "two values": (random_numbers() > 2.5).float,
    "threshold in a plateau": lambda: random_numbers().clamp_max(1.0),
    "mostly zeros": mostly_zeros,
    "negative": lambda: -random_numbers().abs() - 1,
    "by class": by_class,
    "heavy tail": lambda: random_numbers().div(random_numbers(1)),
    "alternating ends": lambda: (
        random_numbers().sort(1).values[:, torch.arange(NUM_VALUES).reshape(2, -1).T.flatten()]
    ),
    "denormals": lambda: spread(1e-44, 1e-39),
    "extremes": lambda: spread(1e-38, 3.4e38),
    "infinities": lambda: random_numbers().masked_fill(random_numbers(1) > 2.2, torch.inf),
    "minus infinities": lambda: random_numbers().masked_fill(random_numbers(1) > 0, -torch.inf),
}
every_adversary = pytest.mark.parametrize("name", ADVERSARIES)


def sketch(values: Tensor, share: float, memory: int, block: int = 777) -> UpperQuantiles:
    """Quantiles fed in blocks."""
    quantiles = UpperQuantiles(len(values), values.shape[1], share, memory)
    for part in values.split(block, dim=1):
        quantiles.add(part)
    return quantiles


def oracle(values: Tensor, share: float) -> np.ndarray:
    """The sorted values, and the one with so many before it."""
    ordered = -np.sort(-values.numpy(), axis=1)
    return ordered[:, num_above(share, values.shape[1])]


@every_adversary
@pytest.mark.parametrize("share", [0.005, 0.01, 0.0001])
def test_exact_where_the_top_fits(name: str, share: float) -> None:
    """With room for the top values the quantile is that of numpy, bit for bit."""
    values = ADVERSARIES[name]()

    quantiles = sketch(values, 0.01, memory=2**20)

    assert quantiles.rank_error == 0
    np.testing.assert_array_equal(quantiles.quantile(share).numpy(), oracle(values, share))


@every_adversary
@pytest.mark.parametrize("share", [0.005, 0.05])
@pytest.mark.parametrize("memory", [SMALL, 3 * SMALL])
def test_rank_error_holds_for_any_values_in_any_order(name: str, share: float, memory: int) -> None:
    """Where the top does not fit, ranks are off by no more than is said."""
    values = ADVERSARIES[name]()

    quantiles = sketch(values, 0.05, memory)

    assert quantiles.rank_error > 0
    found = quantiles.quantile(share)[:, None]
    allowed = num_above(share, NUM_VALUES)
    assert int((values > found).sum(1).max()) <= allowed + quantiles.rank_error
    assert int((values >= found).sum(1).min()) >= allowed + 1 - quantiles.rank_error
    assert bool((values == found).any(1).all())  # a value that occurs


@given(
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=200),
    st.sampled_from([0.001, 0.005, 0.01, 0.1, 0.3, 0.5, 0.999]),
    st.integers(1, 50),
)
@settings(max_examples=200, deadline=None)
def test_agrees_with_numpy(numbers: list[float], share: float, block: int) -> None:
    """The quantile is numpy's `inverted_cdf`, for a share written as a decimal."""
    values = torch.tensor([numbers], dtype=torch.float32)

    found = sketch(values, share, memory=2**20, block=block).quantile(share)

    assert found.item() == oracle(values, share).item()


@given(st.integers(0, 10_000), st.integers(20, 400), st.sampled_from([0.05, 0.2]))
@settings(max_examples=100, deadline=None)
def test_rank_error_holds_for_random_orders(seed: int, room: int, share: float) -> None:
    """Also with ties, in little room."""
    random = torch.Generator().manual_seed(seed)
    values = torch.randn(2, 3000, generator=random).mul(20).round()

    quantiles = sketch(values, share, 4 * 2 * room, block=97)

    found = quantiles.quantile(share)[:, None]
    allowed = num_above(share, 3000)
    assert int((values > found).sum(1).max()) <= allowed + quantiles.rank_error
    assert int((values >= found).sum(1).min()) >= allowed + 1 - quantiles.rank_error


def test_blocks_and_company_do_not_matter() -> None:
    """Any blocks, and units together or alone in the same room, give the same quantile."""
    values = by_class()

    together = sketch(values, 0.05, SMALL).quantile(0.05)

    assert torch.equal(together, sketch(values, 0.05, SMALL, block=NUM_VALUES).quantile(0.05))
    alone = [sketch(values[[unit]], 0.05, SMALL // 3).quantile(0.05) for unit in range(3)]
    assert torch.equal(together, torch.cat(alone))


def test_a_unit_with_a_nan_has_no_quantile() -> None:
    """One NaN spoils its own unit alone, whether or not values are thinned."""
    values = random_numbers()
    values[1, 5] = torch.nan

    for memory in (2**20, SMALL):
        found = sketch(values, 0.05, memory).quantile(0.05)

        assert found.isnan().tolist() == [False, True, False]


def test_memory_is_kept_to() -> None:
    """What is held for the units takes no more than was given."""
    for memory in (SMALL, 10 * SMALL, 2**20):
        quantiles = UpperQuantiles(3, 10**6, 0.01, memory)

        assert quantiles._kept.nbytes + quantiles._waiting.nbytes <= memory


def test_a_layer_of_a_large_network_is_nearly_exact() -> None:
    """ResNet-50 on Broden (63,305 images), in the default 512 MiB."""
    positions = {"layer4": (2048, 49), "layer3": (1024, 196), "layer1": (256, 3136)}

    relative = {}
    for layer, (units, places) in positions.items():
        quantiles = UpperQuantiles(units, 63_305 * places, 0.01, device=torch.device("meta"))
        relative[layer] = quantiles.rank_error / quantiles.num_values

    assert relative["layer4"] == 0
    assert relative["layer3"] < 2e-5
    assert relative["layer1"] < 2e-5


def test_misuse_is_refused() -> None:
    """Too few or too many values, a larger share, no room at all."""
    quantiles = UpperQuantiles(1, 10, 0.1)
    quantiles.add(torch.zeros(1, 9))

    with pytest.raises(ValueError, match="9 of 10 values came"):
        quantiles.quantile(0.1)
    with pytest.raises(ValueError, match="more than 10 values a unit came"):
        quantiles.add(torch.zeros(1, 2))
    with pytest.raises(ValueError, match="share is 0; it must lie between 0 and 1"):
        UpperQuantiles(1, 10, 0)
    whole = UpperQuantiles(1, 10, 0.1)
    whole.add(torch.zeros(1, 10))
    with pytest.raises(ValueError, match=r"share 0.5 lies above 0.1"):
        whole.quantile(0.5)
    with pytest.raises(BenchError, match=r"400 bytes cannot hold the top 0.01 of 1000000 values"):
        UpperQuantiles(1, 10**6, 0.01, memory=400)
