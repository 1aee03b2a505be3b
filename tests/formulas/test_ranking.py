"""Formulas over the order of images, against scikit-learn, with ties."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from le_bench.formulas.ranking import (
    area_under_roc,
    average_precision,
    average_ranks,
)


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=30))
def test_ranking_formulas_equal_scikit_learn(rows: list[tuple[int, bool]]) -> None:
    """Ranks, area and average precision of any pattern of ties; NaN where there is no truth."""
    values = torch.tensor([float(value) for value, _ in rows]).unsqueeze(1)
    truth = torch.tensor([label for _, label in rows]).unsqueeze(1)

    ranks = average_ranks(values)
    area, precision = area_under_roc(values, truth), average_precision(values, truth)

    assert ranks.flatten().tolist() == stats.rankdata([value for value, _ in rows]).tolist()
    labels, scores = truth.flatten().numpy(), values.flatten().numpy()
    if labels.any():
        expected = metrics.average_precision_score(labels, scores)
        assert float(precision) == pytest.approx(expected, abs=1e-12)
    else:
        assert precision.isnan().all()
    if labels.any() and not labels.all():
        assert float(area) == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-12)
    else:
        assert area.isnan().all()


def test_area_is_exact_for_many_images() -> None:
    """Rank sums beyond 2^24 lose nothing: half a million images, half of them true."""
    scores = torch.arange(500_000.0).unsqueeze(1)
    truth = (scores >= 250_000) ^ (scores == 0)

    area = float(area_under_roc(scores, truth))

    assert area == pytest.approx(1 - 1 / 250_001, abs=1e-12)
