"""Laws of sources of probe datasets."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import torch

from le_bench.components import DatasetSource
from le_bench.running.seeds import seed_everything
from le_bench.testing.laws.comparing import changed, snapshot
from le_bench.testing.laws.components import torch_left_as_it_was
from le_bench.testing.laws.law import laws, not_applicable_if
from le_bench.types import SPLITS, ProbeDataset

LOOKED_AT = 8  # images of each split that are decoded


def loaded(source: DatasetSource, seed: int = 0) -> ProbeDataset:
    """The dataset, with the global generators at this seed."""
    seed_everything(seed)
    return source.load()


def some_rows(dataset: ProbeDataset) -> list[int]:
    """Some images of each split, in no order."""
    return [row for split in SPLITS for row in dataset.splits[split][:LOOKED_AT].tolist()]


def deterministic(source: DatasetSource) -> str:
    """Loaded twice it has the same images, splits and labels, wherever the generators stand."""
    first, second = (loaded(source, seed) for seed in (0, 1))
    rows = some_rows(first)
    if some_rows(second) != rows or len(first.images) != len(second.images):
        return "it has other splits when it is loaded again; shuffle with a seed among the options"
    words = changed(_tensors(first), _tensors(second))
    if words:
        return words.split(" in place")[0].replace("it changed", "when it is loaded again, other")
    for row, a, b in zip(rows, first.images.read(rows), second.images.read(rows), strict=True):
        if not np.array_equal(a, b):
            return f"image {row} is another one when the dataset is loaded again"
    return ""


def complete_splits(source: DatasetSource) -> str:
    """Train, val and test share no image, and each image is in one of them.

    Sources whose options name files of rows (`train_ids`) may leave images out.
    """
    chosen = [f.name for f in fields(source) if f.name.endswith("_ids") and getattr(source, f.name)]
    not_applicable_if(bool(chosen), f"option '{' and '.join(chosen)}' says which images are taken")
    dataset = loaded(source)
    missing = len(dataset.images) - sum(len(dataset.splits[split]) for split in SPLITS)
    return f"{missing} of {len(dataset.images)} images are in no split" if missing else ""


def images_decode(source: DatasetSource) -> str:
    """Images are (height, width, 3) uint8, in the order asked for, and the reader's own copies."""
    dataset = loaded(source)
    rows = some_rows(dataset)
    given = dataset.images.read(rows)
    if len(given) != len(rows):
        return f"{len(rows)} rows were asked for, {len(given)} images came"
    for row, image in zip(rows, given, strict=True):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            return f"image {row} is {image.dtype} {image.shape}, not uint8 (height, width, 3)"
    again = dataset.images.read([*rows[::-1], rows[0]])[::-1]
    for row, a, b in zip(rows, given, again[1:], strict=True):
        if not np.array_equal(a, b):
            return f"image {row} is another one when the rows are asked for in reverse"
    before = given[0].copy()
    if given[0].flags.writeable:
        given[0][:] = 255 - given[0]
    if not np.array_equal(dataset.images.read(rows[:1])[0], before):
        return f"image {rows[0]} is changed by whoever has read it; give copies"
    return ""


def labels_in_range(source: DatasetSource) -> str:
    """Labels are int64, one an image, and count the classes, of which each has a name."""
    dataset = loaded(source)
    not_applicable_if(dataset.labels is None, "the dataset has no labels")
    labels = dataset.labels if dataset.labels is not None else torch.empty(0)
    if labels.dtype != torch.int64 or tuple(labels.shape) != (len(dataset.images),):
        return f"labels are {labels.dtype} {tuple(labels.shape)}, not int64 (images,)"
    if int(labels.min()) < 0 or int(labels.max()) >= len(dataset.classes):
        return (
            f"labels lie from {int(labels.min())} to {int(labels.max())}, and there are "
            f"{len(dataset.classes)} classes"
        )
    return ""


def known_presence(source: DatasetSource) -> str:
    """Presence lies in [0, 1]; the dataset's own vocabulary names each concept once."""
    dataset = loaded(source)
    for name in ("label_presence", "concept_presence"):
        presence = getattr(dataset, name)
        if presence is None:
            continue
        least, most = (float(v) for v in presence.values.aminmax())
        if not (least >= 0 and most <= 1):
            return f"{name} lies from {least:g} to {most:g}"
    twice = [v for v in dataset.vocabulary if dataset.vocabulary.count(v) > 1]
    return f"'{twice[0]}' is in the vocabulary more than once" if twice else ""


def masks_fit(source: DatasetSource) -> str:
    """Label maps have the size that the masks say, and numbers of their concepts."""
    dataset = loaded(source)
    masks = dataset.masks
    if masks is None:
        not_applicable_if(True, "the dataset has no masks")
        return ""
    found = masks.read(some_rows(dataset))
    if found.layers.shape[2:] != tuple(masks.size):
        return f"label maps are {found.layers.shape[2:]}, and `size` says {tuple(masks.size)}"
    known = sum(len(names) for names in masks.categories.values())
    for labels in (found.layers, found.whole):
        if labels.size and (labels.min() < 0 or labels.max() > known):
            return f"labels lie from {labels.min()} to {labels.max()} for {known} concepts"
    return ""


def number_of_images(source: DatasetSource) -> str:
    """What `expected_images` says before loading is what there is after."""
    expected, found = source.expected_images(), len(loaded(source).images)
    not_applicable_if(expected is None, "`expected_images` says nothing")
    return "" if expected == found else f"{expected} images were expected, there are {found}"


def _tensors(dataset: ProbeDataset) -> dict[str, str]:
    presences = (dataset.label_presence, dataset.concept_presence)
    named = dict(zip(("label_presence", "concept_presence"), presences, strict=True))
    return snapshot(
        {
            **{f"rows of {split}": dataset.splits[split] for split in SPLITS},
            "labels": dataset.labels,
            **{name: None if p is None else p.values for name, p in named.items()},
        }
    )


LAWS = (
    *laws(
        deterministic,
        complete_splits,
        images_decode,
        labels_in_range,
        known_presence,
        masks_fit,
        number_of_images,
    ),
    torch_left_as_it_was(loaded),  # type: ignore[arg-type]  # of datasets
)
