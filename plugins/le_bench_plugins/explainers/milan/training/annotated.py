"""Annotated exemplars in the authors' format: a folder a layer, and annotations.csv."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from le_bench.errors import MissingFileError, UnreadableFileError
from le_bench_plugins.explainers.milan.captioner import Captioner
from le_bench_plugins.explainers.milan.exemplar_files import StoredExemplars


@dataclass(frozen=True, slots=True, eq=False)
class Annotated:
    """Features (n, K, F) of n units' exemplars, and what people said of each unit."""

    features: Tensor
    annotations: list[list[str]]


def read_annotated(root: Path, layer: str, captioner: Captioner) -> Annotated:
    """The units of one layer's folder that root/annotations.csv (layer, unit, summary) annotates.

    Raises UnreadableFileError if there is none.
    """
    said = _summaries(root / "annotations.csv", layer)
    stored = StoredExemplars.open(root / layer)
    places = [place for place, unit in enumerate(stored.units.tolist()) if unit in said]
    if not places:
        raise UnreadableFileError(
            f"{root / 'annotations.csv'}: no unit of layer '{layer}' is annotated; check the names"
        )
    features = captioner.look(len(stored.units), stored.count, stored.show(torch.tensor(places)))
    return Annotated(features[places], [said[int(stored.units[place])] for place in places])


def _summaries(path: Path, layer: str) -> dict[int, list[str]]:
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; it holds layer, unit and summary")
    found: dict[int, list[str]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            if row["layer"] == layer:
                found[int(row["unit"])].append(row["summary"])
    return found
