"""What the tests of MILAN share."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> type[dict[str, Any]]:
    """A dictionary class with state, in a module named like the one of spaCy's configuration."""
    module = ModuleType("thinc.config")

    class Config(dict[str, Any]):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.is_interpolated = True

    Config.__module__, Config.__qualname__ = "thinc.config", "Config"
    module.Config = Config  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "thinc", ModuleType("thinc"))
    monkeypatch.setitem(sys.modules, "thinc.config", module)
    return Config
