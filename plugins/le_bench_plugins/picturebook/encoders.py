"""The Picturebook's two SigLIPs and its CLIP, built and loaded by open_clip's own calls."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import open_clip
from open_clip.tokenizer import SimpleTokenizer
from PIL import Image
from torch import Tensor, nn

from le_bench_plugins.picturebook import towers

WEIGHTS_DIRECTORY = Path(__file__).parent / "weights"
MERGES_PATH = WEIGHTS_DIRECTORY / "merges.txt.gz"
CONTEXT_LENGTH = 32

_EMBED_DIM = 96
_NUM_BYTES = 256
_NUM_SPECIAL_TOKENS = 2


class LoadedEncoder(NamedTuple):
    """An open_clip model in evaluation mode, its picture transform and its tokenizer."""

    model: nn.Module
    preprocess: Callable[[Image.Image], Tensor]
    tokenizer: SimpleTokenizer


# The keys are open_clip's. `init_logit_bias` makes the model a SigLIP: it then has a logit bias.
# open_clip sends a name containing "siglip" to a tokenizer that has to be downloaded, hence "sl".
_VISION_AND_LOGITS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "picturebook-sl-resnet": {
            "vision_cfg": {
                "image_size": towers.PICTURE_SIZE,
                "timm_model_name": "picturebook_resnet_tower",
                "timm_pool": "catavgmax",
                "timm_proj": "",
            },
            "init_logit_scale": 2.3026,
            "init_logit_bias": -3.0,
        },
        "picturebook-sl-convvit": {
            "vision_cfg": {
                "image_size": towers.PICTURE_SIZE,
                "timm_model_name": "picturebook_convvit_tower",
                "timm_pool": "map",
                "timm_proj": "",
            },
            "init_logit_scale": 2.3026,
            "init_logit_bias": -3.0,
        },
        "picturebook-clip": {
            "vision_cfg": {
                "image_size": towers.PICTURE_SIZE,
                "layers": [1, 1, 1, 1],
                "width": 12,
                "head_width": 32,
            },
        },
    }
)

ENCODERS: tuple[str, ...] = tuple(_VISION_AND_LOGITS)


def weights_path(name: str) -> Path:
    """Return the file of the trained weights of an encoder or target of the Picturebook."""
    return WEIGHTS_DIRECTORY / f"{name}.safetensors"


def read_num_tokens(merges_path: Path = MERGES_PATH) -> int:
    """Return the size of the vocabulary of open_clip's tokenizer with the given merges."""
    return int(SimpleTokenizer(bpe_path=str(merges_path)).vocab_size)


def prepare_encoders(directory: Path) -> None:
    """Write the configurations and the merges into the directory and register them with open_clip.

    open_clip reads the path of the merges from the configuration and does not resolve it, hence
    the configurations are written where the merges will lie, with an absolute path.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    merges_path = directory / MERGES_PATH.name
    shutil.copyfile(MERGES_PATH, merges_path)
    text = {
        "context_length": CONTEXT_LENGTH,
        "vocab_size": read_num_tokens(merges_path),
        "width": 96,
        "heads": 3,
        "layers": 2,
        "mlp_ratio": 2,
        "proj_bias": True,
        "norm_kwargs": {"eps": 1e-6},
        "tokenizer_kwargs": {"bpe_path": str(merges_path), "clean": "canonicalize"},
    }
    for name, vision_and_logits in _VISION_AND_LOGITS.items():
        configuration = {
            "embed_dim": _EMBED_DIM,
            **vision_and_logits,
            "text_cfg": text,
            "custom_text": True,
        }
        path = directory / f"{name}.json"
        path.write_text(json.dumps(configuration, indent=2))
        open_clip.add_model_config(path)


def load_encoder(name: str, directory: Path, weights: Path | None = None) -> LoadedEncoder:
    """Return an encoder of `ENCODERS` through open_clip's calls for any model.

    weights: a safetensors file; without it the model is untrained. The caller has prepared the
    directory by `prepare_encoders`, or this call does.
    """
    if not (directory / f"{name}.json").exists() or name not in open_clip.list_models():
        prepare_encoders(directory)
    model, _, preprocess = open_clip.create_model_and_transforms(
        name,
        pretrained=None if weights is None else str(weights),
        image_mean=(0.5, 0.5, 0.5),
        image_std=(0.5, 0.5, 0.5),
        image_resize_mode="squash",
        image_interpolation="bicubic",
    )
    model.eval()
    return LoadedEncoder(model, preprocess, open_clip.get_tokenizer(name))
