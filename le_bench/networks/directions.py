"""Units that are directions over a layer: a linear map of its units, or a sparse autoencoder.

A file of directions is a safetensors file in one of two layouts, for a layer of U units:

- a linear map as nn.Linear has it: `weight` (L, U) and, if there is one, `bias` (L,);
- an encoder as SAELens has it: `W_enc` (U, L), `b_enc` (L,), and `b_dec` (U,) if it has one.
  `W_dec` may be there and is not read.

A file with any other tensor, such as a gated encoder, is refused.
What the numbers do not say stands in the file's metadata, which is text by key: `activation`
("none", "relu", "topk" or "jumprelu"; a linear map without it has none), `k` for topk, and
`apply_b_dec_to_input` ("true" or "false") where there is a `b_dec`. jumprelu needs `threshold`
(L,). Write it with `safetensors.torch.save_file(tensors, path, metadata={"activation": "relu"})`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast, get_args

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from le_bench.errors import LayerError, MissingFileError, UnreadableFileError, unknown_name
from le_bench.networks.layers import pool
from le_bench.types import WORKING_BYTES, Layer

Activation = Literal["none", "relu", "topk", "jumprelu"]
ENCODER = ("W_enc", "b_enc", "b_dec", "threshold", "W_dec")
LINEAR_MAP = ("weight", "bias", "b_dec", "threshold")


@dataclass(frozen=True, eq=False)
class Directions:
    """L directions over U units: `weight` (U, L), `bias` (L,), `centre` (U,) float32.

    `threshold` (L,) is that of jumprelu, `k` that of topk.
    """

    weight: Tensor
    bias: Tensor
    centre: Tensor
    threshold: Tensor
    activation: Activation = "none"
    k: int = 0

    def __call__(self, values: Tensor) -> Tensor:
        """Latents (..., L) float32 of values (..., U): activation((values - centre) W + bias).

        topk keeps the k largest of the L at each position where they are above 0; the others are
        0. jumprelu keeps what is above its threshold as it is.
        """
        latents = (values.float() - self.centre) @ self.weight + self.bias
        if self.activation == "relu":
            return latents.relu_()
        if self.activation == "topk":
            kept = latents.topk(self.k, dim=-1)
            return torch.zeros_like(latents).scatter_(-1, kept.indices, kept.values.relu())
        if self.activation == "jumprelu":
            return latents * (latents > self.threshold)
        return latents

    def to(self, device: torch.device) -> Directions:
        """The same on another device."""
        return replace(
            self,
            weight=self.weight.to(device),
            bias=self.bias.to(device),
            centre=self.centre.to(device),
            threshold=self.threshold.to(device),
        )

    def maps(self, maps: Tensor, layer: Layer) -> Iterator[Tensor]:
        """Latents (B, L, h, w) of maps (N, U, h, w), some images at a time.

        As many images as keep latents within WORKING_BYTES, at least one.
        """
        self._require_fit(maps, 1, layer)
        for part in self._parts(maps, maps.shape[2] * maps.shape[3]):
            yield self(part.movedim(1, -1)).movedim(-1, 1)

    def pooled(self, output: Tensor, layer: Layer) -> Tensor:
        """Latents at each position of a layer's output, then pooled as `layers.pool` does, (N, L).

        Raises LayerError if the output does not have U units or its shape does not fit the pooling.
        """
        if output.ndim == 4:
            self._require_fit(output, 1, layer)
            return torch.cat([pool(latents, layer) for latents in self.maps(output, layer)])
        self._require_fit(output, output.ndim - 1, layer)
        if output.ndim == 3 and layer.pooling == "first":
            output = output[:, :1]
        positions = output.shape[1] if output.ndim == 3 else 1
        return torch.cat([pool(self(part), layer) for part in self._parts(output, positions)])

    def _parts(self, output: Tensor, positions: int) -> tuple[Tensor, ...]:
        rows = max(1, WORKING_BYTES // (4 * positions * self.weight.shape[1]))
        return torch.split(output, rows)

    def _require_fit(self, output: Tensor, dim: int, layer: Layer) -> None:
        expected, given = self.weight.shape[0], output.shape[dim]
        if given != expected:
            raise LayerError(
                f"layer '{layer.path}' has {given} units, but {layer.directions} holds directions "
                f"over {expected}; give the layer that they were made for"
            )


def read_directions(path: Path) -> Directions:
    """The directions of a file. Raises MissingFileError or UnreadableFileError."""
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; check the path")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UnreadableFileError(
            f"{path}: this is no safetensors file ({error}); fetch or save it again"
        ) from error
    try:
        return _of_tensors(tensors, metadata)
    except ValueError as error:
        raise UnreadableFileError(f"{path}: {error}") from error


def _of_tensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Directions:
    """Directions of a file's content. Raises ValueError with what is wrong."""
    _require_known(tensors)
    for name in ("W_enc", "weight"):
        if name in tensors and (tensors[name].ndim != 2 or 0 in tensors[name].shape):
            raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}, not two axes")
    if "W_enc" in tensors:
        weight, bias = tensors["W_enc"], tensors["b_enc"]
        if "activation" not in metadata:
            raise ValueError(
                "its metadata does not say the activation of the encoder; save it with "
                f"metadata={{'activation': ...}}, one of {', '.join(get_args(Activation))}"
            )
    else:
        weight = tensors["weight"].t()
        bias = tensors.get("bias", torch.zeros(weight.shape[1]))
    units, latents = weight.shape
    threshold = tensors.get("threshold")
    centre = tensors["b_dec"] if _centred(tensors, metadata) else torch.zeros(units)
    activation = metadata.get("activation", "none")
    if activation not in get_args(Activation):
        raise ValueError(unknown_name("activation", activation, get_args(Activation)))
    if activation == "jumprelu" and threshold is None:
        raise ValueError("jumprelu needs `threshold`")
    threshold = torch.zeros(latents) if threshold is None else threshold
    sizes = (
        ("b_enc" if "W_enc" in tensors else "bias", bias, latents),
        ("b_dec", centre, units),
        ("threshold", threshold, latents),
    )
    for name, tensor, size in sizes:
        if tuple(tensor.shape) != (size,):
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, not ({size},)")
    k = _k(metadata, latents) if activation == "topk" else 0
    return Directions(
        weight.contiguous(), bias, centre, threshold, cast("Activation", activation), k
    )


def _require_known(tensors: Mapping[str, Tensor]) -> None:
    """Raises ValueError unless the tensors are all of one of the two layouts, and finite."""
    if "W_enc" not in tensors and "weight" not in tensors:
        raise ValueError(
            "it has neither `weight` (a linear map) nor `W_enc` (an encoder); there are: "
            f"{', '.join(sorted(tensors)) or 'no tensors'}"
        )
    known = ENCODER if "W_enc" in tensors else LINEAR_MAP
    unknown = sorted(set(tensors) - set(known))
    if unknown:
        raise ValueError(
            "it has tensors that are no part of such directions and may change what they mean: "
            f"{', '.join(unknown)}; save only what there is of {', '.join(known)}"
        )
    if "W_enc" in tensors and "b_enc" not in tensors:
        raise ValueError("it has `W_enc` without `b_enc`; save the encoder's bias, zeros if none")
    odd = [name for name, values in sorted(tensors.items()) if not bool(values.isfinite().all())]
    if odd:
        raise ValueError(
            f"there are numbers that are not finite in {', '.join(odd)}; save the tensors again"
        )


def _centred(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bool:
    """Whether `b_dec` is subtracted from the input; files with a `b_dec` must say so or not."""
    if "b_dec" not in tensors:
        return False
    said = metadata.get("apply_b_dec_to_input", "")
    if said not in ("true", "false"):
        raise ValueError(
            "it has `b_dec`, but its metadata does not say whether that is subtracted from the "
            "input; save it with metadata={'apply_b_dec_to_input': 'true'} or 'false'"
        )
    return said == "true"


def _k(metadata: Mapping[str, str], latents: int) -> int:
    text = metadata.get("k", "")
    if not text.isdecimal() or not 1 <= int(text) <= latents:
        raise ValueError(f"topk needs a `k` from 1 to {latents} in the metadata, not {text!r}")
    return int(text)
