"""Threads for work of many small operations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one CPU thread inside, and as many as before afterwards.

    Operations of microseconds gain nothing from a second thread, and lose much by waiting for it
    where the machine is busy: the elastic nets of a large layer took 51 s on two threads of a busy
    machine, and 10 s on one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
