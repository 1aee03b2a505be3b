"""The layers of a model row: paths, wildcards, pooling, directions and channels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from le_bench.components import ModelSource
from le_bench.errors import BenchError, unknown_name
from le_bench.networks.layers import canonical_path, expand_path
from le_bench.planning.options import Faults
from le_bench.planning.paths import resolve_path
from le_bench.types import Channels, Layer, Pooling

ROW_NAME = re.compile(r"[^\x00-\x1f/\\|]{1,80}")
KEYS = ("path", "pooling", "directions", "channels", "id")


def dotted(path: str) -> str:
    """A module path with the spelling `mlp[1]` turned into `mlp.1`.

    >>> dotted("encoder.layers[11].mlp[1]")
    'encoder.layers.11.mlp.1'
    """
    return re.sub(r"\[(\d+)\]", r".\1", path)


@dataclass(frozen=True, slots=True)
class LayerReader:
    """Reads the layers of one model row; notes faults at `where` and goes on.

    `model` is None if the row has faults already. `folder` is where relative paths begin.
    """

    model: ModelSource | None
    folder: Path
    where: str
    faults: Faults

    def read(self, given: Any) -> tuple[Layer, ...]:
        """The layers in order, each under a name of its own."""
        if not isinstance(given, list) or not given:
            self._fault("layers must be a list of module paths such as ['layer4']")
            return ()
        layers: list[Layer] = []
        for item in given:
            for layer in self._layers_of(item):
                if str(layer) in map(str, layers):
                    named = "; give its `directions` an `id`" if layer.directions else ""
                    self._fault(f"layer '{layer}' is listed twice{named}")
                layers.append(layer)
        return tuple(layers)

    def _layers_of(self, item: Any) -> list[Layer]:
        known = isinstance(item, Mapping) and set(item) <= set(KEYS)
        options = item if known else {"path": item}
        path, pooling = options.get("path"), options.get("pooling", "avg")
        if not isinstance(path, str) or not path:
            self._fault(f"a layer is a path or a table of {', '.join(KEYS)}, not {item!r}")
            return []
        if pooling not in get_args(Pooling):
            self._fault(unknown_name("pooling", str(pooling), get_args(Pooling)))
            return []
        channels = options.get("channels")
        if channels is not None and channels not in get_args(Channels):
            self._fault(unknown_name("channels", str(channels), get_args(Channels)))
            return []
        directions, name = self._directions(options.get("directions")), options.get("id", "")
        if "id" in options and directions is None:
            self._fault(f"the `id` of a layer names its `directions`, and '{path}' has none")
            return []
        if "id" in options and not (isinstance(name, str) and ROW_NAME.fullmatch(name)):
            self._fault(f"id must be 1 to 80 characters without / \\ |, not {name!r}")
            return []
        found = self._expanded(path)
        return [Layer(each, pooling, directions, channels, name) for each in found]

    def _expanded(self, path: str) -> Sequence[str]:
        """The module paths that wildcards or indices stand for, or the path itself."""
        if "*" not in path and "[" not in path:
            return [path]
        if self.model is None:
            return []
        try:
            module = self.model.skeleton().module
            if "*" in path:
                return expand_path(module, dotted(path))
            return [canonical_path(module, path)]
        except BenchError as error:
            self._fault(str(error))
            return []

    def _directions(self, given: Any) -> Path | None:
        """The file of a layer's directions, if any."""
        if given is None:
            return None
        try:
            if isinstance(given, str) and (path := resolve_path(given, self.folder)).is_file():
                return path
        except BenchError as error:
            self._fault(f"directions: {error}")
        else:
            self._fault(f"directions must name a safetensors file, not {given!r}")
        return Path(str(given))

    def _fault(self, message: str) -> None:
        self.faults.add(self.where, message)
