"""Reading weights without running code, and refusing what does not fit."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from le_bench.errors import MissingFileError, UnreadableFileError
from le_bench.networks.weights import load_weights, read_torch_file, read_weights


def make_network(seed: int = 0, width: int = 3) -> nn.Sequential:
    """A network with batch normalisation, whose counter older files lack."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))


def assert_same_weights(module: nn.Module, other: nn.Module) -> None:
    """All parameters and buffers are equal."""
    own = module.state_dict()
    assert all(torch.equal(own[name], value) for name, value in other.state_dict().items())


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt", "weights.pth"])
def test_weights_survive_a_file(tmp_path: Path, name: str) -> None:
    """A saved state dict fills another network of the same shape."""
    source, target = make_network(0), make_network(1)
    path = tmp_path / name
    (save_file if name.endswith(".safetensors") else torch.save)(source.state_dict(), path)

    load_weights(target, path)

    assert_same_weights(target, source)


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict", "net"])
def test_training_checkpoints_are_unwrapped(tmp_path: Path, wrapper: str) -> None:
    """A state dict inside a checkpoint, saved from nn.DataParallel, is found."""
    source, target = make_network(0), make_network(1)
    state = {f"module.{name}": value for name, value in source.state_dict().items()}
    torch.save({wrapper: state, "epoch": 3}, tmp_path / "last.pt")

    load_weights(target, tmp_path / "last.pt")

    assert_same_weights(target, source)


def test_half_precision_fills_float32(tmp_path: Path) -> None:
    """Weights saved as float16 are converted to the network's own type."""
    source, target = make_network(0), make_network(1)
    state = {name: value.half() for name, value in source.state_dict().items()}
    save_file(state, tmp_path / "half.safetensors")

    load_weights(target, tmp_path / "half.safetensors")

    assert target[0].weight.dtype == torch.float32
    assert torch.equal(target[0].weight, source[0].weight.half().float())


def test_missing_counter_of_batch_normalisation_is_no_fault(tmp_path: Path) -> None:
    """Old files lack num_batches_tracked, which nothing reads in eval mode."""
    source, target = make_network(0), make_network(1)
    state = {n: v for n, v in source.state_dict().items() if not n.endswith("num_batches_tracked")}
    save_file(state, tmp_path / "old.safetensors")

    load_weights(target, tmp_path / "old.safetensors")

    assert torch.equal(target[0].weight, source[0].weight)


def test_every_unfit_tensor_is_listed(tmp_path: Path) -> None:
    """Missing, unexpected and misshapen tensors come in one message."""
    state = make_network(width=4).state_dict()
    state["2.extra"] = state.pop("1.running_mean")
    path = tmp_path / "other.pt"
    torch.save(state, path)

    with pytest.raises(UnreadableFileError) as caught:
        load_weights(make_network(width=3), path)

    assert str(caught.value) == (
        f"{path}: these are not the weights of this Sequential: 1 missing (1.running_mean); "
        "1 unexpected (2.extra); 5 of another shape (0.weight (4, 2) for (3, 2), 0.bias (4,) for "
        "(3,), 1.weight (4,) for (3,), 1.bias (4,) for (3,), 1.running_var (4,) for (3,)); check "
        "the network's options or give another file"
    )


def test_long_lists_are_shortened(tmp_path: Path) -> None:
    """Five names, then a count."""
    path = tmp_path / "many.pt"
    torch.save({f"w{number}": torch.zeros(1) for number in range(9)}, path)

    with pytest.raises(UnreadableFileError, match=r"9 unexpected \(w0, w1, w2, w3, w4, and 4 more"):
        load_weights(nn.ReLU(), path)


class Payload:
    """A pickle that would run a command when read."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("reader", [read_weights, read_torch_file])
def test_code_in_a_file_is_never_run(tmp_path: Path, reader: Callable[[Path], object]) -> None:
    """A malicious file is refused and leaves no trace."""
    canary, path = tmp_path / "canary", tmp_path / "weights.pt"
    torch.save({"w": Payload(canary)}, path)

    with pytest.raises(UnreadableFileError) as caught:
        reader(path)

    assert not canary.exists()
    assert str(caught.value) == (
        f"{path}: this is no file of tensors alone (it holds {os.system.__module__}.system); save "
        "the model's state_dict() with torch.save or safetensors"
    )


def test_damaged_pickles_are_named_in_our_words(tmp_path: Path) -> None:
    """Torch would advise to read the file without its guard."""
    path = tmp_path / "weights.pt"
    path.write_bytes(b"not torch")

    with pytest.raises(UnreadableFileError) as caught:
        read_torch_file(path)

    assert str(caught.value) == (
        f"{path}: this is no file of tensors alone (damaged, or written by another program); save "
        "the model's state_dict() with torch.save or safetensors"
    )


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x02.", b"PK\x03\x04"])
@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_damaged_files_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    """Whatever a file holds, the message names it."""
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(UnreadableFileError, match=f"^{path}: this "):
        read_weights(path)


@pytest.mark.parametrize("content", [{}, [1, 2], {"epoch": 3}, torch.zeros(2), {"w": "text"}])
def test_files_without_a_state_dict_are_named(tmp_path: Path, content: object) -> None:
    """Tensors must come by name."""
    path = tmp_path / "weights.pt"
    torch.save(content, path)

    with pytest.raises(UnreadableFileError) as caught:
        read_weights(path)

    assert str(caught.value) == (
        f"{path}: this file holds no state dict (tensors by name); save the model's state_dict() "
        "with torch.save or safetensors"
    )


@pytest.mark.parametrize("name", ["gone.pt", "gone.safetensors"])
def test_missing_files_are_named(tmp_path: Path, name: str) -> None:
    """A wrong path is reported as such."""
    with pytest.raises(MissingFileError) as caught:
        read_weights(tmp_path / name)

    assert str(caught.value) == f"{tmp_path / name}: no such file; check the path"
