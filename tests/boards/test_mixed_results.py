"""Results that cannot stand on one board are told apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from le_bench.boards.records import Result
from le_bench.boards.results import (
    mixed_faults,
)

ResultMaker = Callable[..., Result]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"dataset": "cifar"},
            "experiment 'tiny' mixes datasets: cifar and picturebook; delete the files of one "
            "and run `le-bench run` again",
        ),
        (
            {"higher_is_better": False, "layer": "layer2"},
            "experiment 'tiny' mixes directions of scorer 'correlation': higher is better and "
            "lower is better; delete the files of one and run `le-bench run` again",
        ),
        (
            {"layer": "layer2", "reference_row": True},
            "experiment 'tiny' mixes roles of explainer 'le-label': contender and reference row; "
            "delete the files of one and run `le-bench run` again",
        ),
        (
            {"layer": "layer2", "options": {"penalty": 0.1}},
            "experiment 'tiny' mixes configurations of explainer 'le-label': le-label version 1 "
            "(no options) and le-label version 1 (penalty=0.1); delete the files of one and run "
            "`le-bench run` again",
        ),
    ],
)
def test_results_that_do_not_go_together_are_told(
    result_of: ResultMaker, changes: dict[str, Any], told: str
) -> None:
    """One experiment has one dataset, one way to rank, and one meaning of each name."""
    results = [result_of([0.1, 0.2]), result_of([0.1, 0.2], **changes)]

    assert mixed_faults(results) == [told]


def test_layers_of_one_size_only(result_of: ResultMaker) -> None:
    """Results over different units of one layer are not compared."""
    results = [result_of([0.1, 0.2]), result_of([0.1], explainer="random")]

    assert mixed_faults(results) == [
        "experiment 'tiny' mixes sizes of cnn, layer1: 1 units and 2 units; delete the files of "
        "one and run `le-bench run` again"
    ]


def test_experiments_do_not_mix(tiny: list[Result], result_of: ResultMaker) -> None:
    """The same names may mean something else in another experiment."""
    other = result_of([0.1], experiment="other", dataset="cifar", options={"penalty": 1.0})

    assert mixed_faults([*tiny, other]) == []
