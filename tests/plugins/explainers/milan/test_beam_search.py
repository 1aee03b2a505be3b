"""Beam search and the ways of decoding, on vocabularies small enough to try every text."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from le_bench_plugins.explainers.milan.beam_search import beam_search
from le_bench_plugins.explainers.milan.decoder import (
    Decoder,
    DecoderSizes,
    LanguageModelSizes,
)
from le_bench_plugins.explainers.milan.decoding import Decoding, decode
from le_bench_plugins.explainers.milan.vocabulary import Vocabulary

WORDS = Vocabulary(("cat", "dog", "red"))
SIZES = DecoderSizes(
    features=9,
    embedding=5,
    hidden=8,
    attention=6,
    language_model=LanguageModelSizes(embedding=4, hidden=7, layers=2),
)
LENGTH = 3
EVERYTHING = len(WORDS) ** LENGTH


def make_decoder(seed: int = 0, sizes: DecoderSizes = SIZES) -> Decoder:
    """A decoder of random weights that are large enough for it to prefer some texts."""
    torch.manual_seed(seed)
    decoder = Decoder(sizes, len(WORDS)).eval()
    with torch.no_grad():
        for value in decoder.parameters():
            value.mul_(2.5)
    return decoder


def make_features(units: int = 6, exemplars: int = 5, seed: int = 1) -> Tensor:
    return torch.randn(units, exemplars, 9, generator=torch.Generator().manual_seed(seed))


def every_text(length: int) -> list[tuple[int, ...]]:
    """Each text that ends with stop, or has full length, written with stops behind its end."""
    stop, texts = WORDS.stop, []
    for size in range(length + 1):
        for head in product([n for n in range(len(WORDS)) if n != stop], repeat=size):
            texts.append(head + (stop,) * (length - size))
    return texts


@torch.no_grad()
def score(
    decoder: Decoder, features: Tensor, texts: list[tuple[int, ...]]
) -> tuple[Tensor, Tensor]:
    """log p(text | features) and log p(text) of each text (T,), token by token, for one unit."""
    assert decoder.lm is not None
    numbers = torch.tensor(texts)
    count = len(texts)
    sight = decoder.look(features[None].expand(count, -1, -1))
    state = decoder.begin(sight, with_language=False)
    language = decoder.lm.begin(state.cells[0])
    last = torch.full((count, 1), WORDS.start)
    going = torch.ones(count, dtype=torch.bool)
    seen, alone = torch.zeros(count), torch.zeros(count)
    for place in range(numbers.shape[1]):
        chosen = numbers[:, place, None, None]
        scores, _, state = decoder.step(sight, last, state)
        spoken, language = decoder.lm.step(last, language)
        seen += torch.where(going, scores.gather(2, chosen).flatten(), 0)
        alone += torch.where(going, spoken.gather(2, chosen).flatten(), 0)
        last = numbers[:, place, None]
        going &= numbers[:, place] != WORDS.stop
    return seen, alone


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_beam_search_equals_brute_force(temperature: float) -> None:
    """With beams enough it finds the best of all texts, whatever part language takes."""
    decoder, features = make_decoder(), make_features(3)
    texts = every_text(LENGTH)
    decoding = Decoding("beam", temperature, EVERYTHING, LENGTH)

    chosen = decode(decoder, WORDS, features, decoding)

    for unit in range(3):
        seen, alone = score(decoder, features[unit], texts)
        totals = seen - temperature * alone
        best = int(totals.argmax())
        assert tuple(chosen.tokens[unit].tolist()) == texts[best]
        assert float(chosen.scores[unit]) == pytest.approx(float(totals[best]), abs=1e-4)


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_reranking_equals_brute_force(temperature: float) -> None:
    """With beams enough it finds the text with the most information of all."""
    decoder, features = make_decoder(), make_features(3)
    texts = every_text(LENGTH)

    chosen = decode(decoder, WORDS, features, Decoding("rerank", temperature, EVERYTHING, LENGTH))

    for unit in range(3):
        seen, alone = score(decoder, features[unit], texts)
        totals = seen - temperature * alone
        best = int(totals.argmax())
        assert tuple(chosen.tokens[unit].tolist()) == texts[best]
        assert float(chosen.scores[unit]) == pytest.approx(float(totals[best]), abs=1e-4)


def test_narrow_beams_are_pruned_as_by_hand() -> None:
    """Of two beams, the best two continuations stay at each step: a table worked out by hand."""
    table = torch.tensor(
        [  # rows: last token (0, 1, stop = 2, start = 3); columns: next token
            [0.1, 0.2, 0.7, 0.0],
            [0.9, 0.05, 0.05, 0.0],
            [0.25, 0.25, 0.25, 0.25],
            [0.5, 0.4, 0.1, 0.0],
        ]
    ).log()

    def step(tokens: Tensor, state: int) -> tuple[Tensor, int]:
        return table[tokens], state

    tokens, scores = beam_search(
        torch.tensor([3]), 0, step, lambda state, _: state, stop=2, width=2, length=3
    )

    # "1 0" has 0.36, "0 stop" 0.35; then "1 0 stop" has 0.252
    assert tokens.tolist() == [[[0, 2, 2], [1, 0, 2]]]
    torch.testing.assert_close(scores.exp(), torch.tensor([[0.35, 0.252]]))


def test_fewer_texts_than_beams_leave_impossible_ones_last() -> None:
    """A beam wider than the number of texts is filled up with scores of minus infinity."""
    table = torch.tensor([[0.5, 0.5]]).log()

    tokens, scores = beam_search(
        torch.tensor([0]),
        None,
        lambda tokens, state: (table[0].expand(*tokens.shape, 2), state),
        lambda state, _: state,
        stop=1,
        width=5,
        length=2,
    )

    assert tokens.shape == (1, 5, 2)
    assert scores.exp().tolist()[0] == pytest.approx([0.5, 0.25, 0.25, 0.0, 0.0])


def test_reranking_with_no_weight_is_plain_beam_search() -> None:
    """At temperature 0 the language model has no say."""
    decoder, features = make_decoder(), make_features(8)

    reranked = decode(decoder, WORDS, features, Decoding("rerank", 0.0, 7, LENGTH))

    plain = decode(decoder, WORDS, features, Decoding("beam", 0.0, 7, LENGTH))
    assert torch.equal(reranked.tokens, plain.tokens)
    torch.testing.assert_close(reranked.scores, plain.scores)


def test_a_beam_of_one_is_greedy() -> None:
    """Both take the best token at each place."""
    decoder, features = make_decoder(), make_features(8)

    greedy = decode(decoder, WORDS, features, Decoding("greedy", 0.2, 1, LENGTH))

    beam = decode(decoder, WORDS, features, Decoding("beam", 0.2, 1, LENGTH))
    assert torch.equal(greedy.tokens, beam.tokens)
    torch.testing.assert_close(greedy.scores, beam.scores)


@pytest.mark.parametrize("strategy", ["rerank", "beam", "greedy", "sample"])
def test_units_together_or_apart_get_the_same_texts(strategy: str) -> None:
    """No unit knows of the others, also across blocks of units."""
    decoder, features = make_decoder(), make_features(70)
    decoding = Decoding(strategy, 0.2, 6, 15)  # type: ignore[arg-type]

    together = decode(decoder, WORDS, features, decoding, seed=3)

    for unit in (0, 31, 32, 69):
        alone = decode(decoder, WORDS, features[[unit]], decoding, seed=3, units=[unit])
        assert alone.tokens[0].tolist() == together.tokens[unit].tolist()


@pytest.mark.parametrize("strategy", ["rerank", "beam", "greedy", "sample"])
def test_texts_have_at_most_their_length(strategy: str) -> None:
    """A decoder that never stops is cut off; nothing but stop follows a stop."""
    decoder, features = make_decoder(), make_features(20)
    decoding = Decoding(strategy, 0.0, 5, 15)  # type: ignore[arg-type]
    usual = decode(decoder, WORDS, features, decoding)
    with torch.no_grad():
        decoder.output[1].bias[WORDS.stop] = -1e4

    endless = decode(decoder, WORDS, features, decoding)

    assert endless.tokens.shape == (20, 15)
    assert not bool((endless.tokens == WORDS.stop).any())
    for numbers in usual.tokens.tolist():
        if WORDS.stop in numbers:
            assert set(numbers[numbers.index(WORDS.stop) :]) == {WORDS.stop}


def test_samples_follow_the_seed_and_the_probabilities() -> None:
    """The same seed draws the same texts; first tokens are as frequent as they are probable."""
    decoder = make_decoder()
    features = make_features(1).expand(4000, -1, -1)
    decoding = Decoding("sample", 0.0, 1, 1)

    drawn = decode(decoder, WORDS, features, decoding, seed=5).tokens

    assert torch.equal(drawn, decode(decoder, WORDS, features, decoding, seed=5).tokens)
    assert not torch.equal(drawn, decode(decoder, WORDS, features, decoding, seed=6).tokens)
    sight = decoder.look(features[:1])
    scores, _, _ = decoder.step(
        sight, torch.tensor([[WORDS.start]]), decoder.begin(sight, with_language=False)
    )
    shares = torch.bincount(drawn.flatten(), minlength=len(WORDS)) / 4000
    torch.testing.assert_close(shares, scores[0, 0].exp().detach(), atol=0.03, rtol=0)


def test_without_a_language_model_nothing_is_reranked() -> None:
    """The message says what is possible."""
    sizes = DecoderSizes(features=9, embedding=5, hidden=8, attention=6, language_model=None)
    decoder, features = make_decoder(sizes=sizes), make_features(2)

    with pytest.raises(ValueError, match="no language model; decode with strategy 'beam'"):
        decode(decoder, WORDS, features, Decoding())

    assert decode(decoder, WORDS, features, Decoding("beam", 0.0)).tokens.shape == (2, 15)
