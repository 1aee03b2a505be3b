"""What an experiment is: components under the names that boards show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from le_bench.components import (
    Component,
    DatasetSource,
    Encoder,
    Explainer,
    ModelSource,
    Scorer,
    Simulator,
)
from le_bench.types import ImpactOptions, Layer, Precision

C = TypeVar("C", bound=Component)


@dataclass(frozen=True, slots=True)
class Row(Generic[C]):
    """A component under the name that boards show."""

    id: str
    component: C


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A target model under the name that boards show, with the layers to explain."""

    id: str
    component: ModelSource
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Experiment:
    """What is run: every explainer on every layer, under every simulator, by every scorer.

    `units` limits each layer to its first units (None: all). `published` holds figures of papers
    (see `read_published`) by (model, layer, explainer, simulator, scorer); `compare` names pairs of
    explainers whose difference the board shows; `impact` asks for the Top Impact of every layer.
    Unless `allow_same_encoder`, a simulator never judges an explainer that used the very same
    encoder.
    Networks compute in `precision` where they are recorded or embed images (ablation stays fp32);
    embeddings of images are kept as `embeddings` (fp32 or fp16).
    """

    name: str
    title: str
    description: str
    seed: int
    dataset: Row[DatasetSource]
    encoders: Mapping[str, Encoder]
    models: tuple[ModelRow, ...]
    explainers: tuple[Row[Explainer], ...]
    simulators: tuple[Row[Simulator], ...]
    scorers: tuple[Row[Scorer], ...]
    published: Mapping[tuple[str, ...], Mapping[str, float]] = field(default_factory=dict)
    compare: tuple[tuple[str, str], ...] = ()
    units: int | None = None
    precision: Precision = "fp32"
    embeddings: Precision = "fp32"
    allow_same_encoder: bool = False
    impact: ImpactOptions | None = None
