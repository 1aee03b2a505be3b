"""Reading ahead: order, bounds, errors, and no thread left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from le_bench.errors import BenchError, UnreadableFileError
from le_bench.networks.batches import SLICE, read_batches
from le_bench.networks.preprocessing import Preprocessing
from le_bench.probing.images import FileImages

CPU = torch.device("cpu")


@dataclass
class Numbered:
    """Images whose pixels are their row number; later rows of a batch come faster than earlier."""

    count: int
    read_rows: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return self.count

    def read(self, rows: Sequence[int]) -> list[np.ndarray]:
        time.sleep(0.002 * (len(self) - rows[0]) / len(self))
        self.read_rows += rows
        return [np.full((2, 2, 3), row, np.uint8) for row in rows]


def numbers(batch: Tensor) -> list[int]:
    """The row numbers that a batch shows."""
    return (batch[:, 0, 0, 0] * 255).round().int().tolist()


@pytest.mark.parametrize("readers", [0, 1, 4])
@pytest.mark.parametrize("batch_size", [1, 40, 100, 500])
def test_batches_come_in_order(readers: int, batch_size: int) -> None:
    """Every row once, in the order asked for, whatever thread is first."""
    rows = [*range(100, 0, -1), 150]

    batches = list(
        read_batches(Numbered(200), rows, Preprocessing(), batch_size, CPU, readers=readers)
    )

    assert [row for part, _ in batches for row in part] == rows
    assert [number for _, batch in batches for number in numbers(batch)] == rows
    assert [len(part) for part, _ in batches[:-1]] == [batch_size] * (len(batches) - 1)


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_batch_of_several_slices_keeps_the_memory_format(
    channels_last: bool, dtype: torch.dtype
) -> None:
    """As torch.cat would: what is read in one piece and in slices is laid out alike."""
    layout = torch.channels_last if channels_last else torch.contiguous_format

    def preprocess(images: Sequence[np.ndarray]) -> Tensor:
        return Preprocessing()(images).to(dtype).contiguous(memory_format=layout)

    reading = read_batches(Numbered(3 * SLICE), range(3 * SLICE), preprocess, 3 * SLICE, CPU)
    [(_, batch)] = reading

    parts = [preprocess(Numbered(3 * SLICE).read([row])) for row in range(3 * SLICE)]
    assert torch.equal(batch, torch.cat(parts))
    assert batch.stride() == torch.cat(parts).stride()


def test_memory_is_bounded() -> None:
    """Two batches are read ahead of the caller's and no more, however slow the caller is."""
    images = Numbered(10 * SLICE)
    batches = read_batches(images, range(len(images)), Preprocessing(), SLICE, CPU, readers=4)

    next(batches)
    time.sleep(0.2)
    after_first = len(images.read_rows)
    next(batches)
    time.sleep(0.2)
    after_second = len(images.read_rows)
    batches.close()

    assert after_first <= 3 * SLICE
    assert after_second <= 4 * SLICE


def test_damaged_file_is_named_at_its_batch(tmp_path: Path) -> None:
    """Earlier batches arrive, then the error with the file's name; no thread is left."""
    paths = tuple(tmp_path / f"{number}.png" for number in range(6))
    for path in paths:
        Image.new("RGB", (4, 4)).save(path)
    paths[3].write_bytes(b"no picture")
    threads = threading.active_count()
    batches = read_batches(FileImages(paths), range(6), Preprocessing(), 2, CPU, readers=2)

    first, _ = next(batches)
    with pytest.raises(UnreadableFileError, match=r"3\.png"):
        next(batches)

    assert list(first) == [0, 1]
    assert threading.active_count() == threads


def test_leaving_early_leaves_no_thread_behind() -> None:
    """Closing the iteration ends its threads and reads nothing more."""
    threads = threading.active_count()
    images = Numbered(2000)
    batches = read_batches(images, range(2000), Preprocessing(), 50, CPU, readers=3)
    next(batches)

    batches.close()

    assert threading.active_count() == threads
    assert len(images.read_rows) <= 200


def test_sizes_that_differ_across_threads_are_refused() -> None:
    """Each slice has one size, but the batch has two."""

    class TwoSizes(Numbered):
        def read(self, rows: Sequence[int]) -> list[np.ndarray]:
            side = 4 if rows[0] < SLICE else 6
            return [np.zeros((side, side, 3), np.uint8) for _ in rows]

    batches = read_batches(TwoSizes(32), range(32), Preprocessing(), 32, CPU, readers=2)

    with pytest.raises(BenchError) as raised:
        next(batches)

    assert str(raised.value) == (
        "images of 2 sizes, such as 4x4 and 6x6, cannot form a batch; give the model `resize` and "
        "`crop`"
    )


@pytest.mark.gpu
def test_batches_for_cuda_arrive_there() -> None:
    """Pinned on the way, the same numbers on the device."""
    device = torch.device("cuda")

    batches = list(read_batches(Numbered(64), range(64), Preprocessing(), 20, device))

    assert all(batch.device.type == "cuda" for _, batch in batches)
    assert [number for _, batch in batches for number in numbers(batch)] == list(range(64))
