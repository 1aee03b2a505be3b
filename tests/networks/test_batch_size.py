"""The batch size that fits the memory given."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn

from le_bench.networks.batch_size import INPUT_COPIES, LARGEST, LiveBytes, find_batch_size
from le_bench.networks.preprocessing import Preprocessing
from le_bench.types import TargetModel

SIDE = 8
NUMBER = 4  # bytes of a float32


class Network(nn.Module):
    """A map of 10 channels, of which a second one is made while the first is held."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 10, 1)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        doubled = maps * 2
        shifted = doubled + 1  # three maps are alive here
        del maps, doubled
        result: Tensor = shifted.mean((2, 3))
        return result


def make_model(module: nn.Module) -> TargetModel:
    """A target model on the CPU."""
    return TargetModel("network", module.eval(), Preprocessing(), torch.device("cpu"))


def test_live_bytes_are_those_of_tensors_alive_at_once() -> None:
    """Three maps at the peak; what is freed counts no more; views and in-place count nothing."""
    images = torch.ones(2, 3, SIDE, SIDE)
    maps = 2 * 10 * SIDE * SIDE * NUMBER
    network = Network()

    with torch.no_grad(), LiveBytes() as counted:
        network(images)
    with LiveBytes() as in_place:
        kept = torch.zeros(100)
        kept.view(10, 10).add_(1)
        again = torch.zeros(100)
        del kept, again

    assert counted.peak == 3 * maps
    assert in_place.peak == 2 * 100 * NUMBER
    assert in_place.live == 0


def test_batch_fills_the_memory_and_no_more() -> None:
    """The size is the largest whose maps and waiting inputs stay within the bytes given."""
    image = torch.ones(1, 3, SIDE, SIDE)
    each = 3 * 10 * SIDE * SIDE * NUMBER + INPUT_COPIES * image.nbytes
    model = make_model(Network())

    sizes = [find_batch_size(model, image, working) for working in (each * 7, each * 8 - 1)]

    assert sizes == [7, 7]


def test_size_has_bounds() -> None:
    """One image at least, even if it does not fit; never more than is of use."""
    image = torch.ones(1, 3, SIDE, SIDE)
    model = make_model(Network())

    assert find_batch_size(model, image, 1) == 1
    assert find_batch_size(model, image, 2**40) == LARGEST


def test_real_network_stays_within_its_memory() -> None:
    """A ResNet-18 run at the size found holds no more than the bytes given."""
    torch.manual_seed(0)
    model = make_model(torchvision.models.resnet18())
    image = torch.randn(1, 3, 64, 64)
    working = 16 * 2**20

    size = find_batch_size(model, image, working)

    with torch.no_grad(), LiveBytes() as counted:
        model.module(image.expand(size, -1, -1, -1).contiguous())
    assert 1 < size < LARGEST
    assert counted.peak + INPUT_COPIES * size * image.nbytes <= working * 1.05


@pytest.mark.gpu
def test_cuda_asks_its_allocator() -> None:
    """On CUDA the peak of the allocator at the size found is within the bytes given."""
    device = torch.device("cuda")
    module = torchvision.models.resnet18().to(device).eval()
    model = TargetModel("network", module, Preprocessing(), device)
    image = torch.randn(1, 3, 64, 64)

    size = find_batch_size(model, image, 256 * 2**20)

    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    with torch.no_grad():
        module(image.expand(size, -1, -1, -1).to(device))
    assert torch.cuda.max_memory_allocated() - before <= 256 * 2**20 * 1.2
