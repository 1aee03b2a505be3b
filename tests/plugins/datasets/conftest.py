"""What the tests of data sets share."""

from __future__ import annotations

from pathlib import Path

import pytest

from .broden_folder import write_broden


@pytest.fixture
def broden(tmp_path: Path) -> Path:
    return write_broden(tmp_path / "broden1_12")
