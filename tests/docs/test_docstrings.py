"""Examples in docstrings give what they show."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def modules_with_examples() -> list[str]:
    """Every module of the package and its plugins with a `>>>`."""
    found = []
    for folder in (ROOT, ROOT / "plugins"):
        for package in ("le_bench", "le_bench_plugins"):
            for path in sorted((folder / package).rglob("*.py")):
                if ">>> " in path.read_text():
                    found.append(".".join(path.relative_to(folder).with_suffix("").parts))
    return found


@pytest.mark.parametrize("module", modules_with_examples())
def test_examples_give_what_they_show(module: str) -> None:
    """At least one example a module, and none that differs."""
    outcome = doctest.testmod(importlib.import_module(module))

    assert outcome.attempted > 0
    assert outcome.failed == 0
