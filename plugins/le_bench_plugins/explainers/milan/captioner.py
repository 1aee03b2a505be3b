"""A captioner whole: what looks, what writes, its words, and how all of it is kept in a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from le_bench.errors import MissingFileError, UnreadableFileError
from le_bench_plugins.explainers.milan.backbones import BackboneName
from le_bench_plugins.explainers.milan.decoder import Decoder, DecoderSizes
from le_bench_plugins.explainers.milan.decoding import Decoding
from le_bench_plugins.explainers.milan.exemplars import View
from le_bench_plugins.explainers.milan.pyramid import Pyramid
from le_bench_plugins.explainers.milan.shown import Shown
from le_bench_plugins.explainers.milan.vocabulary import Vocabulary

METADATA = "milan"  # the entry of a safetensors header that holds the description


@dataclass(frozen=True)
class Description:
    """All of a captioner but its numbers."""

    vocabulary: Vocabulary
    backbone: BackboneName = "resnet101"
    sizes: DecoderSizes = field(default=DecoderSizes())
    decoding: Decoding = field(default=Decoding())
    view: View = field(default=View())


class Captioner(nn.Module):
    """The pyramid that looks and the decoder that writes."""

    def __init__(self, description: Description) -> None:
        super().__init__()
        self.description = description
        self.encoder = Pyramid(description.backbone)
        sizes = replace(description.sizes, features=self.encoder.width)
        self.decoder = Decoder(sizes, len(description.vocabulary))

    def look(self, num_units: int, count: int, shown: Iterable[Shown]) -> Tensor:
        """Features (U, K, F) of exemplars; those that are not shown are zeros."""
        device = self.encoder.mean.device
        features = torch.zeros(num_units, count, self.encoder.width, device=device)
        for some in shown:
            features[some.unit, some.place] = self.encoder.features(some)
        return features


def save_captioner(captioner: Captioner, path: Path) -> None:
    """Write a captioner as one safetensors file, its numbers in half precision."""
    tensors = {
        name: (value.half() if value.is_floating_point() else value).contiguous().clone()
        for name, value in captioner.state_dict().items()
    }
    unfinished = path.with_suffix(".part")
    save_file(tensors, unfinished, {METADATA: json.dumps(asdict(captioner.description))})
    unfinished.chmod(0o644)  # safetensors gives files to their owner alone
    unfinished.replace(path)


def load_captioner(path: Path) -> Captioner:
    """The captioner of a file by `save_captioner`, in eval mode.

    Raises MissingFileError, or UnreadableFileError for any other file.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; check the path")
    try:
        with safe_open(path, framework="pt") as file:
            described = (file.metadata() or {}).get(METADATA, "")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        description = TypeAdapter(Description).validate_json(described)
    except (SafetensorError, OSError, ValidationError) as error:
        first = str(error).strip().splitlines()[0]
        raise UnreadableFileError(
            f"{path}: this is no captioner in a safetensors file ({first}); give a file that the "
            "training of MILAN wrote, or a released milan-*.pth"
        ) from error
    return fill(Captioner(description), tensors, path)


def fill(captioner: Captioner, tensors: Mapping[str, Tensor], path: Path) -> Captioner:
    """Put numbers into a captioner. Raises UnreadableFileError unless each finds its place."""
    own = captioner.state_dict()
    faults = {
        "missing": [name for name in own if name not in tensors],
        "unexpected": [name for name in tensors if name not in own],
        "of another shape": [
            f"{name} {tuple(value.shape)} for {tuple(own[name].shape)}"
            for name, value in tensors.items()
            if name in own and own[name].shape != value.shape
        ],
    }
    told = [
        f"{len(names)} {what} ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})"
        for what, names in faults.items()
        if names
    ]
    if told:
        raise UnreadableFileError(
            f"{path}: its tensors are not those of the captioner that it describes: "
            f"{'; '.join(told)}; fetch or make the file again"
        )
    captioner.load_state_dict(dict(tensors))
    return captioner.eval()
