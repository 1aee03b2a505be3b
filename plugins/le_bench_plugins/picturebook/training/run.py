"""What every training run shares: threads, schedule, optimiser, and the files it writes."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import timm
import torch
from safetensors.torch import save_file
from timm.layers import Attention, AttentionPoolLatent
from torch import nn


@dataclass(frozen=True, slots=True)
class Recipe:
    """What differs between the shipped models of one kind."""

    seed: int
    num_samples: int
    learning_rate: float


def make_reproducible(seed: int) -> None:
    """Seed torch and restrict it to one thread: sums over threads differ from run to run."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)


def use_plain_attention(model: nn.Module) -> None:
    """Make timm's attention use plain matrix products, here twice as fast as the fused kernel.

    The function computed is the same; the attribute concerns this model object only.
    """
    for module in model.modules():
        if isinstance(module, (Attention, AttentionPoolLatent)):
            module.fused_attn = False


def learning_rate_factor(progress: float, warm_up: float = 0.04) -> float:
    """Return the factor of the peak rate at a progress in [0, 1]: linear up, then half a cosine."""
    if progress < warm_up:
        return progress / warm_up
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warm_up) / (1 - warm_up))))


def make_optimizer(
    parameters: Iterable[tuple[str, nn.Parameter]], learning_rate: float, weight_decay: float
) -> torch.optim.AdamW:
    """Return AdamW that decays matrices only, with four times the rate for the logit's numbers."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in parameters:
        decay = weight_decay if parameter.ndim > 1 else 0.0
        scale = 4.0 if name in {"logit_scale", "logit_bias"} else 1.0
        groups.setdefault((decay, scale), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": members, "weight_decay": decay, "scale": scale}
            for (decay, scale), members in groups.items()
        ],
        lr=learning_rate,
        betas=(0.9, 0.98),
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the rate of every group, times the group's scale."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group["scale"]


def save_weights(model: nn.Module, path: Path) -> int:
    """Write the weights as float16 and return the number of bytes; counters stay integers."""
    state = {
        name: (value.half() if value.is_floating_point() else value).contiguous().clone()
        for name, value in model.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    save_file(state, unfinished)
    # safetensors gives files to their owner alone; installed weights are read by everyone.
    unfinished.chmod(0o644)
    unfinished.replace(path)
    return path.stat().st_size


def count_parameters(model: nn.Module) -> int:
    """Return the number of trained numbers."""
    return sum(parameter.numel() for parameter in model.parameters())


def versions() -> dict[str, str]:
    """Return the versions that a run's numbers depend on."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "timm": timm.__version__,
        "open_clip": open_clip.__version__,
        "numpy": np.__version__,
    }


def write_json(content: Mapping[str, Any] | list[dict[str, Any]], path: Path) -> None:
    """Write indented JSON with a newline at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
