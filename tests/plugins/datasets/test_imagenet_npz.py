"""Images of ImageNet in numpy archives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from le_bench.concepts.imagenet import imagenet_wnids
from le_bench.errors import BenchError
from le_bench_plugins.datasets.imagenet_npz import ImageNetArchive
from le_bench_plugins.models.torchvision import TorchvisionModel

IMAGES = np.zeros((20, 4, 4, 3), np.uint8)
LABELS = np.arange(20) * 50


def test_classes_and_superclasses_of_imagenet(tmp_path: Path) -> None:
    """Names are open_clip's, not those of the file; superclasses are WordNet's."""
    path = tmp_path / "some.npz"
    np.savez(path, images=IMAGES, labels=LABELS, wnids=np.array(imagenet_wnids()))

    dataset = ImageNetArchive(path).load()

    assert dataset.classes[0] == "tench"
    assert dataset.label_presence is not None
    assert len(dataset.label_presence.concepts) == 1400
    column = dataset.label_presence.concepts.index("dog")
    assert dataset.label_presence.values[:, column].nonzero().flatten().tolist() == [4, 5]


def test_classes_in_another_order_are_refused(tmp_path: Path) -> None:
    """Names would go to the wrong images."""
    path = tmp_path / "some.npz"
    wnids = list(imagenet_wnids())
    wnids[3], wnids[4] = wnids[4], wnids[3]
    np.savez(path, images=IMAGES, labels=LABELS, wnids=np.array(wnids))

    with pytest.raises(BenchError) as caught:
        ImageNetArchive(path).load()

    assert str(caught.value) == (
        f"{path}: array 'wnids' does not hold the WordNet numbers of ImageNet's 1,000 classes in "
        "their order, first at place 3; mend the file, or use `npz` for other classes"
    )


@pytest.mark.realdata
@pytest.mark.timeout(900)
def test_a_real_network_knows_real_images(real_data: Path) -> None:
    """MobileNetV2 classifies 79.0% of 1,000 photographs, so images, labels and input agree."""
    folder = real_data / "imagenet-sample"
    dataset = ImageNetArchive(folder / "images.npz", images="blob", offsets="offsets").load()
    model = TorchvisionModel(
        "mobilenet_v2",
        checkpoint=folder / "mobilenet_v2.fp16.safetensors",
        mean=(128.0,) * 3,
        std=(128.0,) * 3,
        scale=1.0,
        resize=256,
        crop=224,
    ).load(torch.device("cpu"))

    with torch.inference_mode():
        found = [
            model.module(model.preprocess(dataset.images.read(range(start, start + 10)))).argmax(1)
            for start in range(0, 1000, 10)
        ]

    assert dataset.labels is not None
    assert int((torch.cat(found) == dataset.labels).sum()) == 790
