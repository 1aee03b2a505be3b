"""The Picturebook as a plugin: its probe dataset, its target models and its encoders."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from le_bench import hookimpl
from le_bench.components import DatasetSource, Encoder, ModelSource
from le_bench.fingerprint import path_digest
from le_bench.networks.embedding import embed_images, embed_texts, require_same_vocabulary
from le_bench.networks.weights import load_weights
from le_bench.probing.presence import label_presence
from le_bench.probing.splits import seeded_splits
from le_bench.types import Images, Presence, ProbeDataset, TargetModel, require
from le_bench_plugins.picturebook import captions, world
from le_bench_plugins.picturebook.absent import ABSENT
from le_bench_plugins.picturebook.concepts import (
    CLASSES,
    CONCEPTS,
    SUPERCLASS_OF,
    SUPERCLASSES,
)
from le_bench_plugins.picturebook.encoders import LoadedEncoder, load_encoder, weights_path
from le_bench_plugins.picturebook.masks import DrawnMasks
from le_bench_plugins.picturebook.targets import TARGETS

FIRST_TRAINING_PICTURE = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class DrawnImages:
    """Pictures kept in memory: `pixels` (N, 64, 64, 3) uint8."""

    pixels: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, rows: Sequence[int]) -> list[np.ndarray]:
        """The pictures of these rows."""
        return list(self.pixels[list(rows)])


@dataclass(frozen=True)
class Picturebook(DatasetSource):
    """A small drawn world: 24 classes in 10 scenes, 109 annotated concepts, masks and captions.

    Pictures 0 to `num_images` - 1 of the world with this `seed`, split 70/10/20 by `split_seed`.
    No target or encoder was trained on any of them. The vocabulary is the 109 concepts and some
    nouns that the world does not have; since it is drawn, these are known to be absent.
    """

    name: ClassVar[str] = "picturebook"
    version: ClassVar[int] = 1

    num_images: int = 5000
    seed: int = 0
    split_seed: int = 0

    def __post_init__(self) -> None:
        require(
            10 <= self.num_images <= FIRST_TRAINING_PICTURE,
            f"num_images must lie between 10 and {FIRST_TRAINING_PICTURE}, not {self.num_images}",
        )

    def expected_images(self) -> int | None:
        """As many as are drawn."""
        return self.num_images

    def load(self) -> ProbeDataset:
        """Draw the pictures."""
        pictures = world.draw(np.arange(self.num_images), self.seed)
        labels = torch.from_numpy(pictures.labels)
        members = {s: [c for c in CLASSES if SUPERCLASS_OF[c] == s] for s in SUPERCLASSES}
        present = torch.from_numpy(world.presence(pictures)).float()
        absent = torch.zeros(len(present), len(ABSENT))
        names = (*(concept.name for concept in CONCEPTS), *ABSENT)
        return ProbeDataset(
            name=self.name,
            images=DrawnImages(pictures.images),
            splits=seeded_splits(self.num_images, self.split_seed),
            labels=labels,
            classes=tuple(CLASSES),
            label_presence=label_presence(labels, CLASSES, members),
            concept_presence=Presence(names, torch.cat([present, absent], dim=1)),
            vocabulary=names,
            masks=DrawnMasks.of(pictures),
            captions=tuple(captions.captions(pictures, variant=0, seed=self.seed)),
        )


@dataclass(frozen=True)
class PicturebookModel(ModelSource):
    """A small network trained to name the main object of a picture.

    `cnn` has residual layers `layer1` to `layer4`, `vgg` plain blocks `features.block1` to
    `block4` and `classifier.fc1`, `vit` transformer blocks `blocks.0` to `blocks.3`.
    """

    name: ClassVar[str] = "picturebook"
    version: ClassVar[int] = 1

    network: Literal["cnn", "vgg", "vit"] = "cnn"

    def identity(self) -> str:
        """The digest of the weights."""
        return path_digest(weights_path(f"picturebook-{self.network}"))

    def load(self, device: torch.device) -> TargetModel:
        """The trained network on `device`."""
        name = f"picturebook-{self.network}"
        module = TARGETS[name]()
        load_weights(module, weights_path(name))
        return TargetModel(name, module.to(device).eval(), _to_unit_range, device)


@dataclass(frozen=True)
class PicturebookEncoder(Encoder):
    """A small SigLIP or CLIP trained on captions of pictures, made by open_clip.

    `sl-resnet` and `sl-convvit` are SigLIPs of different architecture, `clip` a CLIP with a
    softmax loss. a and b are fitted on the probe dataset.
    """

    name: ClassVar[str] = "picturebook"
    version: ClassVar[int] = 1

    network: Literal["sl-resnet", "sl-convvit", "clip"] = "sl-resnet"

    def identity(self) -> str:
        """The digest of the weights."""
        return path_digest(weights_path(f"picturebook-{self.network}"))

    def encode_images(self, images: Images, device: torch.device) -> Tensor:
        """(N, D) float32."""
        encoder = self._load()
        return embed_images(encoder.model, encoder.preprocess, images, device)

    def encode_texts(self, texts: Sequence[str], device: torch.device) -> Tensor:
        """(C, D) float32."""
        encoder = self._load()
        return embed_texts(encoder.model, encoder.tokenizer, texts, device)

    def _load(self) -> LoadedEncoder:
        name = f"picturebook-{self.network}"
        with tempfile.TemporaryDirectory(prefix="le-bench-") as folder:
            encoder = load_encoder(name, Path(folder), weights_path(name))
        require_same_vocabulary(encoder.model, encoder.tokenizer, name)
        return encoder


def _to_unit_range(images: Sequence[np.ndarray]) -> Tensor:
    """uint8 pictures as a float batch (B, 3, 64, 64) in [-1, 1]."""
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return batch.float() / 127.5 - 1.0


@hookimpl
def le_bench_datasets() -> Iterable[type[DatasetSource]]:
    """Offer the probe dataset."""
    return [Picturebook]


@hookimpl
def le_bench_models() -> Iterable[type[ModelSource]]:
    """Offer the target models."""
    return [PicturebookModel]


@hookimpl
def le_bench_encoders() -> Iterable[type[Encoder]]:
    """Offer the encoders."""
    return [PicturebookEncoder]
