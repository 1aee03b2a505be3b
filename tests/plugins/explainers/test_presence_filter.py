"""The concept filter against its definition in numpy."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from le_bench_plugins.explainers.linear.presence_filter import occurring_concepts


@settings(deadline=None)
@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(2, 12), st.integers(0, 6)),
        elements=st.sampled_from([0.0, 0.1, 0.45, 0.5, 0.55, 0.9, 1.0]),
    )
)
def test_filter_is_mean_of_five_largest_and_deviation(presence: np.ndarray) -> None:
    """A concept stays if the mean of its 5 largest is at least 0.5 and its deviation is not 0."""
    kept = occurring_concepts(torch.tensor(presence)).tolist()

    slow = []
    for c in range(presence.shape[1]):
        column = np.sort(presence[:, c].astype(np.float64))[::-1]
        if column[:5].mean() >= 0.5 and column.std(ddof=1) >= 1e-5:
            slow.append(c)
    assert kept == slow


def test_labels_need_three_images() -> None:
    """A class with 2 images does not occur, one with 3 does, one in every image does not."""
    labels = torch.zeros(10, 3)
    labels[:2, 0] = 1
    labels[:3, 1] = 1
    labels[:, 2] = 1

    assert occurring_concepts(labels).tolist() == [1]


def test_one_image_has_no_occurring_concept() -> None:
    """A single image has no deviation, and none at all nothing."""
    assert occurring_concepts(torch.ones(1, 3)).tolist() == []
    assert occurring_concepts(torch.ones(0, 3)).tolist() == []


def test_half_precision_presence() -> None:
    """Presence kept as float16 is filtered like its float32 values."""
    presence = torch.rand(20, 8, generator=torch.Generator().manual_seed(0)).half() * 0.6

    assert torch.equal(occurring_concepts(presence), occurring_concepts(presence.float()))
