"""Recording pooled activations of a target model's layers with forward hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from le_bench.errors import LayerError
from le_bench.networks.batches import READERS, read_batches
from le_bench.networks.directions import Directions, read_directions
from le_bench.networks.layers import (
    HOW_TO_LIST,
    channels_first,
    first_tensor,
    list_layers,
    pool,
    resolve_layers,
)
from le_bench.networks.precision import computing_in
from le_bench.types import Activations, Images, Layer, TargetModel

__all__ = ["list_layers", "record_activations", "resolve_layers"]

BATCH_SIZE = 256


class PassEnded(Exception):  # noqa: N818  # it is no error
    """Ends a forward pass after the last layer that is needed; never leaves this room."""


@dataclass(eq=False)
class _Recorder:
    """Keeps the pooled output of one layer; `batch` is that of the pass under way."""

    layer: Layer
    num_images: int
    directions: Directions | None = None
    values: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    rows: range = range(0)
    calls: int = 0

    def keep(self, output: object) -> None:
        """Pool and copy the layer's output at once, before an in-place layer overwrites it."""
        self.calls += 1
        if self.calls > 1:
            raise LayerError(
                f"layer '{self.layer.path}' runs more than once in a forward pass, so its "
                f"activations are ambiguous; choose a layer that runs once: {HOW_TO_LIST}"
            )
        tensor = first_tensor(output)
        if tensor is None:
            raise LayerError(
                f"layer '{self.layer.path}' gives {type(output).__name__} without a tensor; "
                f"choose another layer: {HOW_TO_LIST}"
            )
        if tensor.ndim == 0 or tensor.shape[0] != len(self.rows):
            raise LayerError(
                f"layer '{self.layer.path}' gives shape {tuple(tensor.shape)} for "
                f"{len(self.rows)} images, which do not come first; choose another layer: "
                f"{HOW_TO_LIST}"
            )
        pooled = self._pooled(channels_first(tensor.detach(), self.layer))
        if self.values.numel() == 0:
            self.values = torch.empty(self.num_images, pooled.shape[1])
        self.values[self.rows.start : self.rows.stop] = pooled.cpu()

    def _pooled(self, tensor: Tensor) -> Tensor:
        if self.directions is None:
            return pool(tensor, self.layer)
        self.directions = self.directions.to(tensor.device)
        return self.directions.pooled(tensor, self.layer)


def record_activations(
    model: TargetModel,
    images: Images,
    layers: Sequence[Layer],
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int, int], None] | None = None,
    *,
    readers: int = READERS,
) -> dict[Layer, Activations]:
    """Pooled activations (N, U) of all these layers, from one forward pass over the images.

    Outputs are pooled in float32 inside the hook and copied, so that an in-place layer behind the
    recorded one does not reach them; of a tuple the first tensor counts. Memory holds three batches
    of input (`readers` threads read ahead) and N x U numbers a layer. After the first batch a pass
    ends behind the last recorded layer.
    `progress` is told (images done, N) after each batch. Hooks are removed however this ends.

    Raises LayerError for a layer that does not exist, does not run or runs twice in a pass, gives
    no tensor with images first, or does not fit its pooling or `channels`.

    The authors keep activations as float16, which changes them on the second run (relative error
    5e-4, infinity above 65504); here they stay float32.
    """
    modules = resolve_layers(model.module, layers)
    recorders = [_Recorder(layer, len(images), _directions(layer)) for layer in layers]
    everything = range(len(images))
    reading = read_batches(
        images, everything, model.preprocess, batch_size, model.device, readers=readers
    )
    with closing(reading) as batches, _hooked(modules, recorders) as stop_early:
        for rows, batch in batches:
            for recorder in recorders:
                recorder.rows, recorder.calls = range(rows[0], rows[-1] + 1), 0
            try:
                # inference_mode would make tensors that explainers cannot take gradients through
                with torch.no_grad(), computing_in(model.precision, model.device):
                    model.module(batch)
            except PassEnded:
                pass
            _require_all_ran(recorders)
            stop_early()
            if progress is not None:
                progress(rows[-1] + 1, len(images))
    return {recorder.layer: Activations(recorder.layer, recorder.values) for recorder in recorders}


def _directions(layer: Layer) -> Directions | None:
    return None if layer.directions is None else read_directions(layer.directions)


@contextmanager
def _hooked(
    modules: Sequence[nn.Module], recorders: Sequence[_Recorder]
) -> Iterator[Callable[[], None]]:
    """Hooks on all modules; calling what this gives makes passes end behind the last of them.

    The first pass must be whole, or a layer that runs twice would not be noticed.
    """
    early = False

    def stop_early() -> None:
        nonlocal early
        early = True

    def hook_of(recorder: _Recorder) -> Callable[[nn.Module, object, object], None]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            recorder.keep(output)
            if early and all(each.calls for each in recorders):
                raise PassEnded

        return hook

    with ExitStack() as stack:
        for module, recorder in zip(modules, recorders, strict=True):
            handle = module.register_forward_hook(hook_of(recorder))
            stack.callback(handle.remove)
        yield stop_early


def _require_all_ran(recorders: Sequence[_Recorder]) -> None:
    idle = [f"'{recorder.layer.path}'" for recorder in recorders if recorder.calls == 0]
    if idle:
        raise LayerError(
            f"the forward pass does not run {' and '.join(idle)} (the network may use a shortcut "
            f"that bypasses the module); choose another layer: {HOW_TO_LIST}"
        )
