"""A target model from a Python file and a file of weights."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import torch
from torch import nn

from le_bench import hookimpl
from le_bench.components import ModelSource
from le_bench.errors import BenchError, MissingFileError, unknown_name
from le_bench.networks.preprocessing import Channels, Interpolation, Preprocessing
from le_bench.networks.weights import load_weights
from le_bench.python_files import failure, run_file
from le_bench.types import TargetModel

Option = str | int | float | bool


@dataclass(frozen=True)
class FactoryModel(ModelSource):
    """A network that a function in a Python file builds, with weights from a checkpoint.

    `factory` names the file and `function` the function in it, which gets `options` by keyword
    and returns the network; the file is run, so give only files that you trust, and it must not
    import files beside it, since only its own content enters the cache key. `checkpoint` is a
    `.safetensors` file or a state dict saved by `torch.save`, loaded without running code and
    with every name and shape matching; without it the weights are those that the function gives,
    which must then not be random. The other options are those of
    `le_bench.networks.preprocessing.Preprocessing`: input is (pixel / scale - mean) / std.
    """

    name: ClassVar[str] = "factory"
    version: ClassVar[int] = 1

    factory: Path
    function: str
    options: Mapping[str, Option] = field(default_factory=dict, hash=False)
    checkpoint: Path | None = None
    mean: Channels = (0.0, 0.0, 0.0)
    std: Channels = (1.0, 1.0, 1.0)
    scale: float = 255.0
    resize: int | None = None
    crop: int | None = None
    squash: bool = False
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        Preprocessing.of(self)

    def load(self, device: torch.device) -> TargetModel:
        """Run the file, build the network and load its weights, in eval mode on `device`."""
        module = self._build()
        if self.checkpoint is not None:
            load_weights(module, self.checkpoint)
        return TargetModel(self.function, module.to(device).eval(), Preprocessing.of(self), device)

    def skeleton(self) -> TargetModel:
        """The network as the function gives it, on the CPU."""
        cpu = torch.device("cpu")
        return TargetModel(self.function, self._build().eval(), Preprocessing.of(self), cpu)

    def _build(self) -> nn.Module:
        function = self._function(_import_file(self.factory))
        try:
            module = function(**self.options)
        except (Exception, SystemExit) as error:
            raise BenchError(
                f"{self.factory}: {self.function}({_written(self.options)}) {failure(error)}; "
                "mend the function or the model's `options`"
            ) from error
        if not isinstance(module, nn.Module):
            raise BenchError(
                f"{self.factory}: {self.function}({_written(self.options)}) gave "
                f"{type(module).__name__}; it must return a torch.nn.Module"
            )
        return module

    def _function(self, module: ModuleType) -> Callable[..., Any]:
        function = vars(module).get(self.function)
        if not callable(function):
            own = [
                name
                for name, value in vars(module).items()
                if callable(value) and getattr(value, "__module__", "") == module.__name__
            ]
            raise BenchError(f"{self.factory}: {unknown_name('function', self.function, own)}")
        found: Callable[..., Any] = function
        return found


def _import_file(path: Path) -> ModuleType:
    """The module of a Python file, under a name made from its content, run once a process."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MissingFileError(f"{path}: no such file; check the path") from error
    name = f"le_bench_factory_{hashlib.sha256(content).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    try:
        return run_file(path, name)
    except (Exception, SystemExit) as error:
        raise BenchError(f"{path}: running the file {failure(error)}; mend the file") from error


def _written(options: Mapping[str, Option]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


@hookimpl
def le_bench_models() -> Iterable[type[ModelSource]]:
    """Offer models built by a function in a file."""
    return [FactoryModel]
