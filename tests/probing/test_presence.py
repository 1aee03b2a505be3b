"""Presence as labels imply it, and presence looked up by name."""

from __future__ import annotations

import pytest
import torch

from le_bench.errors import BenchError
from le_bench.probing.presence import label_presence, union_by_name
from le_bench.types import Presence

CLASSES = ("cat", "dog", "car", "boat")


def test_classes_are_one_hot_and_superclasses_sum_their_classes() -> None:
    """The oracle: torch's one-hot, and sums of its columns."""
    labels = torch.tensor([2, 0, 3, 1, 1])

    presence = label_presence(
        labels, CLASSES, {"animal": ["cat", "dog"], "vehicle": ["car", "boat"], "pet": ["dog"]}
    )

    one_hot = torch.nn.functional.one_hot(labels, 4).float()
    assert presence.concepts == (*CLASSES, "animal", "vehicle", "pet")
    assert torch.equal(presence.values[:, :4], one_hot)
    assert torch.equal(presence.values[:, 4], one_hot[:, :2].sum(1))
    assert torch.equal(presence.values[:, 5], one_hot[:, 2:].sum(1))
    assert torch.equal(presence.values[:, 6], one_hot[:, 1])
    assert presence.values.dtype == torch.float32


def test_without_superclasses_there_are_classes_alone() -> None:
    """Superclasses are optional."""
    presence = label_presence(torch.tensor([1]), CLASSES)

    assert presence.concepts == CLASSES
    assert presence.values.tolist() == [[0, 1, 0, 0]]


def test_shared_names_keep_their_columns() -> None:
    """Two classes of one name have a column each, both count for a superclass of any name."""
    presence = label_presence(
        torch.tensor([0, 1, 2]), ["missile", "missile", "mask"], {"mask": ["mask", "missile"]}
    )

    assert presence.concepts == ("missile", "missile", "mask", "mask")
    assert presence.values.tolist() == [[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1]]


def test_superclass_of_an_unknown_class_is_named() -> None:
    """With the nearest class."""
    with pytest.raises(BenchError) as caught:
        label_presence(torch.tensor([0]), CLASSES, {"vehicle": ["car", "boot"]})

    assert str(caught.value) == ("superclass 'vehicle': unknown class 'boot'; did you mean 'boat'?")


def test_superclass_of_nothing_is_named() -> None:
    """A constant concept is no concept."""
    with pytest.raises(BenchError) as caught:
        label_presence(torch.tensor([0]), CLASSES, {"ghost": []})

    assert str(caught.value) == "superclass 'ghost' has no class; name its classes or remove it"


@pytest.mark.parametrize("label", [-1, 4])
def test_labels_must_name_a_class(label: int) -> None:
    """A label without a class is a fault of the caller."""
    with pytest.raises(ValueError, match="labels do not all lie between 0 and 3"):
        label_presence(torch.tensor([0, label]), CLASSES)


def test_lookup_by_name_unites_columns_of_one_name() -> None:
    """A concept is present if any column of its name says so; unknown names are NaN and listed."""
    presence = Presence(
        ("missile", "cat", "missile"), torch.tensor([[1.0, 0.25, 0.0], [0.0, 0.5, 0.75]])
    )

    values, missing = union_by_name(presence, ["cat", "ghost", "missile", "spirit"])

    assert missing == ["ghost", "spirit"]
    assert values[:, [0, 2]].tolist() == [[0.25, 1.0], [0.5, 0.75]]
    assert bool(values[:, [1, 3]].isnan().all())


def test_lookup_of_nothing_is_empty() -> None:
    """No names give no columns."""
    values, missing = union_by_name(Presence(("cat",), torch.ones(3, 1)), [])

    assert values.shape == (3, 0)
    assert missing == []
