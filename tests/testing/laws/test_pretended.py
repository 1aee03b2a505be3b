"""The pretended device computes as the CPU does and refuses what CUDA refuses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from le_bench.testing.laws.pretended import MixedDevicesError, pretended_device


def test_numbers_are_those_of_the_cpu() -> None:
    """What is computed there and brought back is what the CPU gives."""
    x = torch.arange(12.0).view(3, 4)

    with pretended_device() as device:
        there = x.to(device)
        made = torch.tensor([1.0, 2.0, 3.0], device=device)
        there = torch.cat([there.T @ made[:, None], torch.ones(4, 1, device=device)], 1)
        there[0] += there.max()
        places = there.sum(1).argsort(descending=True).tolist()
        back = there.cpu()

    expected = torch.cat([x.T @ torch.tensor([[1.0], [2.0], [3.0]]), torch.ones(4, 1)], 1)
    expected[0] += expected.max()
    assert type(back) is torch.Tensor
    assert back.device.type == "cpu"
    assert torch.equal(back, expected)
    assert places == expected.sum(1).argsort(descending=True).tolist()


def test_tensors_of_two_devices_do_not_mix() -> None:
    """An operation with a tensor of the CPU is refused; a number, or an index, is not."""
    with pretended_device() as device:
        there = torch.ones(3).to(device)

        with pytest.raises(MixedDevicesError, match=r"torch.add got .* of shape \(3,\) on the CPU"):
            _ = there + torch.ones(3)
        fine = (there * 2 + torch.tensor(1.0))[torch.tensor([0, 2])].cpu()

    assert fine.tolist() == [3.0, 3.0]


def test_threads_of_a_pool_are_on_it_too() -> None:
    """Tasks of a pool make tensors there, and pools are as before when it is over."""
    submit = ThreadPoolExecutor.submit

    with pretended_device() as device, ThreadPoolExecutor(1) as pool:
        total = pool.submit(lambda: float(torch.arange(4, device=device).sum())).result()

    assert total == 6.0
    assert ThreadPoolExecutor.submit is submit


def test_the_cpu_is_left_alone() -> None:
    """Tensors that are not sent there stay plain tensors."""
    with pretended_device():
        plain = torch.ones(2) + torch.ones(2)

    assert type(plain) is torch.Tensor
    assert plain.tolist() == [2.0, 2.0]
