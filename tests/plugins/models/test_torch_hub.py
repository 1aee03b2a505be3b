"""Repositories with a hubconf.py: consent, content, and no traces."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from le_bench.errors import BenchError
from le_bench.fingerprint import path_digest
from le_bench_plugins.models.torch_hub import TorchHubModel

CPU = torch.device("cpu")
HUBCONF = """
dependencies = ["torch"]
from parts import Net

def network(width=2, pretrained=True):
    if pretrained:
        raise OSError("no network")
    return Net(width)

def text():
    return "no module"

def leaves():
    raise SystemExit(2)
"""
PARTS = """
from torch import nn

class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 1)
    def forward(self, images):
        return self.conv(images)
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of two files."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "hubconf.py").write_text(HUBCONF)
    (folder / "parts.py").write_text(PARTS)
    return folder


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Weights of the network of width 4."""
    path = tmp_path / "weights.safetensors"
    save_file({"conv.weight": torch.ones(4, 3, 1, 1), "conv.bias": torch.arange(4.0)}, path)
    return path


def source(repository: Path, checkpoint: Path, **options: object) -> TorchHubModel:
    """The network of width 4, with consent."""
    given: dict[str, object] = {
        "entry": "network",
        "options": {"width": 4, "pretrained": False},
        "trust_remote_code": True,
    }
    return TorchHubModel(repository, checkpoint=checkpoint, **(given | options))  # type: ignore[arg-type]


def test_code_is_not_run_without_consent(repository: Path, checkpoint: Path) -> None:
    """The experiment is refused when it is read, with what to do."""
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # the whole message is compared
        source(repository, checkpoint, trust_remote_code=False)

    assert str(raised.value) == (
        f"the code in {repository} would be run; read it, then give `trust_remote_code = true`"
    )


def test_network_is_built_with_the_weights_of_the_file(repository: Path, checkpoint: Path) -> None:
    """Options reach the entry, weights the network, in eval mode with its preprocessing."""
    model = source(repository, checkpoint, mean=(0.5, 0.5, 0.5)).load(CPU)

    output = model.module(model.preprocess([np.full((2, 2, 3), 255, np.uint8)]))
    assert not model.module.training
    assert output[0, :, 0, 0].tolist() == [1.5, 2.5, 3.5, 4.5]


def test_loading_leaves_neither_bytecode_nor_modules(repository: Path, checkpoint: Path) -> None:
    """The folder keeps its digest, and a changed module is read anew."""
    before = path_digest(repository)
    first = source(repository, checkpoint).skeleton()
    after = path_digest(repository)
    (repository / "parts.py").write_text(PARTS.replace("3, width, 1", "3, width, 3"))

    second = source(repository, checkpoint).skeleton()

    assert after == before
    assert "parts" not in sys.modules
    assert first.module.conv.kernel_size == (1, 1)
    assert second.module.conv.kernel_size == (3, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"entry": "netwrk"},
            "netwrk failed with RuntimeError: Cannot find callable netwrk in hubconf; check the "
            "repository or the model's `options`",
        ),
        (
            {"entry": "text", "options": {}},
            "text gave str; it must return a torch.nn.Module",
        ),
        (
            {"entry": "leaves", "options": {}},
            "leaves ended the program (SystemExit: 2); check the repository or the model's "
            "`options`",
        ),
        (
            {"options": {"width": 4}},
            "network failed with OSError: no network; check the repository or the model's "
            "`options`",
        ),
    ],
)
def test_faults_of_the_repository_are_told(
    repository: Path, checkpoint: Path, options: dict[str, object], message: str
) -> None:
    """Each with the folder and what to do."""
    with pytest.raises(BenchError) as raised:
        source(repository, checkpoint, **options).load(CPU)

    assert str(raised.value) == f"{repository}: {message}"
