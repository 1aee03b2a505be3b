"""Weights and tensors from files, without running any code that a file may hold."""

from __future__ import annotations

import re
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from le_bench.errors import MissingFileError, UnreadableFileError

LOAD_FAILURES = (
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    struct.error,
    TypeError,
    AttributeError,
    EOFError,
    AssertionError,
    UnpicklingError,
    zipfile.BadZipFile,
    SafetensorError,
)
WRAPPERS = ("state_dict", "model", "model_state_dict", "net")
PARALLEL_PREFIX = "module."
LISTED = 5
SAVE_TENSORS = "save the model's state_dict() with torch.save or safetensors"
REFUSED = re.compile(r"GLOBAL ([\w.]+)")  # how torch names what it does not unpickle


def read_torch_file(path: Path, advice: str = SAVE_TENSORS) -> Any:
    """What `torch.save` wrote, tensors and plain containers only, on the CPU.

    A file that holds any other Python object is refused, since reading it could run its code; the
    message names the object and ends in `advice`. Raises MissingFileError or UnreadableFileError.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; check the path")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except LOAD_FAILURES as error:
        raise UnreadableFileError(
            f"{path}: this is no file of tensors alone ({_reason(error)}); {advice}"
        ) from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """Named tensors of a `.safetensors` file or of a state dict saved by `torch.save`.

    A state dict may lie under one of the keys `state_dict`, `model`, `model_state_dict` or `net`,
    and all its names may begin with `module.`, as nn.DataParallel writes them; both are undone.
    Raises MissingFileError or UnreadableFileError.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    content = read_torch_file(path)
    if isinstance(content, Mapping):
        for wrapper in WRAPPERS:
            if isinstance(content.get(wrapper), Mapping):
                content = content[wrapper]
                break
    named = isinstance(content, Mapping) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    )
    if not named or not content:
        raise UnreadableFileError(
            f"{path}: this file holds no state dict (tensors by name); {SAVE_TENSORS}"
        )
    if all(name.startswith(PARALLEL_PREFIX) for name in content):
        return {name.removeprefix(PARALLEL_PREFIX): value for name, value in content.items()}
    return dict(content)


def load_weights(module: nn.Module, path: Path) -> None:
    """Put the weights of a file into a module, which must have exactly these names and shapes.

    Numbers are converted to the module's types, so half-precision files fill float32 modules.
    Raises UnreadableFileError with every missing, unexpected and misshapen tensor in one message.
    """
    weights = read_weights(path)
    own = module.state_dict()
    misshapen = {
        name: f"{name} {tuple(value.shape)} for {tuple(own[name].shape)}"
        for name, value in weights.items()
        if name in own and own[name].shape != value.shape
    }
    fitting = {name: value for name, value in weights.items() if name not in misshapen}
    unmatched = module.load_state_dict(_versioned(fitting, own), strict=False)
    found = {
        "missing": [name for name in unmatched.missing_keys if name not in misshapen],
        "unexpected": list(unmatched.unexpected_keys),
        "of another shape": list(misshapen.values()),
    }
    faults = [_listed(what, names) for what, names in found.items() if names]
    if faults:
        raise UnreadableFileError(
            f"{path}: these are not the weights of this {type(module).__name__}: "
            f"{'; '.join(faults)}; check the network's options or give another file"
        )


def _versioned(weights: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights with the network's own version, which MNASNet asks of a state dict.

    Its parts get none: batch norms then do without `num_batches_tracked`, as older files need.
    """
    versioned = OrderedDict(weights)
    versions = getattr(own, "_metadata", {})
    versioned._metadata = {"": versions.get("", {})}  # type: ignore[attr-defined]  # as torch does
    return versioned


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; check the path")
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise UnreadableFileError(
            f"{path}: this is no safetensors file ({_first_line(error)}); fetch or save it again"
        ) from error


def _listed(what: str, names: list[str]) -> str:
    """`3 missing (a, b, c)`, with the first few names only."""
    rest = f", and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{len(names)} {what} ({', '.join(names[:LISTED])}{rest})"


def _reason(error: Exception) -> str:
    """What is wrong with a file; torch's own words on pickles advise to trust them."""
    if not isinstance(error, UnpicklingError):
        return _first_line(error)
    refused = REFUSED.search(str(error))
    return f"it holds {refused[1]}" if refused else "damaged, or written by another program"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
