"""Reading and preprocessing images in threads, ahead of the network that they are for."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from le_bench.errors import BenchError
from le_bench.types import Images, require

READERS = min(8, os.cpu_count() or 1)
SLICE = 16  # images that one thread reads at a time

Preprocess = Callable[[Sequence[np.ndarray]], Tensor]


def read_batches(
    images: Images,
    rows: Sequence[int],
    preprocess: Preprocess,
    batch_size: int,
    device: torch.device,
    *,
    readers: int = READERS,
) -> Generator[tuple[Sequence[int], Tensor], None, None]:
    """Rows and batches (B, 3, H, W) on `device`, in the order of `rows`.

    `readers` threads decode and preprocess the next batch while the caller computes on this one;
    with 0 nothing runs ahead. Memory holds three batches at most: the caller's, one that is ready
    and one that is being read. For CUDA they are pinned, so that they are copied while the device
    computes. `images.read` and `preprocess` are called from several threads at once.

    Raises BenchError if images of a batch have different sizes, and whatever reading raises, at
    the batch in which it happens; no thread outlives the iteration, however it ends.
    """
    require(batch_size > 0, f"batch_size is {batch_size}; it must be at least 1")
    parts = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]

    def read(some: Sequence[int]) -> Tensor:
        return preprocess(images.read(some))

    if readers == 0:
        for part in parts:
            yield part, read(part).to(device)
        return
    reading = ThreadPoolExecutor(readers, thread_name_prefix="read")
    joining = ThreadPoolExecutor(1, thread_name_prefix="join")
    try:
        waiting: deque[tuple[Sequence[int], Future[Tensor]]] = deque()
        for part in parts:
            slices = [
                reading.submit(read, part[start : start + SLICE])
                for start in range(0, len(part), SLICE)
            ]
            waiting.append((part, joining.submit(_join, slices, device)))
            if len(waiting) > 1:
                yield _arrived(*waiting.popleft(), device)
        while waiting:
            yield _arrived(*waiting.popleft(), device)
    finally:
        reading.shutdown(wait=True, cancel_futures=True)
        joining.shutdown(wait=True, cancel_futures=True)


def _join(slices: Sequence[Future[Tensor]], device: torch.device) -> Tensor:
    """One batch on the CPU from its slices; pinned if it goes to CUDA."""
    parts = [part.result() for part in slices]
    sizes = sorted({tuple(part.shape[2:]) for part in parts})
    if len(sizes) > 1:
        first, last = ("x".join(map(str, size)) for size in (sizes[0], sizes[-1]))
        raise BenchError(
            f"images of {len(sizes)} sizes, such as {first} and {last}, cannot form a batch; give "
            "the model `resize` and `crop`"
        )
    batch = parts[0] if len(parts) == 1 else _concatenated(parts)
    return batch.pin_memory() if device.type == "cuda" else batch


def _concatenated(parts: list[Tensor]) -> Tensor:
    """torch.cat of parts on the CPU in their memory format, float32 by numpy.

    For large copies torch starts threads of its own, which get in the way of the network's.
    """
    if any(part.dtype != torch.float32 or part.device.type != "cpu" for part in parts):
        return torch.cat(parts)
    arrays = [part.detach().numpy() for part in parts]
    whole = np.empty_like(arrays[0], shape=(sum(map(len, arrays)), *arrays[0].shape[1:]))
    return torch.from_numpy(np.concatenate(arrays, out=whole))


def _arrived(
    rows: Sequence[int], batch: Future[Tensor], device: torch.device
) -> tuple[Sequence[int], Tensor]:
    return rows, batch.result().to(device, non_blocking=True)
