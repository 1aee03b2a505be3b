"""Seeds that depend on the run and the step alone, so that order and process do not matter."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch


def step_seed(seed: int, key: str) -> int:
    """A seed in [0, 2^32) that depends on the run's seed and the step alone."""
    name = f"{seed}:{key}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=4).digest(), "big")


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, numpy and torch."""
    random.seed(seed)
    np.random.seed(seed)  # plugins may still use the old interface
    torch.manual_seed(seed)
