"""The weights that ship with the Picturebook: they load, they are small, and they are good."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from open_clip.loss import ClipLoss, SigLipLoss
from PIL import Image
from safetensors.torch import load_file
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from torch.nn import functional as F

from le_bench_plugins.picturebook.absent import ABSENT
from le_bench_plugins.picturebook.captions import WORDS
from le_bench_plugins.picturebook.concepts import CONCEPTS
from le_bench_plugins.picturebook.encoders import (
    ENCODERS,
    MERGES_PATH,
    LoadedEncoder,
    load_encoder,
    weights_path,
)
from le_bench_plugins.picturebook.targets import TARGETS
from le_bench_plugins.picturebook.training.card import CAPTIONER, write_card
from le_bench_plugins.picturebook.training.encoders import encode_texts
from le_bench_plugins.picturebook.training.losses import TruthfulClipLoss, TruthfulSigLipLoss
from le_bench_plugins.picturebook.training.pool import (
    ENCODER_HELD_OUT_START,
    TARGET_HELD_OUT_START,
    generator_digest,
)
from le_bench_plugins.picturebook.training.tokenizer import (
    grammar_words,
    train_merges,
    write_merges,
)
from le_bench_plugins.picturebook.world import Pictures, draw, presence

MAX_BYTES = 8_000_000
MAX_CAPTIONER_BYTES = 1_500_000


@pytest.fixture(scope="module")
def target_pictures() -> Pictures:
    return draw(range(TARGET_HELD_OUT_START, TARGET_HELD_OUT_START + 300))


@pytest.fixture(scope="module")
def encoder_pictures() -> Pictures:
    return draw(range(ENCODER_HELD_OUT_START, ENCODER_HELD_OUT_START + 400))


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> LoadedEncoder:
    directory = tmp_path_factory.mktemp("encoders")
    return load_encoder(request.param, directory, weights_path(request.param))


@pytest.fixture(scope="module")
def cosines(encoder: LoadedEncoder, encoder_pictures: Pictures) -> Tensor:
    """The cosines of the pictures with the concepts and then with the absent things."""
    model: Any = encoder.model
    names = [*(concept.name for concept in CONCEPTS), *ABSENT]
    with torch.no_grad():
        images = model.encode_image(to_batch(encoder_pictures.images), normalize=True)
        texts = model.encode_text(encoder.tokenizer(names), normalize=True)
    result: Tensor = images @ texts.T
    return result


@pytest.fixture(scope="module")
def digest() -> str:
    return generator_digest()


def to_batch(images: npt.NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def test_all_weights_together_are_small() -> None:
    """The weights of all targets and encoders take less than 8 MB, the captioner 1.5 MB."""
    sizes = [weights_path(name).stat().st_size for name in (*TARGETS, *ENCODERS)]

    assert sum(sizes) < MAX_BYTES
    assert weights_path(CAPTIONER).stat().st_size < MAX_CAPTIONER_BYTES


def test_the_card_is_that_of_the_measured_quality() -> None:
    """README.md is what the JSON files beside the weights say."""
    folder = weights_path(CAPTIONER).parent

    assert (folder / "README.md").read_text() == write_card(folder)


@pytest.mark.parametrize("name", [*TARGETS, *ENCODERS, CAPTIONER])
def test_weights_are_half_precision_and_finite(name: str) -> None:
    """Every tensor of a weights file is float16 and finite, save the counters of batches."""
    tensors = load_file(weights_path(name))

    numbers = [tensors[key] for key in tensors if not key.endswith("num_batches_tracked")]
    assert {tensor.dtype for tensor in numbers} == {torch.float16}
    assert all(bool(tensor.isfinite().all()) for tensor in numbers)


@pytest.mark.parametrize("name", [*TARGETS, *ENCODERS, CAPTIONER])
def test_measured_quality_is_that_of_the_pictures_drawn_now(name: str, digest: str) -> None:
    """The quality beside each weights file was measured with today's picture generator."""
    quality = json.loads(weights_path(name).with_suffix(".json").read_text())

    assert quality.get("made_from", quality)["generator_digest"] == digest


@pytest.mark.parametrize(("name", "build"), TARGETS.items())
def test_targets_name_the_main_object(
    name: str, build: Callable[[], nn.Module], target_pictures: Pictures
) -> None:
    """A target's weights load strictly and name the class of more than 88% of unseen pictures."""
    model = build()
    model.load_state_dict(load_file(weights_path(name)), strict=True)
    model.eval()

    with torch.no_grad():
        predicted = model(to_batch(target_pictures.images)).argmax(1).numpy()

    assert (predicted == target_pictures.labels).mean() > 0.88


def test_encoders_rank_pictures_by_bare_concept_names(
    cosines: Tensor, encoder_pictures: Pictures
) -> None:
    """With bare names as texts, the mean average precision over the concepts is above 0.85."""
    shown = presence(encoder_pictures)

    precisions = [
        average_precision_score(shown[:, column], cosines[:, column].numpy())
        for column in range(len(CONCEPTS))
        if shown[:, column].any()
    ]

    assert np.mean(precisions) > 0.85


def test_words_for_absent_things_match_less_than_concepts(
    cosines: Tensor, encoder_pictures: Pictures
) -> None:
    """No absent thing's mean cosine reaches that of a concept with the pictures that show it."""
    shown = torch.from_numpy(presence(encoder_pictures)).float()

    of_concepts = (cosines[:, : len(CONCEPTS)] * shown).sum(0) / shown.sum(0).clip(1)
    of_absent = cosines[:, len(CONCEPTS) :].mean(0)

    assert of_absent.max() < of_concepts[shown.any(0)].min()


def test_transform_keeps_every_pixel(encoder: LoadedEncoder, encoder_pictures: Pictures) -> None:
    """The encoders' own transform of a picture is `x / 127.5 - 1`."""
    pixels = encoder_pictures.images[:1]

    transformed = encoder.preprocess(Image.fromarray(pixels[0]))

    torch.testing.assert_close(transformed, to_batch(pixels)[0], atol=1e-6, rtol=0)


def test_tokenizer_and_model_have_the_same_vocabulary(encoder: LoadedEncoder) -> None:
    """The tokenizer has exactly as many tokens as the token embedding has rows."""
    model: Any = encoder.model

    assert encoder.tokenizer.vocab_size == model.text.vocab_size
    assert encoder.tokenizer.vocab_size == len(model.text.token_embedding.weight)


def test_every_word_of_the_grammar_is_one_token(encoder: LoadedEncoder) -> None:
    """No word of a caption, concept or prompt is split into pieces."""
    split = [word for word in WORDS if len(encoder.tokenizer.encode(word)) != 1]

    assert split == []


def test_shipped_merges_are_those_of_the_grammar(tmp_path: Path) -> None:
    """Training the tokenizer again gives the same merges, byte for byte after unpacking."""
    write_merges(train_merges(grammar_words()), tmp_path / "merges.txt.gz")

    # The packed bytes depend on the zlib that Python was built with.
    unpacked = [gzip.decompress(p.read_bytes()) for p in (MERGES_PATH, tmp_path / "merges.txt.gz")]
    assert unpacked[0] == unpacked[1]


def test_texts_without_padding_have_the_same_vectors(encoder: LoadedEncoder) -> None:
    """Leaving out the padding in training changes no text's vector."""
    model: Any = encoder.model
    texts = ["bird", "a big red car with a wheel near a small cat at night", "accordion"]

    with torch.no_grad():
        unpadded = encode_texts(encoder, texts)
        padded = model.encode_text(encoder.tokenizer(texts), normalize=True)

    torch.testing.assert_close(unpadded, padded, atol=1e-5, rtol=0)


def test_losses_with_one_true_text_a_picture_are_those_of_open_clip() -> None:
    """If only the diagonal is true, the losses equal open_clip's SigLipLoss and ClipLoss."""
    torch.manual_seed(0)
    images, texts = F.normalize(torch.randn(2, 6, 8), dim=-1)
    truth = 2 * torch.eye(6) - 1
    scale, bias = torch.tensor(7.0), torch.tensor(-3.0)

    sigmoid = TruthfulSigLipLoss(truth)(images, texts, scale, bias)
    softmax = TruthfulClipLoss(truth)(images, texts, scale)

    torch.testing.assert_close(sigmoid, SigLipLoss()(images, texts, scale, bias))
    torch.testing.assert_close(softmax, ClipLoss()(images, texts, scale))


@pytest.mark.parametrize(
    ("loss", "truth"),
    [(TruthfulSigLipLoss, torch.zeros(6, 6)), (TruthfulClipLoss, torch.eye(6))],
    ids=["sigmoid", "softmax"],
)
def test_pairs_of_unknown_truth_have_no_gradient(
    loss: Callable[[Tensor], nn.Module], truth: Tensor
) -> None:
    """Pairs labelled 0 move no picture: neither alone nor as rivals of the true pair."""
    torch.manual_seed(0)
    images = F.normalize(torch.randn(6, 8), dim=-1).requires_grad_()
    texts = F.normalize(torch.randn(6, 8), dim=-1)

    loss(truth)(images, texts, torch.tensor(5.0), torch.tensor(0.0)).backward()

    assert images.grad is not None
    torch.testing.assert_close(images.grad, torch.zeros_like(images))
