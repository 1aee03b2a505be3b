"""Training a captioner: its losses by hand, that it learns, and the annotations it reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from le_bench.errors import MissingFileError, UnreadableFileError
from le_bench_plugins.explainers.milan.captioner import Captioner, Description
from le_bench_plugins.explainers.milan.decoder import Decoder, DecoderSizes, LanguageModelSizes
from le_bench_plugins.explainers.milan.decoding import Decoding, decode
from le_bench_plugins.explainers.milan.training.annotated import Annotated, read_annotated
from le_bench_plugins.explainers.milan.training.fit import (
    Schedule,
    bleu,
    decoder_loss,
    encode_all,
    fit_decoder,
    fit_language_model,
    language_loss,
)
from le_bench_plugins.explainers.milan.vocabulary import Vocabulary

SAID = ("a red car", "the sky", "a cat and a dog")
WORDS = Vocabulary.of_texts(SAID)
SIZES = DecoderSizes(6, 8, 16, 8, 0.0, LanguageModelSizes(8, 8, 2))


def make_annotated(count: int, seed: int) -> Annotated:
    """Units of three kinds, whose features lie around three points."""
    generator = torch.Generator().manual_seed(seed)
    kinds = torch.arange(count) % 3
    points = torch.eye(6)[:3] * 3
    features = points[kinds][:, None] + 0.3 * torch.randn(count, 4, 6, generator=generator)
    return Annotated(features, [[SAID[kind]] * 2 for kind in kinds.tolist()])


def make_decoder() -> Decoder:
    torch.manual_seed(0)
    return Decoder(SIZES, len(WORDS))


def test_vocabulary_is_by_frequency_and_texts_come_back() -> None:
    """Frequent tokens first; padding fills up; long texts are cut and still stop."""
    assert WORDS.tokens[0] == "a"
    assert len(WORDS) == len(set(" ".join(SAID).split())) + 4
    numbers = WORDS.encode("A red dog, today", 8)
    assert numbers[3:] == [WORDS.unknown, WORDS.unknown, WORDS.stop, *[WORDS.padding] * 2]
    assert WORDS.describe(numbers) == "a red dog"
    assert WORDS.encode("a a a a a", 3) == [0, 0, WORDS.stop]
    assert encode_all(WORDS, SAID).shape == (3, 6)


@torch.no_grad()
def test_losses_are_those_of_the_formulas() -> None:
    """Mean negative log-likelihood over tokens without padding, and the attention penalty."""
    decoder = make_decoder().eval()
    assert decoder.lm is not None
    tokens = encode_all(WORDS, SAID)
    features = make_annotated(3, 0).features
    likelihood, count, looked = 0.0, 0, torch.zeros(3, 4)
    alone = 0.0
    for unit in range(3):
        sight = decoder.look(features[[unit]])
        state = decoder.begin(sight, with_language=False)
        last = torch.tensor([[WORDS.start]])
        language = decoder.lm.begin(state.cells[0])
        for place, token in enumerate(tokens[unit].tolist()):
            scores, attention, state = decoder.step(sight, last, state)
            spoken, language = decoder.lm.step(last, language)
            looked[unit] += attention[0, 0]
            last = tokens[unit, place].view(1, 1)
            if token != WORDS.padding:
                likelihood -= float(scores[0, 0, token])
                alone -= float(spoken[0, 0, token])
                count += 1

    loss = decoder_loss(decoder, features, tokens, WORDS, weight=0.7)

    penalty = float(((1 - looked) ** 2).mean())
    assert float(loss) == pytest.approx(likelihood / count + 0.7 * penalty, abs=1e-5)
    spoken_loss = language_loss(decoder.lm, tokens, WORDS)
    assert float(spoken_loss) == pytest.approx(alone / count, abs=1e-5)


def test_a_decoder_learns_what_is_said_of_units(capsys: pytest.CaptureFixture[str]) -> None:
    """Units that it has not seen are described right; the language model knows the texts."""
    decoder = make_decoder()
    assert decoder.lm is not None
    held_out = make_annotated(9, 3)
    schedule = Schedule(learning_rate=2e-2, max_epochs=25, patience=25)

    spoken = fit_language_model(
        decoder.lm, WORDS, encode_all(WORDS, SAID * 20), encode_all(WORDS, SAID), schedule
    )
    learned = fit_decoder(decoder, WORDS, make_annotated(60, 1), make_annotated(9, 2), schedule)

    chosen = decode(decoder, WORDS, held_out.features, Decoding("greedy", 0.0))
    texts = [WORDS.describe(numbers) for numbers in chosen.tokens.tolist()]
    assert texts == [said[0] for said in held_out.annotations]
    assert bleu(texts, held_out.annotations) == pytest.approx(100)
    assert learned[-1]["loss"] < learned[0]["loss"]
    assert spoken[-1]["loss"] < spoken[0]["loss"]
    assert "Decoder" in capsys.readouterr().out


def test_the_best_weights_stay(capsys: pytest.CaptureFixture[str]) -> None:
    """Epochs without improvement end the training and leave no trace."""
    decoder = make_decoder()
    train, right = make_annotated(60, 1), make_annotated(9, 2)
    val = Annotated(right.features, [*right.annotations[1:], right.annotations[0]])  # all wrong

    log = fit_decoder(decoder, WORDS, train, val, Schedule(2e-2, max_epochs=12, patience=3))

    values = [line["measure"] for line in log]
    assert len(log) < 12
    tokens = encode_all(WORDS, [said[0] for said in val.annotations])
    with torch.no_grad():
        loss = float(decoder_loss(decoder.eval(), val.features, tokens, WORDS, weight=0))
    assert -loss == pytest.approx(max(values), abs=2e-3)
    assert capsys.readouterr().out.count("Decoder") == len(log)


def test_bleu_is_that_of_the_corpus() -> None:
    """Case does not count, units may have unequally many annotations, nothing shared is 0."""
    said = ["A red car near a house", "the sky at night over a street"]
    annotations = [["a red car near a house", "a car"], ["the sky at night over a street"]]

    assert bleu(said, annotations) == pytest.approx(100)
    assert bleu(["dog", "cat"], annotations) == 0


def write_annotated(root: Path, rows: str) -> None:
    folder = root / "conv"
    folder.mkdir()
    random = np.random.default_rng(0)
    np.save(folder / "images.npy", random.integers(0, 256, (3, 2, 3, 16, 16), dtype=np.uint8))
    np.save(folder / "masks.npy", np.ones((3, 2, 1, 16, 16), np.uint8))
    np.save(folder / "units.npy", np.array([4, 7, 9]))
    (root / "annotations.csv").write_text("layer,unit,summary\n" + rows)


def make_captioner() -> Captioner:
    torch.manual_seed(0)
    return Captioner(Description(WORDS, "small", DecoderSizes(hidden=4))).eval()


def test_annotated_exemplars_are_joined_by_layer_and_unit(tmp_path: Path) -> None:
    """Units without annotations are left out; other layers do not matter."""
    write_annotated(tmp_path, 'conv,9,sky\nother,4,sea\nconv,4,"a car, red"\nconv,9,clouds\n')

    annotated = read_annotated(tmp_path, "conv", make_captioner())

    assert annotated.annotations == [["a car, red"], ["sky", "clouds"]]
    assert annotated.features.shape == (2, 2, 312)
    assert bool(annotated.features.any())


def test_annotations_that_are_not_there_are_told(tmp_path: Path) -> None:
    """No file, or no annotation of the layer."""
    with pytest.raises(MissingFileError, match=r"annotations.csv: no such file"):
        read_annotated(tmp_path, "conv", make_captioner())
    write_annotated(tmp_path, "other,4,sea\n")
    with pytest.raises(UnreadableFileError, match="no unit of layer 'conv' is annotated"):
        read_annotated(tmp_path, "conv", make_captioner())


def test_features_are_zero_where_nothing_is_shown() -> None:
    """Units of which no exemplar comes have no features."""
    features: Tensor = make_captioner().look(3, 2, [])

    assert features.shape == (3, 2, 312)
    assert not bool(features.any())
