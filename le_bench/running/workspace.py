"""What a process needs to compute steps: the plan, the store, a device, and what it has loaded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from time import perf_counter
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from le_bench.components import Component, Encoder
from le_bench.errors import BenchError
from le_bench.fingerprint import digest
from le_bench.networks.batch_size import find_batch_size
from le_bench.networks.kept_maps import KeptMaps
from le_bench.networks.maps import LayerMaps
from le_bench.networks.precision import computing_in
from le_bench.planning.experiment import ModelRow
from le_bench.planning.plan import NUMERICS, Plan, Step
from le_bench.probing.guarded import OwnImages, OwnMasks
from le_bench.running.seeds import seeded, step_seed
from le_bench.running.store import Artifact, Store
from le_bench.types import WORKING_BYTES, Calibration, ProbeDataset, ProbeView, Split, TargetModel

T = TypeVar("T")

KEPT_BYTES = 2**30  # artifacts kept in memory between steps


class MissingInputError(Exception):
    """A stored value that a step reads is gone or damaged; `key` says which step makes it."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


@dataclass(eq=False)
class Workspace:
    """Loads each thing once.

    `batch_size` images go through a target model at a time; `working_bytes` of the device are for a
    component to work in. With `auto_batch`, loading a model sets `batch_size` to what that memory
    holds. With `channels_last` the weights of target models are laid out so.
    """

    plan: Plan
    store: Store
    device: torch.device
    batch_size: int = 256
    working_bytes: int = WORKING_BYTES
    auto_batch: bool = False
    channels_last: bool = False
    _kept: OrderedDict[str, Artifact] = field(default_factory=OrderedDict)
    _model: tuple[str, TargetModel] | None = None
    _maps: tuple[tuple[str, str], KeptMaps] | None = None
    _texts: dict[Encoder, dict[str, Tensor]] = field(default_factory=dict)
    _latest: dict[str, tuple[str, Any]] = field(default_factory=dict)

    @cached_property
    def dataset(self) -> ProbeDataset:
        """The probe dataset, loaded at first use."""
        source = self.plan.experiment.dataset.component
        with self.seeded(source):
            return source.load()

    def model(self, row: ModelRow) -> TargetModel:
        """The target model of a row; the latest one stays loaded."""
        if self._model is None or self._model[0] != row.id:
            self._model = None  # let the previous one go before the next one comes
            with self.seeded(row.component):
                model = row.component.load(self.device)
            self._model = (row.id, self._prepared(model))
        return self._model[1]

    def encode_texts(self, encoder: Encoder, texts: Sequence[str]) -> Tensor:
        """(C, D) as the encoder gives it; the first use of an encoder loads it."""
        with self.seeded(encoder):
            return encoder.encode_texts(texts, self.device)

    def encode_images(self, encoder: Encoder) -> Tensor:
        """(N, D) of all probe images, as the encoder gives it."""
        images, precision = self.dataset.images, self.plan.experiment.precision
        with self.seeded(encoder), computing_in(precision, self.device):
            return encoder.encode_images(images, self.device)

    def seeded(self, component: Component) -> AbstractContextManager[None]:
        """Global random generators that depend on the component alone, to load it by.

        It may be loaded before the first step or in any of them, here or in another process.
        """
        return seeded(step_seed(0, self.plan.digests[component]), self.device)

    def _prepared(self, model: TargetModel) -> TargetModel:
        """A loaded model as this run wants it computed."""
        model = replace(model, precision=self.plan.experiment.precision)
        if self.channels_last:
            model.module.to(memory_format=torch.channels_last)
        if self.auto_batch:
            image = model.preprocess(self.dataset.images.read([0]))
            self.batch_size = find_batch_size(model, image, self.working_bytes)
        return model

    def artifact(self, key: str) -> Artifact:
        """What an earlier step gave, fully checked. Raises MissingInputError if it is not whole."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        step = self.plan.steps[key]
        artifact = self.store.read(step.stage, key)
        if artifact is None:
            raise MissingInputError(key)
        self._kept[key] = artifact
        while sum(map(_num_bytes, self._kept.values())) > KEPT_BYTES and len(self._kept) > 1:
            self._kept.popitem(last=False)
        return artifact

    def latest(self, kind: str, key: str, make: Callable[[], T]) -> T:
        """What `make` gives; the latest thing of a kind is kept for those who ask with its key."""
        if kind not in self._latest or self._latest[kind][0] != key:
            self._latest.pop(kind, None)
            self._latest[kind] = (key, make())
        kept: T = self._latest[kind][1]
        return kept

    def activations(self, key: str) -> Tensor:
        """(N, U) of all probe images, from a record step, limited to the experiment's units."""
        return self.artifact(key).tensors["values"][:, : self.plan.experiment.units]

    def maps(self, step: Step, rows: Tensor) -> KeptMaps:
        """The maps of a step's layer for the images in `rows`; those of the latest layer are kept.

        They take at most twice the working memory.
        """
        if step.model is None or step.layer is None:
            raise TypeError("a step without model and layer has no maps")
        place = (step.model.id, str(step.layer))
        if self._maps is None or self._maps[0] != place:
            self._maps = None  # let the previous ones go before the next ones come
            images = OwnImages(self.dataset.images, rows)
            num_units = self.activations(step.inputs[0]).shape[1]
            maps = LayerMaps(
                self.model(step.model), images, step.layer, int(rows[0]), num_units, self.batch_size
            )
            self._maps = (place, KeptMaps(maps, rows, 2 * self.working_bytes))
        self._maps[1].begin()
        return self._maps[1]

    def known_texts(self, encoder: Encoder) -> dict[str, Tensor]:
        """Embedded texts of an encoder, to be added to: free texts are encoded once a process."""
        return self._texts.setdefault(encoder, {})

    def view(self, step: Step, split: Split) -> ProbeView:
        """The images of one split, with the embeddings that `step` depends on."""
        dataset = self.dataset
        rows = dataset.splits[split]
        labels, by_label, annotated = (
            dataset.labels,
            dataset.label_presence,
            dataset.concept_presence,
        )
        return ProbeView(
            split=split,
            rows=rows.clone(),
            encodings=StoredEncodings(self, step, rows),
            labels=None if labels is None else labels[rows],
            label_presence=None if by_label is None else by_label.take(rows),
            concept_presence=None if annotated is None else annotated.take(rows),
            images=OwnImages(dataset.images, rows),
            masks=None if dataset.masks is None else OwnMasks(dataset.masks, rows),
        )

    def own_texts(self) -> tuple[str, ...]:
        """Every text that the dataset itself may make a concept of, without repetition."""
        dataset = self.dataset
        texts = list(dataset.vocabulary)
        for presence in (dataset.label_presence, dataset.concept_presence):
            texts += presence.concepts if presence else ()
        return tuple(dict.fromkeys(texts))


class StoredEncodings:
    """The embeddings that a step's inputs hold, of the images in `rows` alone.

    Texts beyond the inputs are encoded on the spot. What is handed out is a copy.
    """

    def __init__(self, workspace: Workspace, step: Step, rows: Tensor) -> None:
        self._workspace = workspace
        self._rows = rows
        self._images: dict[Encoder, Tensor] = {}
        self._inputs = [workspace.plan.steps[key] for key in step.inputs]

    def images(self, encoder: Encoder) -> Tensor:
        """(N, D), rows of length 1 for the images of the view and NaN for all others."""
        if encoder not in self._images:
            step = self._of(encoder, "embed-images")[0]
            values = self._workspace.artifact(step.key).tensors["values"].float()
            own = torch.full_like(values, torch.nan)
            own[self._rows] = values[self._rows]
            self._images[encoder] = own
        return self._images[encoder]

    def texts(self, encoder: Encoder, texts: Sequence[str]) -> Tensor:
        """(C, D), rows of length 1."""
        known = self._workspace.known_texts(encoder)
        for step in self._of(encoder, "embed-texts"):
            artifact = self._workspace.artifact(step.key)
            known |= zip(artifact.record["texts"], artifact.tensors["values"], strict=True)
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            values = unit_rows(self._workspace.encode_texts(encoder, missing))
            known |= zip(missing, values, strict=True)
        return torch.stack([known[text] for text in texts])

    def calibration(self, encoder: Encoder) -> Calibration:
        """The constants given with the encoder or fitted on this dataset.

        Raises BenchError if there are none and no labels to fit them on.
        """
        record = self._workspace.artifact(self._of(encoder, "calibrate")[0].key).record
        if "impossible" in record:
            raise BenchError(record["impossible"])
        return Calibration(
            record["a"],
            record["b"],
            record["source"],
            float("nan") if record["cross_entropy"] is None else record["cross_entropy"],
        )

    def _of(self, encoder: Encoder, stage: str) -> list[Step]:
        steps = [s for s in self._inputs if s.stage == stage and s.encoder == encoder]
        if not steps:
            raise BenchError(
                f"encoder '{encoder.name}' was not prepared for this component; declare it as a "
                "field of type Encoder so that the core embeds images and texts beforehand"
            )
        return steps


class StoredMemory:
    """Shares intermediate tensors between the explainers of one layer, through the store.

    `seconds` is what the tensors taken from here cost when they were computed, so that an
    explainer that finds them ready is charged for them all the same.
    """

    def __init__(self, workspace: Workspace, step: Step) -> None:
        self._workspace = workspace
        self._step = step
        self.seconds = 0.0

    def remember(
        self, name: str, parts: Mapping[str, Any], compute: Callable[[], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """See `types.Memory`. The caller's version and all inputs of the step are in the key."""
        explainer = self._step.explainer
        experiment = self._workspace.plan.experiment
        content = {
            "numerics": NUMERICS,
            "name": name,
            "parts": dict(parts),
            "inputs": list(self._step.inputs),
            "units": experiment.units,
            "seed": experiment.seed,
            "version": explainer.component.version if explainer else 0,
            "origin": self._workspace.plan.origins.get(type(explainer.component), "")
            if explainer
            else "",
        }
        key = digest(content)
        found = self._workspace.store.read("shared", key)
        if found is not None:
            self.seconds += found.seconds
            return dict(found.tensors)
        start = perf_counter()
        tensors = compute()
        artifact = Artifact(tensors, {}, perf_counter() - start)
        self._workspace.store.write("shared", key, artifact, f"{name} for {self._step.title}")
        return tensors


def unit_rows(values: Tensor) -> Tensor:
    """Rows (N, D) scaled to Euclidean length 1 in float32; a row of zeros stays."""
    return functional.normalize(values.float(), dim=1)


def _num_bytes(artifact: Artifact) -> int:
    return sum(tensor.nbytes for tensor in artifact.tensors.values())
