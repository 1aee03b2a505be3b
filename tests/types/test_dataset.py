"""A probe dataset that contradicts itself is refused where it is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from le_bench.types import SPLITS, Presence, ProbeDataset


class Grey:
    """Four grey images."""

    def __len__(self) -> int:
        return 4

    def read(self, rows: Sequence[int]) -> list[np.ndarray]:
        return [np.full((2, 2, 3), 128, np.uint8) for _ in rows]


def dataset(*rows: Sequence[int], **parts: Any) -> ProbeDataset:
    """Four images in these splits."""
    given = rows or ([0, 1], [2], [3])
    splits = {split: torch.tensor(own) for split, own in zip(SPLITS, given, strict=True)}
    return ProbeDataset("grey", Grey(), splits, **parts)


def test_labels_without_class_names_may_be_any_numbers() -> None:
    """One an image."""
    made = dataset(labels=torch.tensor([7, 0, 7, 9]))

    assert made.labels is not None
    assert made.labels.tolist() == [7, 0, 7, 9]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (([0, 1], [2], [4]), "the splits of grey overlap or point past its 4 images"),
        (([0, 1], [2], [1]), "the splits of grey overlap or point past its 4 images"),
        (([0, 1], [2], [-1]), "the splits of grey hold row -1; rows count from 0"),
        (([0, 1], [], [2]), "split val of grey has no image"),
    ],
)
def test_splits_that_hold_no_images_are_refused(
    rows: tuple[Sequence[int], ...], message: str
) -> None:
    """A row below 0 would be another image once more."""
    with pytest.raises(ValueError, match=f"^{message}$"):
        dataset(*rows)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0], r"labels of grey have shape \(1,\) and not one for each of its 4 images"),
        ([[0]] * 4, r"labels of grey have shape \(4, 1\) and not one for each of its 4 images"),
        ([0, 1, 2, 0], "labels of grey lie from 0 to 2, and there are 2 classes"),
        ([0, 1, -1, 0], "labels of grey lie from -1 to 1, and there are 2 classes"),
    ],
)
def test_labels_that_fit_no_image_or_class_are_refused(labels: list[Any], message: str) -> None:
    """Each image has one, and each names a class if there are names."""
    with pytest.raises(ValueError, match=f"^{message}$"):
        dataset(labels=torch.tensor(labels), classes=("a", "b"))


def test_presence_of_other_images_is_refused() -> None:
    """It has a row an image."""
    presence = Presence(("a",), torch.zeros(3, 1))

    with pytest.raises(ValueError, match=r"^presence of grey does not have a row for each"):
        dataset(label_presence=presence)
