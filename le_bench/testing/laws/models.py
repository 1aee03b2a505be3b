"""Laws of sources of target models."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import torch
from torch import Tensor

from le_bench.components import ModelSource
from le_bench.running.seeds import seed_everything
from le_bench.testing.laws.comparing import CLOSE, tensors_differ
from le_bench.testing.laws.components import torch_left_as_it_was
from le_bench.testing.laws.law import laws, not_applicable_if
from le_bench.types import TargetModel

CPU = torch.device("cpu")
SIZE = 64  # pixels along a side


def loaded(source: ModelSource, seed: int = 0, device: torch.device = CPU) -> TargetModel:
    """The model, with the global generators at this seed."""
    seed_everything(seed)
    return source.load(device)


def pictures(count: int = 3) -> list[np.ndarray]:
    """Coloured noise, each picture of another brightness."""
    random = np.random.default_rng(0)
    return [
        (random.integers(0, 256, (SIZE, SIZE, 3)) * (place + 1) // count).astype(np.uint8)
        for place in range(count)
    ]


def outputs(model: TargetModel, images: Sequence[np.ndarray]) -> Tensor:
    """What the network gives for these pictures."""
    with torch.no_grad():
        given = model.module(model.preprocess(images))
    if not isinstance(given, Tensor):
        raise TypeError(f"the network gives {type(given).__name__}, not one tensor")
    return given.float()


def in_eval_mode(source: ModelSource) -> str:
    """Every module is in eval mode, so that nothing is drawn and no statistic of a batch counts."""
    training = [name for name, module in loaded(source).module.named_modules() if module.training]
    if not training:
        return ""
    return f"module '{training[0] or 'the whole'}' is in training mode; call `.eval()`"


def same_weights(source: ModelSource) -> str:
    """Loaded twice it has the same weights, wherever the global generators stand."""
    first, second = (_digests(loaded(source, seed)) for seed in (0, 1))
    for name, bits in first.items():
        if second.get(name) != bits:
            return f"'{name}' differs when the model is loaded again; are its weights random?"
    return ""


def weights_in_the_key(source: ModelSource) -> str:
    """Weights in files enter the cache key: by an option that is a `Path`, or by `identity`.

    A source with neither has the weights that its code makes, of which `version` is the key.
    """
    names_files = any("path" in str(f.type).lower() for f in fields(source))
    identity = source.identity()
    not_applicable_if(
        not names_files and not identity,
        "no option is a file and `identity` is empty; the weights are those of this version",
    )
    return "" if source.identity() == identity else "`identity` changes from call to call"


def preprocessing(source: ModelSource) -> str:
    """Uint8 pictures become one float batch (B, 3, H, W), each by itself, and stay as they were."""
    model, given = loaded(source), pictures()
    before = [picture.copy() for picture in given]
    batch = model.preprocess(given)
    if batch.ndim != 4 or batch.shape[:2] != (len(given), 3):
        return f"the batch has shape {tuple(batch.shape)}, not ({len(given)}, 3, height, width)"
    if not batch.dtype.is_floating_point:
        return f"the batch is {batch.dtype}, not floating point"
    if any(not np.array_equal(a, b) for a, b in zip(before, given, strict=True)):
        return "it changed the pictures in place"
    alone = torch.cat([model.preprocess([picture]) for picture in given])
    words = tensors_differ(batch, alone, ("image",), 1e-6)
    return words and f"{words} when the picture stood alone"


def deterministic(source: ModelSource) -> str:
    """The same pictures give the same output, wherever the global generators stand."""
    model, given = loaded(source), pictures()
    seed_everything(0)
    first = outputs(model, given)
    seed_everything(1)
    return tensors_differ(first, outputs(model, given), ("image", "output"))


def images_one_by_one(source: ModelSource) -> str:
    """Pictures in a batch or one by one give the same output."""
    model, given = loaded(source), pictures()
    alone = torch.cat([outputs(model, [picture]) for picture in given])
    words = tensors_differ(outputs(model, given), alone, ("image", "output"), CLOSE)
    return words and f"{words} when the picture stood alone"


def skeleton_like_the_model(source: ModelSource) -> str:
    """The skeleton has the modules of the model, by the same paths, and its parameters' shapes."""
    model, bones = loaded(source).module, source.skeleton().module
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    others = {name: tuple(p.shape) for name, p in bones.named_parameters()}
    for name in sorted(shapes.keys() ^ others.keys()):
        return f"only one of the model and its skeleton has '{name}'"
    for name, shape in shapes.items():
        if others[name] != shape:
            return f"'{name}' has shape {shape}, in the skeleton {others[name]}"
    own, of_bones = (dict(m.named_modules()).keys() for m in (model, bones))
    return "" if own == of_bones else "the skeleton has modules at other paths"


def device_asked_for(source: ModelSource) -> str:
    """All weights are on the device that was asked for, and the model says so.

    Without a CUDA device it is `meta`, on which nothing is computed.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "meta")
    model = loaded(source, device=device)
    tensors = dict(model.module.named_parameters()) | dict(model.module.named_buffers())
    for name, tensor in tensors.items():
        if tensor.device.type != device.type:
            return f"'{name}' is on {tensor.device}, not on {device}; call `.to(device)`"
    if model.device.type != device.type:
        return f"the model says it is on {model.device}, not on {device}"
    return ""


def _digests(model: TargetModel) -> dict[str, str]:
    return {
        name: hashlib.sha256(
            t.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        ).hexdigest()
        for name, t in model.module.state_dict().items()
    }


LAWS = (
    *laws(
        in_eval_mode,
        same_weights,
        weights_in_the_key,
        preprocessing,
        deterministic,
        images_one_by_one,
        skeleton_like_the_model,
        device_asked_for,
    ),
    torch_left_as_it_was(loaded),  # type: ignore[arg-type]  # of models
)
