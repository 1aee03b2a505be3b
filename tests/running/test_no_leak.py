"""Explainers, and calibration for them, never see test images: changing these changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from importlib.resources import files
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest
import torch

from le_bench.boards.companions import read_explanations
from le_bench.boards.results import read_results
from le_bench.components import Encoder
from le_bench.planning.plan import encoders_of
from le_bench.plugins import Plugins
from le_bench.probing.guarded import OwnImages, OwnMasks
from le_bench.running.workspace import Workspace
from le_bench.types import Masks, PixelLabels, Presence, ProbeDataset

if TYPE_CHECKING:
    from conftest import Bench

MILAN = "picturebook/weights/picturebook-milan.safetensors"


MORE_OPTIONS = {  # of explainers that cannot do without
    "milan": f'\ncheckpoint = "{files("le_bench_plugins") / MILAN}"',
    "published": '\nfile = "published.csv"',
}


class Repainted:
    """Images of which some rows are replaced by noise."""

    def __init__(self, dataset: ProbeDataset) -> None:
        self.images = dataset.images
        self.rows = set(dataset.splits["test"].tolist())

    def __len__(self) -> int:
        return len(self.images)

    def read(self, rows: list[int]) -> list[np.ndarray]:
        pictures = self.images.read(rows)
        noise = np.random.default_rng(7)
        return [
            noise.integers(0, 255, picture.shape, dtype=np.uint8) if row in self.rows else picture
            for row, picture in zip(rows, pictures, strict=True)
        ]


class Relabelled:
    """Masks of which some rows say that everything is the first concept."""

    def __init__(self, masks: Masks, rows: torch.Tensor) -> None:
        self.masks, self.rows = masks, rows.numpy()
        self.categories, self.size = masks.categories, masks.size

    def read(self, rows: Sequence[int]) -> PixelLabels:
        labels = self.masks.read(rows)
        layers = labels.layers.copy()
        layers[np.isin(rows, self.rows)] = 1
        return PixelLabels(layers, labels.whole)


def with_other_test_images(dataset: ProbeDataset) -> ProbeDataset:
    """The dataset with noise for test images and everything known about them reversed."""
    rows = dataset.splits["test"]

    def reversed_rows(presence: Presence | None) -> Presence | None:
        if presence is None:
            return None
        values = presence.values.clone()
        values[rows] = 1 - values[rows]
        return Presence(presence.concepts, values)

    labels = dataset.labels
    if labels is not None:
        labels = labels.clone()
        labels[rows] = (labels[rows] + 1) % len(dataset.classes)
    return replace(
        dataset,
        images=Repainted(dataset),
        labels=labels,
        label_presence=reversed_rows(dataset.label_presence),
        concept_presence=reversed_rows(dataset.concept_presence),
        masks=None if dataset.masks is None else Relabelled(dataset.masks, rows),
    )


def test_no_explainer_sees_test_images(
    bench: Bench, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With other test images every installed explainer explains the same, and scores differ."""
    rows = []
    for offer in plugins.offers("explainer"):
        more = MORE_OPTIONS.get(offer.component.name, "")
        hints = {field.name: field for field in fields(offer.component)}
        encoder = '\nencoder = "eye"' if "encoder" in hints else ""
        source = '\nsource = "encoder"' if "source" in hints else ""
        name = offer.component.name
        rows.append(f'[[explainers]]\nuse = "{name}"{encoder}{source}{more}\n')
    lines = [f"{layer},{unit},red" for layer in ("first", "second") for unit in range(6)]
    (bench.folder / "published.csv").write_text("\n".join(["layer,unit,description", *lines]))
    bench.edit(
        lambda text: (
            text.split("[[explainers]]")[0].replace(
                'use = "toy"\n\n[enc', 'use = "toy"\nannotated = true\nnum_images = 300\n\n[enc'
            )
            + "\n".join(rows)
            + '\n[[simulators]]\nuse = "labels"\n\n[[scorers]]\nuse = "correlation"\n'
        )
    )
    assert bench.run("--out", "plain", "--cache", "cache-plain") == 0
    loaded = Workspace.dataset

    def changed(self: Workspace) -> ProbeDataset:
        return with_other_test_images(loaded.func(self))

    monkeypatch.setattr(Workspace, "dataset", property(changed))
    assert bench.run("--out", "changed", "--cache", "cache-changed") == 0

    plain = read_explanations(bench.folder / "plain" / "explanations")
    changed_ones = read_explanations(bench.folder / "changed" / "explanations")
    assert len(plain) == 2 * len(rows)
    assert plain == changed_ones
    before = read_results(bench.folder / "plain" / "results")
    after = read_results(bench.folder / "changed" / "results")
    assert before != after


def test_encoders_are_found_inside_components(plugins: Plugins) -> None:
    """The plan finds the encoder of every component that declares one."""
    encoder = plugins.offer("encoder", "toy").component()

    found = list(encoders_of(plugins.offer("explainer", "toy-word").component(encoder=encoder)))

    assert found == [encoder]
    assert isinstance(found[0], Encoder)
    assert torch.is_tensor(encoder.encode_texts(["red"], torch.device("cpu")))


def test_views_read_images_and_masks_of_their_own_split_alone() -> None:
    """A row of another split is refused, whatever the plugin asks for."""
    masks = OwnMasks(ColourMasks(), torch.tensor([1, 4]))
    images = OwnImages(ToyPictures(), torch.tensor([1, 4]))

    assert len(images.read([4, 1])) == 2
    assert masks.size == (2, 2)
    assert masks.read([4]).layers.shape == (1, 1, 2, 2)
    for read in (images.read, masks.read):
        with pytest.raises(ValueError, match="row 2 is not among the 2 images"):
            read([1, 2])


class ToyPictures:
    """Five black pictures."""

    def __len__(self) -> int:
        return 5

    def read(self, rows: Sequence[int]) -> list[np.ndarray]:
        return [np.zeros((2, 2, 3), np.uint8) for _ in rows]


class ColourMasks:
    """Everything is red."""

    categories: ClassVar[dict[str, tuple[str, ...]]] = {"color": ("red",)}
    size = (2, 2)

    def read(self, rows: Sequence[int]) -> PixelLabels:
        layers = np.ones((len(rows), 1, 2, 2), np.uint8)
        return PixelLabels(layers, np.zeros((len(rows), 0), np.uint8))
