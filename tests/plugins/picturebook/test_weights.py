"""The weights that ship with the Picturebook: they load, they are small, and they are good."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from le_bench_plugins.picturebook.captions import WORDS
from le_bench_plugins.picturebook.concepts import CONCEPTS
from le_bench_plugins.picturebook.encoders import (
    ENCODERS,
    LoadedEncoder,
    load_encoder,
    weights_path,
)
from le_bench_plugins.picturebook.targets import TARGETS
from le_bench_plugins.picturebook.world import Pictures, draw, presence

MAX_BYTES = 8_000_000
TARGET_HELD_OUT_START = 3_100_000
ENCODER_HELD_OUT_START = 3_000_000


@pytest.fixture(scope="module")
def target_pictures() -> Pictures:
    return draw(range(TARGET_HELD_OUT_START, TARGET_HELD_OUT_START + 300))


@pytest.fixture(scope="module")
def encoder_pictures() -> Pictures:
    return draw(range(ENCODER_HELD_OUT_START, ENCODER_HELD_OUT_START + 400))


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LoadedEncoder]:
    directory = tmp_path_factory.mktemp("encoders")
    yield load_encoder(request.param, directory, weights_path(request.param))


def test_all_weights_together_are_small() -> None:
    """A wheel with all weights stays under 8 MB."""
    sizes = [weights_path(name).stat().st_size for name in (*TARGETS, *ENCODERS)]

    assert sum(sizes) < MAX_BYTES


@pytest.mark.parametrize("name", [*TARGETS, *ENCODERS])
def test_weights_are_half_precision_and_finite(name: str) -> None:
    """Every floating-point number of a weights file is a finite float16."""
    numbers = [value for value in load_file(weights_path(name)).values() if value.ndim]

    assert {value.dtype for value in numbers} == {torch.float16}
    assert all(bool(value.isfinite().all()) for value in numbers)


@pytest.mark.parametrize(("name", "build"), TARGETS.items())
def test_targets_name_the_main_object(
    name: str, build: Callable[[], nn.Module], target_pictures: Pictures
) -> None:
    """A target's weights load strictly and name the class of more than 88% of unseen pictures."""
    model = build()
    model.load_state_dict(load_file(weights_path(name)), strict=True)
    model.eval()

    with torch.no_grad():
        predicted = model(_to_batch(target_pictures.images)).argmax(1).numpy()

    assert (predicted == target_pictures.labels).mean() > 0.88


def test_encoders_rank_pictures_by_bare_concept_names(
    encoder: LoadedEncoder, encoder_pictures: Pictures
) -> None:
    """The mean average precision over concepts with the bare name as text is above the gate."""
    shown = presence(encoder_pictures)
    names = [concept.name for concept in CONCEPTS]

    with torch.no_grad():
        images = _encode_images(encoder, encoder_pictures.images)
        texts = _encode_texts(encoder, names)

    scores = (images @ texts.T).numpy()
    precisions = [
        _average_precision(truth, score)
        for truth, score in zip(shown.T, scores.T, strict=True)
        if truth.any()
    ]
    assert np.mean(precisions) > 0.8


def test_preprocessing_keeps_every_pixel(
    encoder: LoadedEncoder, encoder_pictures: Pictures
) -> None:
    """The encoders' own transform of a picture is exactly `x / 127.5 - 1`."""
    from PIL import Image

    pixels = encoder_pictures.images[0]

    transformed = encoder.preprocess(Image.fromarray(pixels))

    torch.testing.assert_close(transformed, _to_batch(pixels[None])[0], atol=1e-6, rtol=0)


def test_tokenizer_and_model_have_the_same_vocabulary(encoder: LoadedEncoder) -> None:
    """Every number that the tokenizer gives is a row of the token embedding."""
    tower = encoder.model.text

    assert encoder.tokenizer.vocab_size == tower.vocab_size == len(tower.token_embedding.weight)


def test_every_word_of_the_grammar_is_one_token(encoder: LoadedEncoder) -> None:
    """No word of a caption, concept or prompt is split into pieces."""
    split = [word for word in WORDS if len(encoder.tokenizer.encode(word)) != 1]

    assert split == []
