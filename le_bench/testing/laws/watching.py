"""Everything that a component is given, to see whether it is still the same afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from le_bench.testing.planted import PlantedMemory
from le_bench.testing.worlds import World
from le_bench.types import Evidence, ProbeView


@dataclass(frozen=True, slots=True, eq=False)
class WatchedMemory:
    """A memory that also keeps copies of what it was given."""

    inner: PlantedMemory = field(default_factory=PlantedMemory)
    given: dict[str, Tensor] = field(default_factory=dict)
    copies: dict[str, Tensor] = field(default_factory=dict)

    def remember(
        self, name: str, parts: Mapping[str, Any], compute: Callable[[], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """See `types.Memory`."""
        kept = self.inner.remember(name, parts, compute)
        for key, tensor in kept.items():
            title = f"'{key}' of the memory '{name}'"
            self.given.setdefault(title, tensor)
            self.copies.setdefault(title, tensor.clone())
        return kept


def tensors_of(evidence: Evidence, world: World) -> dict[str, Tensor | None]:
    """Every tensor that an explainer is given, by what it is called."""
    named: dict[str, Tensor | None] = {
        "train_activations": evidence.train_activations,
        "val_activations": evidence.val_activations,
    }
    for name, view in (("train", evidence.train), ("val", evidence.val)):
        named |= tensors_of_view(view, world, name)
    return named


def tensors_of_view(view: ProbeView, world: World, name: str) -> dict[str, Tensor | None]:
    """Every tensor of a view, by what it is called."""
    known = (("label_presence", view.label_presence), ("concept_presence", view.concept_presence))
    named: dict[str, Tensor | None] = {f"{name}.rows": view.rows, f"{name}.labels": view.labels}
    named |= {f"{name}.{what}": None if p is None else p.values for what, p in known}
    for encoder in world.encoders:
        named[f"the embeddings of {name} by '{encoder.label}'"] = view.encodings.images(encoder)
    return named
