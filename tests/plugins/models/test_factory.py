"""Target models from a Python file and a file of weights."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from le_bench.errors import BenchError, MissingFileError, UnreadableFileError
from le_bench_plugins.models.factory import FactoryModel

CPU = torch.device("cpu")
SOURCE = """
from __future__ import annotations
from dataclasses import dataclass
import torch
from torch import nn

@dataclass
class Shape:
    width: int

class Net(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.conv = nn.Conv2d(3, shape.width, 1)
        self.dropout = nn.Dropout(0.5)
    def forward(self, images):
        return self.dropout(self.conv(images))

def network(width: int = 2) -> nn.Module:
    return Net(Shape(width))

def text():
    return "no module"

def fails():
    raise RuntimeError("on purpose")
"""


@pytest.fixture
def factory(tmp_path: Path) -> Path:
    """A file with a network."""
    path = tmp_path / "networks.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Weights of the network of width 4."""
    path = tmp_path / "weights.safetensors"
    save_file(
        {"conv.weight": torch.arange(12.0).reshape(4, 3, 1, 1), "conv.bias": torch.ones(4)}, path
    )
    return path


def test_model_is_built_loaded_and_ready(factory: Path, checkpoint: Path) -> None:
    """Options reach the function, weights the network, in eval mode with its preprocessing."""
    source = FactoryModel(
        factory,
        "network",
        options={"width": 4},
        checkpoint=checkpoint,
        mean=(128, 128, 128),
        std=(128, 128, 128),
        scale=1,
        resize=8,
        crop=6,
    )

    model = source.load(CPU)

    batch = model.preprocess([np.full((10, 12, 3), 128 + 64, np.uint8)])
    output = model.module(batch)
    assert model.name == "network"
    assert model.device == CPU
    assert not model.module.training
    assert batch.shape == (1, 3, 6, 6)
    assert bool((batch == 0.5).all())
    assert output[0, :, 0, 0].tolist() == [0.5 * 3 + 1, 0.5 * 12 + 1, 0.5 * 21 + 1, 0.5 * 30 + 1]


def test_network_survives_pickling(factory: Path) -> None:
    """Classes of the file can be found again within the process."""
    module = FactoryModel(factory, "network").load(CPU).module

    copy = pickle.loads(pickle.dumps(module))  # noqa: S301  # our own bytes

    assert type(copy) is type(module)


def test_changed_file_gives_the_changed_network(factory: Path) -> None:
    """Neither a module of the same name nor compiled bytecode is taken for the new file."""
    first = FactoryModel(factory, "network").load(CPU).module
    changed = SOURCE.replace("width: int = 2", "width: int = 7")
    factory.write_text(changed)

    second = FactoryModel(factory, "network").load(CPU).module

    assert first.conv.out_channels == 2
    assert second.conv.out_channels == 7
    assert not (factory.parent / "__pycache__").exists()


def test_source_is_hashable_and_picklable(factory: Path) -> None:
    """A table of options does not hinder."""
    source = FactoryModel(factory, "network", options={"width": 4})

    copy = pickle.loads(pickle.dumps(source))  # noqa: S301  # our own bytes

    assert copy == source
    assert hash(copy) == hash(source)
    assert source != FactoryModel(factory, "network", options={"width": 5})


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        ("netwerk", {}, "unknown function 'netwerk'; did you mean 'network'?"),
        ("dataclass", {}, None),
        ("torch", {}, "unknown function 'torch'; there are: Net, Shape, fails, network, text"),
        ("text", {}, "text() gave str; it must return a torch.nn.Module"),
        (
            "fails",
            {},
            "fails() failed with RuntimeError: on purpose; mend the function or the model's "
            "`options`",
        ),
        (
            "network",
            {"depth": 3},
            "network(depth=3) failed with TypeError: network() got an unexpected keyword argument "
            "'depth'; mend the function or the model's `options`",
        ),
    ],
)
def test_unfit_functions_are_named(
    factory: Path, function: str, options: dict[str, int], message: str | None
) -> None:
    """The message names file, call and what went wrong."""
    with pytest.raises(BenchError) as caught:
        FactoryModel(factory, function, options=options).load(CPU)

    assert str(caught.value).startswith(f"{factory}: ")
    assert message is None or str(caught.value) == f"{factory}: {message}"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("def f(:", "SyntaxError: "),
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("\x00", "SyntaxError: "),
    ],
)
def test_file_that_does_not_run_is_named(tmp_path: Path, source: str, error: str) -> None:
    """The reason is in the message and the exception its cause; the next try runs it afresh."""
    path = tmp_path / "broken.py"
    path.write_text(source)

    for _ in range(2):
        with pytest.raises(BenchError) as caught:
            FactoryModel(path, "f").load(CPU)
        assert str(caught.value).startswith(f"{path}: running the file failed with {error}")
        assert str(caught.value).endswith("; mend the file")
        assert caught.value.__cause__ is not None


def test_code_that_ends_the_program_is_named(factory: Path, tmp_path: Path) -> None:
    """A script without a guard for its main part is a mistake of its file, and so is a function."""
    script = tmp_path / "script.py"
    script.write_text("import sys\nsys.exit(0)\n")
    factory.write_text(SOURCE + "\ndef leaves():\n    raise SystemExit('enough')\n")

    with pytest.raises(BenchError) as of_file:
        FactoryModel(script, "f").load(CPU)
    with pytest.raises(BenchError) as of_function:
        FactoryModel(factory, "leaves").load(CPU)

    assert str(of_file.value) == (
        f"{script}: running the file ended the program (SystemExit: 0); mend the file"
    )
    assert str(of_function.value) == (
        f"{factory}: leaves() ended the program (SystemExit: enough); mend the function or the "
        "model's `options`"
    )


def test_missing_files_are_named(factory: Path, tmp_path: Path) -> None:
    """Wrong paths are reported as such."""
    gone = tmp_path / "gone.pt"

    with pytest.raises(MissingFileError) as of_factory:
        FactoryModel(gone, "network").load(CPU)
    with pytest.raises(MissingFileError) as of_checkpoint:
        FactoryModel(factory, "network", checkpoint=gone).load(CPU)

    assert str(of_factory.value) == f"{gone}: no such file; check the path"
    assert str(of_checkpoint.value) == f"{gone}: no such file; check the path"


def test_weights_of_another_network_are_refused(factory: Path, checkpoint: Path) -> None:
    """Loading is strict, with every unfit tensor in one message."""
    with pytest.raises(UnreadableFileError) as caught:
        FactoryModel(factory, "network", checkpoint=checkpoint).load(CPU)

    assert str(caught.value) == (
        f"{checkpoint}: these are not the weights of this Net: 2 of another shape (conv.bias (4,) "
        "for (2,), conv.weight (4, 3, 1, 1) for (2, 3, 1, 1)); check the network's options or "
        "give another file"
    )


def test_senseless_preprocessing_is_refused_at_once(factory: Path) -> None:
    """Options of the preprocessing are checked when they are given."""
    with pytest.raises(ValueError, match="scale is 0; it must be above 0"):
        FactoryModel(factory, "network", scale=0)


def test_device_is_obeyed(factory: Path) -> None:
    """The network is put where the core says."""
    model = FactoryModel(factory, "network").load(torch.device("meta"))

    assert next(model.module.parameters()).device.type == "meta"
    assert isinstance(model.module, nn.Module)
