"""Seeds that depend on content alone, so that order and process do not matter."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """The generators at this seed; afterwards they go on, on CPU and device, as if nothing was."""
    python, old_numpy = random.getstate(), np.random.get_state()  # see seed_everything
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        seed_everything(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(old_numpy)
