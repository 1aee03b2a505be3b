"""Choosing the device that networks run on."""

from __future__ import annotations

import torch

from le_bench.errors import BenchError


def choose_device(name: str) -> torch.device:
    """The device for `auto`, `cpu`, `cuda`, `cuda:1` or `mps`. Raises BenchError if unusable."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise BenchError(
            f"--device {name}: not usable here ({reason}); give auto, cpu, cuda, cuda:N or mps"
        ) from error
    return device


def computing_device(networks: torch.device) -> torch.device:
    """The device for numerical work beside networks on this one: MPS has no float64, so the CPU."""
    return torch.device("cpu") if networks.type == "mps" else networks
