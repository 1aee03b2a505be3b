"""A target model from a repository with a `hubconf.py`, by consent alone."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from le_bench import hookimpl
from le_bench.components import ModelSource
from le_bench.errors import BenchError
from le_bench.networks.preprocessing import Channels, Interpolation, Preprocessing
from le_bench.networks.weights import load_weights
from le_bench.python_files import failure
from le_bench.types import TargetModel, require

Option = str | int | float | bool


@dataclass(frozen=True)
class TorchHubModel(ModelSource):
    """A network that an entry of a repository's `hubconf.py` builds, with weights from a file.

    `repository` is a folder on this machine: clone the repository and check out the commit that you
    have read, since its code is run. That needs `trust_remote_code = true`. Every file of the
    folder enters the cache key, so leave `.git` out (`git archive` does). `entry` gets `options` by
    keyword; give it what keeps it from downloading weights, mostly `pretrained = false`, since
    those of `checkpoint` are used. The other options are those of
    `le_bench.networks.preprocessing.Preprocessing`: input is (pixel / scale - mean) / std.
    """

    name: ClassVar[str] = "torch-hub"
    version: ClassVar[int] = 1
    reference: ClassVar[str] = "https://pytorch.org/docs/stable/hub.html"

    repository: Path
    entry: str
    checkpoint: Path
    trust_remote_code: bool = False
    options: Mapping[str, Option] = field(default_factory=dict, hash=False)
    mean: Channels = (0.0, 0.0, 0.0)
    std: Channels = (1.0, 1.0, 1.0)
    scale: float = 255.0
    resize: int | None = None
    crop: int | None = None
    squash: bool = False
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        require(
            self.trust_remote_code,
            f"the code in {self.repository} would be run; read it, then give "
            "`trust_remote_code = true`",
        )
        Preprocessing.of(self)

    def load(self, device: torch.device) -> TargetModel:
        """Run the entry, load the weights, in eval mode on `device`."""
        module = self._build()
        load_weights(module, self.checkpoint)
        return TargetModel(self.entry, module.to(device).eval(), Preprocessing.of(self), device)

    def skeleton(self) -> TargetModel:
        """The network as the entry gives it, on the CPU."""
        cpu = torch.device("cpu")
        return TargetModel(self.entry, self._build().eval(), Preprocessing.of(self), cpu)

    def _build(self) -> nn.Module:
        folder = str(self.repository)
        if not (self.repository / "hubconf.py").is_file():
            raise BenchError(f"{folder}: there is no hubconf.py; give the repository's own folder")
        with _without_traces(self.repository.resolve()), torch.random.fork_rng(devices=[]):
            try:
                module: object = torch.hub.load(  # type: ignore[no-untyped-call]  # torch's own
                    folder, self.entry, source="local", **self.options
                )
            except (Exception, SystemExit) as error:  # foreign code may raise anything
                raise BenchError(
                    f"{folder}: {self.entry} {failure(error)}; check the repository or the "
                    "model's `options`"
                ) from error
        if not isinstance(module, nn.Module):
            raise BenchError(
                f"{folder}: {self.entry} gave {type(module).__name__}; it must return a "
                "torch.nn.Module"
            )
        return module


@contextmanager
def _without_traces(folder: Path) -> Iterator[None]:
    """Write no bytecode into the folder, and forget the modules that were imported from it.

    Bytecode would change the folder's digest; another repository may have modules of these names.
    """
    wrote, before = sys.dont_write_bytecode, set(sys.modules)
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = wrote
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).resolve().is_relative_to(folder):
                del sys.modules[name]


@hookimpl
def le_bench_models() -> Iterable[type[ModelSource]]:
    """Offer networks of torch.hub-style repositories."""
    return [TorchHubModel]
