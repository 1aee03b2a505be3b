"""How many images a network can take at once within the memory given."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from le_bench.networks.precision import computing_in
from le_bench.types import TargetModel

LARGEST = 1024
INPUT_COPIES = 3  # batches that `read_batches` holds


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own
    """Counts the bytes of tensors that operations make while they are alive; `peak` is the most."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own
        self.live = 0
        self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and count the storages that are new."""
        given = {storage._cdata for storage in _storages((args, kwargs))}
        output = func(*args, **(kwargs or {}))
        for storage in _storages(output):
            if storage._cdata not in given:  # weights and views of them are not new
                self._count(storage)
        return output

    def _count(self, storage: torch.UntypedStorage) -> None:
        address = storage._cdata
        if address in self._known:
            return
        self._known.add(address)
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._forget, address, storage.nbytes())

    def _forget(self, address: int, size: int) -> None:
        self._known.discard(address)
        self.live -= size


def _storages(values: Any) -> list[torch.UntypedStorage]:
    return [leaf.untyped_storage() for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def find_batch_size(model: TargetModel, image: Tensor, working_bytes: int) -> int:
    """The most images (1 to 1,024) whose forward pass works within `working_bytes`.

    `image` is an input (1, 3, H, W). What a pass needs beside weights is measured with 1 and with 3
    images, and grows evenly between and beyond them; the inputs that wait in memory are added.
    On CUDA the allocator is asked, and half of the memory that is free is taken if that is more
    than `working_bytes`; elsewhere the tensors that operations make are counted, which leaves out
    what a library sets aside inside an operation. At least one image is taken, even if
    it does not fit.
    """
    one, three = (_peak_bytes(model, image, count) for count in (1, 3))
    each = max(1.0, (three - one) / 2 + INPUT_COPIES * image.nbytes)
    fixed = max(0.0, one - (three - one) / 2)
    if model.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(model.device)
        working_bytes = max(working_bytes, free // 2)
    return max(1, min(LARGEST, int((working_bytes - fixed) / each)))


def _peak_bytes(model: TargetModel, image: Tensor, count: int) -> int:
    """The most bytes that a forward pass over `count` copies of an image holds at once."""
    batch = image.expand(count, -1, -1, -1).contiguous().to(model.device)
    with torch.no_grad(), computing_in(model.precision, model.device):
        if model.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(model.device)
            before = torch.cuda.memory_allocated(model.device)
            model.module(batch)
            return int(torch.cuda.max_memory_allocated(model.device) - before)
        with LiveBytes() as counted:
            model.module(batch)
        return int(counted.peak)
