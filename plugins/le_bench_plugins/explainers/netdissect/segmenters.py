"""Pixel labels from a segmentation network, for data sets that have none."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor
from torch.nn.functional import interpolate

from le_bench.errors import BenchError, MissingFileError, UnreadableFileError, unknown_name
from le_bench.networks.hosted import AddressedFile, present_weights
from le_bench.networks.weights import LOAD_FAILURES, load_weights, read_weights
from le_bench.types import Images, PixelLabels

SIZE = (56, 56)
NOTHING = "__background__"
TRANSFORMERS = "transformers"
AT_ONCE = 8
SURE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Segmenter:
    """A loaded segmentation network.

    `segment` turns images of one size into label numbers (B, *SIZE): 0 for nothing, v for
    concept v - 1.
    """

    concepts: tuple[str, ...]
    segment: Callable[[Sequence[np.ndarray]], Tensor]

    def label(self, images: Images, rows: Sequence[int]) -> Tensor:
        """The labels of these images, (N, *SIZE) int16. Images may differ in size."""
        labels = torch.zeros(len(rows), *SIZE, dtype=torch.int16)
        for start in range(0, len(rows), AT_ONCE):
            pixels = images.read(rows[start : start + AT_ONCE])
            alike = len({image.shape for image in pixels}) == 1
            for at, part in [(0, pixels)] if alike else [(i, [p]) for i, p in enumerate(pixels)]:
                with torch.no_grad():
                    found = self.segment(part)
                labels[start + at : start + at + len(part)] = found.cpu().short()
        return labels


@dataclass(frozen=True, slots=True, eq=False)
class SegmentedMasks:
    """Labels that a segmenter gave to some images: `labels` (N, *SIZE) for the `rows` (N,)."""

    concepts: tuple[str, ...]
    rows: Tensor
    labels: Tensor

    @property
    def categories(self) -> Mapping[str, tuple[str, ...]]:
        """One category of all concepts of the segmenter."""
        return {"object": self.concepts}

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the label maps."""
        return SIZE

    def read(self, rows: Sequence[int]) -> PixelLabels:
        """See `types.Masks`."""
        places = torch.searchsorted(self.rows, torch.tensor(list(rows)))
        layers = self.labels[places][:, None].numpy()
        return PixelLabels(layers, np.zeros((len(rows), 0), np.int16))


def known_segmenters() -> list[str]:
    """The names of segmentation networks: those of torchvision, and "transformers"."""
    return [*torchvision.models.list_models(torchvision.models.segmentation), TRANSFORMERS]


def load_segmenter(
    name: str, weights: Path | None, words: Sequence[str], device: torch.device
) -> Segmenter:
    """A segmentation network by its name in torchvision, or "transformers" with a folder.

    A network of torchvision has the classes and the preprocessing of its published weights;
    `weights` is a file of them, or None for the one that torchvision keeps. A folder is what
    `save_pretrained` writes: of a semantic segmenter with its own classes, or of a CLIPSeg, which
    looks for `words`. Raises a BenchError for an unknown name or files that do not fit.
    """
    if name == TRANSFORMERS:
        return _from_transformers(weights, words, device)
    known = known_segmenters()
    if name not in known:
        raise BenchError(unknown_name("segmenter", name, known))
    if weights is None:
        weights = present_weights(f"segmenter {name}", hosted_weights(name), "segmenter_weights")
    return _from_torchvision(name, weights, device)


def hosted_weights(name: str) -> AddressedFile:
    """The file of a segmentation network of torchvision that the library publishes."""
    return AddressedFile.named_by_hash(torchvision.models.get_model_weights(name).DEFAULT.url)


def _from_torchvision(name: str, weights: Path, device: torch.device) -> Segmenter:
    published = torchvision.models.get_model_weights(name).DEFAULT
    classes = list(published.meta["categories"])
    auxiliary = {}
    if "lraspp" not in name:
        given = any(key.startswith("aux_classifier") for key in read_weights(weights))
        auxiliary = {"aux_loss": given}
    network = torchvision.models.get_model(
        name, weights=None, weights_backbone=None, num_classes=len(classes), **auxiliary
    )
    load_weights(network, weights)
    network.to(device).eval()
    prepare = published.transforms()

    def segment(images: Sequence[np.ndarray]) -> Tensor:
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
        return _largest(network(prepare(batch).to(device))["out"])

    return _named(classes, segment)


def _from_transformers(
    folder: Path | None, words: Sequence[str], device: torch.device
) -> Segmenter:
    if importlib.util.find_spec("transformers") is None:
        raise BenchError("segmenter 'transformers' needs its library: pip install 'le-bench[hf]'")
    if folder is None or not folder.is_dir():
        raise MissingFileError(
            "segmenter 'transformers' needs a folder with its network as `segmenter_weights`, "
            "since what lies behind a name may change; download it, for instance with "
            "`hf download ORG/NAME --local-dir FOLDER`"
        )
    import transformers  # noqa: PLC0415  # an extra, and slow to import

    try:
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
        kind = (
            transformers.CLIPSegForImageSegmentation
            if config.model_type == "clipseg"
            else transformers.AutoModelForSemanticSegmentation
        )
        options: dict[str, Any] = {"local_files_only": True, "use_safetensors": True}
        network = kind.from_pretrained(folder, **options).to(device).eval()
        if config.model_type == "clipseg":
            processor = transformers.AutoProcessor.from_pretrained(folder, local_files_only=True)
            return _open_vocabulary(network, processor, words, device)
        prepare = transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    except LOAD_FAILURES as error:
        raise UnreadableFileError(
            f"{folder}: this is no segmentation network that transformers can load "
            f"({str(error).splitlines()[0]}); save it there with save_pretrained, as safetensors"
        ) from error

    def segment(images: Sequence[np.ndarray]) -> Tensor:
        batch = prepare(images=list(images), return_tensors="pt").to(device)
        return _largest(network(**batch).logits)

    return _named([config.id2label[number] for number in sorted(config.id2label)], segment)


def _open_vocabulary(
    network: Any, processor: Any, words: Sequence[str], device: torch.device
) -> Segmenter:
    """CLIPSeg: of the words that it is surer of than not at a pixel, the surest."""
    if not words:
        raise BenchError("an open-vocabulary segmenter needs words, but the concept set has none")

    def segment(images: Sequence[np.ndarray]) -> Tensor:
        found = []
        for image in images:
            batch = processor(
                text=list(words), images=[image] * len(words), return_tensors="pt", padding=True
            ).to(device)
            logits = network(**batch).logits.reshape(len(words), *network_size(network))
            found.append(logits)
        scores = interpolate(torch.stack(found), SIZE, mode="bilinear", align_corners=False)
        surest, word = scores.sigmoid().max(1)
        return torch.where(surest > SURE, word + 1, 0)

    return Segmenter(tuple(words), segment)


def network_size(network: Any) -> tuple[int, int]:
    """Height and width of what a CLIPSeg gives: those of its input."""
    side = int(network.config.vision_config.image_size)
    return side, side


def _largest(logits: Tensor) -> Tensor:
    """The class with the largest logit at each pixel, counted from 1, (B, *SIZE)."""
    return interpolate(logits.float(), SIZE, mode="bilinear", align_corners=False).argmax(1) + 1


def _named(classes: Sequence[str], segment: Callable[[Sequence[np.ndarray]], Tensor]) -> Segmenter:
    """A segmenter whose background, if the first class is one, is nothing."""
    if classes[0] != NOTHING:
        return Segmenter(tuple(classes), segment)
    return Segmenter(tuple(classes[1:]), lambda images: segment(images) - 1)
