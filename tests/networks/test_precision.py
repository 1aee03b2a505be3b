"""Networks under autocast."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision

from le_bench.networks.maps import LayerMaps
from le_bench.networks.preprocessing import Preprocessing
from le_bench.networks.recording import record_activations
from le_bench.probing.images import ArrayImages
from le_bench.types import Layer, Precision, TargetModel


@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 0.03), ("fp16", 0.004)])
def test_autocast_changes_activations_a_little(precision: Precision, tolerance: float) -> None:
    """Recorded numbers and maps are float32, near those of float32 and not the same."""
    torch.manual_seed(0)
    module = torchvision.models.resnet18().eval()
    whole = TargetModel("network", module, Preprocessing(), torch.device("cpu"))
    half = replace(whole, precision=precision)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    images, layer = ArrayImages(pixels), Layer("layer2")

    exact = record_activations(whole, images, [layer])[layer].values
    rounded = record_activations(half, images, [layer])[layer].values
    _, maps = next(LayerMaps(half, images, layer, 0, 128).blocks(torch.arange(4)))

    error = (rounded - exact).norm() / exact.norm()
    assert rounded.dtype == torch.float32
    assert 0 < float(error) < tolerance
    torch.testing.assert_close(maps.mean((2, 3)), rounded, rtol=1e-3, atol=1e-3)
