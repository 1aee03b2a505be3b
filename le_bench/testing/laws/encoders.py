"""Laws of encoders."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from le_bench.components import Encoder
from le_bench.probing.images import ArrayImages
from le_bench.running.seeds import seed_everything
from le_bench.testing.laws.comparing import CLOSE, tensors_differ
from le_bench.testing.laws.components import torch_left_as_it_was
from le_bench.testing.laws.law import laws, not_applicable_if
from le_bench.testing.laws.models import pictures

CPU = torch.device("cpu")
TEXTS = ("a dog", "red", "snow on a mountain")


def of_images(encoder: Encoder, images: list[np.ndarray], device: torch.device = CPU) -> Tensor:
    """Embeddings of pictures."""
    return encoder.encode_images(ArrayImages(np.stack(images)), device)


def well_formed(encoder: Encoder) -> str:
    """Images and texts have finite float32 rows of one size, on the CPU."""
    images, texts = of_images(encoder, pictures()), encoder.encode_texts(TEXTS, CPU)
    for name, values in (("images", images), ("texts", texts)):
        if values.dtype != torch.float32 or values.device.type != "cpu" or values.ndim != 2:
            return f"embeddings of {name} are {values.dtype} {tuple(values.shape)} {values.device}"
        if len(values) != 3 or not bool(values.isfinite().all()):
            return f"3 {name} have {len(values)} rows, or one is not finite"
    if images.shape[1] != texts.shape[1]:
        return f"images have {images.shape[1]} numbers, texts {texts.shape[1]}"
    return ""


def deterministic(encoder: Encoder) -> str:
    """The same images and texts have the same embeddings, wherever the generators stand."""
    found = []
    for seed in (0, 1):
        seed_everything(seed)
        found.append(torch.cat([of_images(encoder, pictures()), encoder.encode_texts(TEXTS, CPU)]))
    return tensors_differ(found[0], found[1], ("row", "number"))


def one_by_one(encoder: Encoder) -> str:
    """Images and texts encoded together or one by one have the same embeddings."""
    given = pictures()
    alone = torch.cat([of_images(encoder, [picture]) for picture in given])
    words = tensors_differ(of_images(encoder, given), alone, ("image", "number"), CLOSE)
    if words:
        return f"{words} when the image stood alone"
    alone = torch.cat([encoder.encode_texts([text], CPU) for text in TEXTS])
    words = tensors_differ(encoder.encode_texts(TEXTS, CPU), alone, ("text", "number"), CLOSE)
    return words and f"{words} when the text stood alone"


def any_device(encoder: Encoder) -> str:
    """On a CUDA device the embeddings are those of the CPU, and come back to it."""
    not_applicable_if(not torch.cuda.is_available(), "there is no CUDA device here")
    cuda = of_images(encoder, pictures(), torch.device("cuda"))
    return tensors_differ(of_images(encoder, pictures()), cuda, ("image", "number"), 1e-2)


LAWS = (
    *laws(well_formed, deterministic, one_by_one, any_device),
    torch_left_as_it_was(well_formed),  # type: ignore[arg-type]  # of encoders
)
