"""The decoder's attention, its states, and the language model's score of whole texts."""

from __future__ import annotations

import torch
from torch import Tensor

from le_bench_plugins.explainers.milan.decoder import (
    Attention,
    Decoder,
    DecoderSizes,
    LanguageModel,
    LanguageModelSizes,
)

SIZES = DecoderSizes(9, 5, 8, 6, 0.5, LanguageModelSizes(4, 7, 2))
STOP = 2


def make_language_model() -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(6, LanguageModelSizes(4, 7, 2), 0.5).eval()


def by_hand(model: LanguageModel, text: list[int], start: int) -> Tensor:
    """log p of each token of a text, one pass a token."""
    inputs = [start, *text]
    return torch.stack(
        [model(torch.tensor([inputs[:place]]))[0, -1, text[place - 1]] for place in range(1, 5)]
    )


def test_attention_sums_to_one_and_is_that_of_the_formula() -> None:
    """softmax over exemplars of w tanh(Q h + K f) + b, for each text of each unit."""
    torch.manual_seed(0)
    attention = Attention(8, 9, 6)
    hidden, features = torch.randn(3, 4, 8), torch.randn(3, 5, 9)

    weights = attention(hidden, attention.key_to_hidden(features))

    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 4))
    for unit in range(3):
        for text in range(4):
            scores = attention.output(
                torch.tanh(
                    attention.query_to_hidden(hidden[unit, text])
                    + attention.key_to_hidden(features[unit])
                )
            )
            torch.testing.assert_close(weights[unit, text], scores[:, 0].softmax(0))


def test_attention_of_a_step_sums_to_one_with_any_number_of_exemplars() -> None:
    """Also with a single one, which then gets all of it."""
    torch.manual_seed(0)
    decoder = Decoder(SIZES, 6).eval()
    for count in (1, 3, 15):
        sight = decoder.look(torch.randn(2, count, 9))

        _, attention, _ = decoder.step(
            sight, torch.tensor([[4], [4]]), decoder.begin(sight, with_language=True)
        )

        torch.testing.assert_close(attention.sum(-1), torch.ones(2, 1))


def test_order_of_exemplars_is_irrelevant() -> None:
    """The decoder sees a set."""
    torch.manual_seed(0)
    decoder = Decoder(SIZES, 6).eval()
    features = torch.randn(2, 5, 9)
    scores = []
    for seen in (features, features.flip(1)):
        sight = decoder.look(seen)
        begin = decoder.begin(sight, with_language=False)
        scores.append(decoder.step(sight, torch.tensor([[4], [4]]), begin)[0])

    torch.testing.assert_close(*scores)


def test_language_model_steps_as_it_reads_whole_texts() -> None:
    """One token at a time or all at once, log-probabilities are the same."""
    model = make_language_model()
    texts = torch.tensor([[4, 0, 1, 3], [4, 3, 3, 2]])
    whole = model(texts)
    cells = model.begin(torch.zeros(2, 1, 8))

    for place in range(4):
        scores, cells = model.step(texts[:, place : place + 1], cells)

        torch.testing.assert_close(scores[:, 0], whole[:, place])
    torch.testing.assert_close(whole.exp().sum(-1), torch.ones(2, 4))


def test_a_text_counts_up_to_its_stop() -> None:
    """The stop token itself counts, nothing behind it does."""
    model = make_language_model()
    texts = [[0, 1, STOP, STOP], [STOP, STOP, STOP, STOP], [0, 1, 3, 0], [0, 1, 3, STOP]]

    scores = model.log_probability(torch.tensor(texts), 4, STOP)

    expected = [
        by_hand(model, text, 4)[:size].sum() for text, size in zip(texts, (3, 1, 4, 4), strict=True)
    ]
    torch.testing.assert_close(scores, torch.stack(expected))


def test_the_authors_count_the_stop_twice_where_there_is_room() -> None:
    """Their mask leaves one token behind the stop: log p(stop | ..., stop) is added."""
    model = make_language_model()
    texts = [[0, 1, STOP, STOP], [STOP, STOP, STOP, STOP], [0, 1, 3, 0], [0, 1, 3, STOP]]

    scores = model.log_probability(torch.tensor(texts), 4, STOP, stop_twice=True)

    expected = [
        by_hand(model, text, 4)[:size].sum() for text, size in zip(texts, (4, 2, 4, 4), strict=True)
    ]
    torch.testing.assert_close(scores, torch.stack(expected))
