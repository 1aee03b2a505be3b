"""The embedding loop, with a two-tower model small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from le_bench.errors import BenchError
from le_bench.networks.embedding import (
    embed_images,
    embed_texts,
    require_same_vocabulary,
    vocabulary_size,
)
from le_bench.probing.images import ArrayImages

CPU = torch.device("cpu")


class Towers(nn.Module):
    """Image features: mean colour times 2. Text features: a one-hot count of tokens."""

    vocab_size = 8

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(2.0))
        self.dropout = nn.Dropout(0.5)

    def encode_image(self, images: Tensor) -> Tensor:
        return self.dropout(images.mean((2, 3)) * self.gain)

    def encode_text(self, tokens: Tensor) -> Tensor:
        return nn.functional.one_hot(tokens, 8).sum(1) * self.gain


def to_tensor(picture: Image.Image) -> Tensor:
    """A plain image transform."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float()


def tokenize(texts: list[str]) -> Tensor:
    """One token a letter: a is 0."""
    return torch.tensor([[ord(letter) - ord("a") for letter in text] for text in texts])


def draw_images(count: int = 7) -> ArrayImages:
    """Noise images."""
    random = np.random.default_rng(0)
    return ArrayImages(random.integers(0, 256, (count, 4, 5, 3), dtype=np.uint8))


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_image_features_by_row(batch_size: int) -> None:
    """Features of each image in order, dropout off, whatever the batch size."""
    images = draw_images()

    features = embed_images(Towers().train(), to_tensor, images, CPU, batch_size)

    assert features.dtype == torch.float32
    assert not features.requires_grad
    expected = torch.from_numpy(images.values).float().mean((1, 2)) * 2
    assert torch.allclose(features, expected, rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_text_features_by_row(batch_size: int) -> None:
    """Features of each text in order."""
    features = embed_texts(Towers(), tokenize, ["ab", "cc", "ha"], CPU, batch_size)

    assert features.tolist() == [
        [2, 2, 0, 0, 0, 0, 0, 0],
        [0, 0, 4, 0, 0, 0, 0, 0],
        [2, 0, 0, 0, 0, 0, 0, 2],
    ]


def test_half_precision_model_gives_float32() -> None:
    """Images reach a half-precision model in its type; features come back as float32."""
    images = draw_images()

    features = embed_images(Towers().half(), to_tensor, images, CPU)

    assert features.dtype == torch.float32
    assert torch.allclose(features, embed_images(Towers(), to_tensor, images, CPU), rtol=5e-3)


def test_features_are_ordinary_tensors_and_random_state_stays() -> None:
    """Features may be optimised against, and no random number is drawn."""
    before = torch.get_rng_state()

    features = embed_images(Towers(), to_tensor, draw_images(), CPU)
    texts = embed_texts(Towers(), tokenize, ["ab"], CPU)

    assert not features.is_inference()
    assert not texts.is_inference()
    assert torch.equal(before, torch.get_rng_state())


def test_token_beyond_the_vocabulary_names_the_text() -> None:
    """A token that the model does not know is refused before it crashes a device."""
    with pytest.raises(BenchError) as caught:
        embed_texts(Towers(), tokenize, ["ab", "za"], CPU)

    assert str(caught.value) == (
        "the tokenizer gives token 25 for the text 'za', but the text encoder knows 8 tokens; "
        "use the tokenizer that the encoder was trained with"
    )


class Tokenizer:
    """A tokenizer that says how many tokens it has."""

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size


def test_tokenizer_of_another_size_is_refused() -> None:
    """A smaller vocabulary gives nonsense without an error, so sizes must be equal."""
    with pytest.raises(BenchError) as caught:
        require_same_vocabulary(Towers(), Tokenizer(6), "tiny")

    assert str(caught.value) == (
        "encoder tiny: its tokenizer has 6 tokens but its text encoder 8; name the tokenizer that "
        "it was trained with in its open_clip configuration (`hf_tokenizer_name`, or `bpe_path` "
        "in `tokenizer_kwargs`)"
    )


def test_equal_or_unknown_vocabularies_pass() -> None:
    """Models and tokenizers that do not say their size are not refused."""
    require_same_vocabulary(Towers(), Tokenizer(8), "tiny")
    require_same_vocabulary(Towers(), tokenize, "tiny")
    require_same_vocabulary(nn.Identity(), Tokenizer(6), "tiny")


def test_vocabulary_of_a_text_tower() -> None:
    """The size may stand on the model or on its text tower; 0 says nothing."""
    outer = nn.Module()
    outer.text = Towers()
    silent = nn.Module()
    silent.vocab_size = 0

    assert vocabulary_size(outer) == 8
    assert vocabulary_size(silent) is None


@pytest.mark.parametrize("batch_size", [0, -1])
def test_batch_size_must_be_positive(batch_size: int) -> None:
    """A batch of nothing is refused for images and texts."""
    with pytest.raises(ValueError, match="it must be at least 1"):
        embed_images(Towers(), to_tensor, draw_images(), CPU, batch_size)
    with pytest.raises(ValueError, match="it must be at least 1"):
        embed_texts(Towers(), tokenize, ["a"], CPU, batch_size)


def test_nothing_to_embed_is_refused() -> None:
    """No images or no texts are a fault of the caller."""
    with pytest.raises(ValueError, match="there is no image to embed"):
        embed_images(Towers(), to_tensor, draw_images(0), CPU)
    with pytest.raises(ValueError, match="there is no text to embed"):
        embed_texts(Towers(), tokenize, [], CPU)
