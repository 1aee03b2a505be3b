"""Messages about names."""

from __future__ import annotations

import pytest

from le_bench.errors import unknown_name


@pytest.mark.parametrize(
    ("known", "listed"),
    [
        ([], "none"),
        (["b", "a"], "a, b"),
        ([f"{n:02}" for n in range(20)], ", ".join(f"{n:02}" for n in range(20))),
        (
            [f"{n:04}" for n in range(1371)],
            ", ".join(f"{n:04}" for n in range(20)) + " and 1351 more",
        ),
    ],
)
def test_names_that_there_are_fit_a_message(known: list[str], listed: str) -> None:
    """Of many names the first stand for all."""
    assert unknown_name("model", "x:y", known) == f"unknown model 'x:y'; there are: {listed}"
