"""Embedding probe images and texts with a two-tower model, batch by batch.

Shared by every encoder that is built by open_clip or looks like it; knows nothing of open_clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from le_bench.errors import BenchError
from le_bench.networks.batches import read_batches
from le_bench.types import Images, require

BATCH_SIZE = 128


def embed_images(
    model: nn.Module,
    transform: Callable[[Image.Image], Tensor],
    images: Images,
    device: torch.device,
    batch_size: int = BATCH_SIZE,
) -> Tensor:
    """Image features of `model.encode_image`, (N, D) float32 on the CPU, not scaled to length 1.

    `transform` turns one RGB picture into (3, H, W), in several threads at once. The model
    is moved to `device` and put in eval mode; no random state and no gradient mode outside this
    call is touched.
    """
    require(batch_size > 0, f"batch_size is {batch_size}; it must be at least 1")
    require(len(images) > 0, "there is no image to embed")
    model.to(device).eval()
    dtype = _floating_dtype(model)

    def preprocess(pixels: Sequence[np.ndarray]) -> Tensor:
        return torch.stack([transform(Image.fromarray(picture)) for picture in pixels])

    def batches() -> Iterator[Tensor]:
        everything = range(len(images))
        for _, batch in read_batches(images, everything, preprocess, batch_size, device):
            yield batch.to(dtype)

    encode = cast("Callable[[Tensor], Tensor]", model.encode_image)
    return _embed(encode, batches(), len(images))


def embed_texts(
    model: nn.Module,
    tokenizer: Callable[[list[str]], Tensor],
    texts: Sequence[str],
    device: torch.device,
    batch_size: int = BATCH_SIZE,
) -> Tensor:
    """Text features of `model.encode_text`, (C, D) float32 on the CPU, not scaled to length 1.

    `tokenizer` turns texts into token numbers (B, T). The model is moved to `device` and put in
    eval mode. Raises BenchError if a token number lies outside the model's vocabulary.
    """
    require(batch_size > 0, f"batch_size is {batch_size}; it must be at least 1")
    require(len(texts) > 0, "there is no text to embed")
    model.to(device).eval()
    size = vocabulary_size(model)

    def batches() -> Iterator[Tensor]:
        for start in range(0, len(texts), batch_size):
            some = list(texts[start : start + batch_size])
            tokens = tokenizer(some)
            if size is not None and int(tokens.max()) >= size:
                guilty = some[int((tokens.amax(1) >= size).nonzero()[0])]
                raise BenchError(
                    f"the tokenizer gives token {int(tokens.max())} for the text {guilty!r}, but "
                    f"the text encoder knows {size} tokens; use the tokenizer that the encoder "
                    "was trained with"
                )
            yield tokens.to(device)

    encode = cast("Callable[[Tensor], Tensor]", model.encode_text)
    return _embed(encode, batches(), len(texts))


def vocabulary_size(model: nn.Module) -> int | None:
    """Number of tokens that a two-tower model knows, or None if it does not say."""
    for owner in (model, getattr(model, "text", None)):
        size = getattr(owner, "vocab_size", None)
        if isinstance(size, int) and size > 0:
            return size
    return None


def require_same_vocabulary(model: nn.Module, tokenizer: object, encoder: str) -> None:
    """Refuse a tokenizer whose vocabulary is not the model's, before anything is embedded.

    A tokenizer of another size gives meaningless features without any error. Tokenizers that do
    not say their `vocab_size` pass; `embed_texts` still refuses numbers the model does not know.
    """
    known, given = vocabulary_size(model), getattr(tokenizer, "vocab_size", None)
    if known is not None and isinstance(given, int) and known != given:
        raise BenchError(
            f"encoder {encoder}: its tokenizer has {given} tokens but its text encoder {known}; "
            "name the tokenizer that it was trained with in its open_clip configuration "
            "(`hf_tokenizer_name`, or `bpe_path` in `tokenizer_kwargs`)"
        )


def _floating_dtype(model: nn.Module) -> torch.dtype:
    """The number type of the model's first weights; images are given in it."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)


def _embed(encode: Callable[[Tensor], Tensor], batches: Iterator[Tensor], count: int) -> Tensor:
    """Rows of `encode` for all batches, collected on the CPU."""
    collected = torch.empty(0)
    done = 0
    for batch in batches:
        with torch.inference_mode():
            features = encode(batch)
        if done == 0:
            collected = torch.empty(count, features.shape[1])
        collected[done : done + len(features)] = features.float().cpu()
        done += len(features)
    return collected
