"""Presence of concepts as labels imply it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from le_bench.errors import BenchError, unknown_name
from le_bench.types import Images, Presence, ProbeDataset, Split, require


def label_presence(
    labels: Tensor,
    classes: Sequence[str],
    superclasses: Mapping[str, Sequence[str | int]] | None = None,
) -> Presence:
    """What labels imply: one column a class, then one a superclass, 1 where it holds, else 0.

    `labels` (N,) int64 indexes `classes`; `superclasses` gives for each superclass its classes, by
    name or by number. Columns keep the order given, (N, C) float32. A class name that several
    classes share stands for all of them; a superclass may bear the name of a class and still has a
    column of its own, as in the paper's ImageNet hierarchy. Raises BenchError for a superclass of
    no class or of one that does not exist.

    Source: "Linear Explanations for Individual Neurons", section 3, LE(Label).

    >>> presence = label_presence(torch.tensor([0, 2]), ["cat", "dog", "car"], {"pet": ["cat"]})
    >>> presence.concepts, presence.values.tolist()
    (('cat', 'dog', 'car', 'pet'), [[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]])
    """
    superclasses = superclasses or {}
    require(labels.ndim == 1, f"labels have shape {tuple(labels.shape)}, not (images,)")
    require(
        len(labels) == 0 or (int(labels.min()) >= 0 and int(labels.max()) < len(classes)),
        f"labels do not all lie between 0 and {len(classes) - 1}",
    )
    numbers: dict[str, list[int]] = {}
    for number, name in enumerate(classes):
        numbers.setdefault(name, []).append(number)
    members = torch.zeros(len(classes), len(superclasses))
    for column, (superclass, own) in enumerate(superclasses.items()):
        if not own:
            raise BenchError(
                f"superclass '{superclass}' has no class; name its classes or remove it"
            )
        for each in own:
            if isinstance(each, str) and each not in numbers:
                raise BenchError(
                    f"superclass '{superclass}': {unknown_name('class', each, classes)}"
                )
            members[numbers[each] if isinstance(each, str) else each, column] = 1.0
    one_class_each = torch.cat([torch.eye(len(classes)), members], dim=1)
    return Presence((*classes, *superclasses), one_class_each[labels])


def union_by_name(presence: Presence, concepts: Sequence[str]) -> tuple[Tensor, list[str]]:
    """Presence of these concepts by name, (N, C), and the names that are not known.

    Where several columns bear a name, the largest value counts: the concept is present if any of
    them says so. Columns of unknown names are NaN.
    """
    columns: dict[str, list[int]] = {}
    for column, concept in enumerate(presence.concepts):
        columns.setdefault(concept, []).append(column)
    known = [place for place, concept in enumerate(concepts) if concept in columns]
    values = torch.full((len(presence.values), len(concepts)), float("nan"))
    values[:, known] = presence.values[:, [columns[concepts[place]][0] for place in known]].float()
    for place in known:
        if len(columns[concepts[place]]) > 1:
            values[:, place] = presence.values[:, columns[concepts[place]]].amax(1).float()
    return values, [concept for concept in concepts if concept not in columns]


def labelled_dataset(
    name: str,
    images: Images,
    *,
    splits: Mapping[Split, Tensor],
    labels: Tensor,
    classes: tuple[str, ...],
    superclasses: Mapping[str, Sequence[str | int]],
    unreadable: tuple[str, ...] = (),
) -> ProbeDataset:
    """A probe dataset whose ground truth and vocabulary are its classes and superclasses.

    Names of classes have no spaces around them, like those of concept sets. Superclasses are
    sorted by name: cache keys do not see the order of a table.
    """
    classes = tuple(each.strip() for each in classes)
    presence = label_presence(labels, classes, dict(sorted(superclasses.items())))
    return ProbeDataset(
        name,
        images,
        splits,
        labels=labels,
        classes=classes,
        label_presence=presence,
        vocabulary=tuple(dict.fromkeys(presence.concepts)),
        unreadable=unreadable,
    )
