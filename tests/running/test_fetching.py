"""Fetching where no server answers."""

from __future__ import annotations

import logging
from pathlib import Path

import huggingface_hub.constants
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from le_bench.networks import hosted
from le_bench.networks.hosted import HubFile, missing_weights
from tests.conftest import Bench

REASON = "no connection"
MODELS = """
[[models]]
use = "timm:{name}"
layers = ["layer1"]
"""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The files that are asked for, in vain, as Hugging Face's library does it without network."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    files: list[str] = []

    def ask(repository: str, name: str, **_options: object) -> None:
        files.append(f"{repository}/{name}")
        logging.getLogger("huggingface_hub.utils").warning("Retrying in 1s")
        raise LocalEntryNotFoundError(REASON)

    monkeypatch.setattr(hosted, "hf_hub_download", ask)
    return files


def test_no_second_file_is_asked_for(
    bench: Bench,
    asked: list[str],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One attempt and one message a file; the library's warnings of each attempt are not shown."""
    names = ["resnet18.a1_in1k", "resnet34.a1_in1k"]
    rows = "".join(MODELS.format(name=name) for name in names)
    bench.edit(lambda text: text.replace("[[simulators]]", f"{rows}\n[[simulators]]", 1))

    code = bench.run()

    first, second = (missing_weights(f"timm {name}", HubFile(f"timm/{name}")) for name in names)
    assert code == 6
    assert capsys.readouterr().err == (
        "error: nothing was run:\n"
        f"  - {first} (the download failed: {REASON})\n"
        f"  - {second} (not tried, since no server answered before)\n"
    )
    assert asked == ["timm/resnet18.a1_in1k/model.safetensors"]
    assert caplog.messages == []
    assert logging.getLogger("huggingface_hub").getEffectiveLevel() == logging.WARNING
