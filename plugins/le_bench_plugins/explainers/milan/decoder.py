"""The networks that write: an LSTM that attends over a unit's exemplars, and a language model.

Parts are named as in the authors' checkpoints. All functions take U units and B texts a unit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Cells = tuple[Tensor, Tensor]  # hidden and cell state


@dataclass(frozen=True)
class LanguageModelSizes:
    """Widths of the language model; the defaults are the authors'."""

    embedding: int = 128
    hidden: int = 512
    layers: int = 2


@dataclass(frozen=True)
class DecoderSizes:
    """Widths of a decoder for F features an exemplar; the defaults are the authors'.

    `language_model` is None for a decoder without one.
    """

    features: int = 3904
    embedding: int = 128
    hidden: int = 512
    attention: int = 512
    dropout: float = 0.5
    language_model: LanguageModelSizes | None = field(default=LanguageModelSizes())


class Sight(NamedTuple):
    """What is seen of U units: features (U, K, F) of K exemplars and their attention keys."""

    features: Tensor
    keys: Tensor


class State(NamedTuple):
    """Where the texts (U, B) are: cells (U, B, H), and those of the language model (U, B, L, H)."""

    cells: Cells
    language: Cells | None = None


class Attention(nn.Module):
    """Additive attention: how much each exemplar counts for the next word."""

    def __init__(self, query: int, key: int, hidden: int) -> None:
        super().__init__()
        self.query_to_hidden = nn.Linear(query, hidden)
        self.key_to_hidden = nn.Linear(key, hidden)
        self.output = nn.Sequential(nn.Linear(hidden, 1))

    def forward(self, hidden: Tensor, keys: Tensor) -> Tensor:
        """Weights (U, B, K) that sum to 1 over exemplars, of hidden (U, B, H), keys (U, K, A)."""
        query = self.query_to_hidden(hidden)[:, :, None]
        scores: Tensor = self.output(torch.tanh(query + keys[:, None]))
        return scores.squeeze(-1).softmax(-1)


class LanguageModel(nn.Module):
    """p(text) alone, from the texts of annotations."""

    def __init__(self, num_tokens: int, sizes: LanguageModelSizes, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_tokens, sizes.embedding)
        self.lstm = nn.LSTM(
            sizes.embedding,
            sizes.hidden,
            sizes.layers,
            dropout=dropout if sizes.layers > 1 else 0.0,
            batch_first=True,
        )
        self.output = nn.Sequential(nn.Linear(sizes.hidden, num_tokens))

    def begin(self, like: Tensor) -> Cells:
        """Cells of zeros for texts (U, B) with hidden states (U, B, H)."""
        size = (*like.shape[:2], self.lstm.num_layers, self.lstm.hidden_size)
        return like.new_zeros(size), like.new_zeros(size)

    def step(self, tokens: Tensor, cells: Cells) -> tuple[Tensor, Cells]:
        """Log-probabilities of the next token (U, B, V) after tokens (U, B)."""
        embedded = self.embedding(tokens.reshape(-1, 1))
        before = tuple(_layers_first(each) for each in cells)
        _, after = self.lstm(embedded, before)
        scores = self.output(after[0][-1]).log_softmax(-1)
        hidden, cell = (each.transpose(0, 1).reshape(cells[0].shape) for each in after)
        return scores.reshape(*tokens.shape, -1), (hidden, cell)

    def forward(self, inputs: Tensor) -> Tensor:
        """Log-probabilities (B, T, V) of what follows each token of inputs (B, T)."""
        hidden, _ = self.lstm(self.embedding(inputs))
        scores: Tensor = self.output(hidden)
        return scores.log_softmax(-1)

    def log_probability(
        self, tokens: Tensor, start: int, stop: int, stop_twice: bool = False
    ) -> Tensor:
        """Log-probability (B,) of texts (B, T), which end with the first stop token.

        `stop_twice` adds the probability of one more stop behind it, where there is room: what
        the authors' code computes, since its mask leaves one token too many.
        """
        first = tokens.new_full((len(tokens), 1), start)
        scores = self(torch.cat([first, tokens[:, :-1]], 1))
        chosen = scores.gather(2, tokens[:, :, None]).squeeze(2)
        stops = (tokens == stop).long().cumsum(1)
        counted = (stops - (tokens == stop).long()) == 0
        if stop_twice:
            counted[:, 1:] |= counted[:, :-1] & (tokens[:, :-1] == stop)
        return torch.where(counted, chosen, 0).sum(1)


class Decoder(nn.Module):
    """Writes a text about features of exemplars, token by token."""

    def __init__(self, sizes: DecoderSizes, num_tokens: int) -> None:
        super().__init__()
        width = sizes.features
        self.init_h = nn.Sequential(nn.Linear(width, sizes.hidden), nn.Tanh())
        self.init_c = nn.Sequential(nn.Linear(width, sizes.hidden), nn.Tanh())
        self.embedding = nn.Embedding(num_tokens, sizes.embedding)
        self.attend = Attention(sizes.hidden, width, sizes.attention)
        self.feature_gate = nn.Sequential(nn.Linear(sizes.hidden, width), nn.Sigmoid())
        self.lstm = nn.LSTMCell(sizes.embedding + width, sizes.hidden)
        self.output = nn.Sequential(nn.Dropout(sizes.dropout), nn.Linear(sizes.hidden, num_tokens))
        self.lm = (
            LanguageModel(num_tokens, sizes.language_model, sizes.dropout)
            if sizes.language_model
            else None
        )

    def look(self, features: Tensor) -> Sight:
        """What is seen of units, computed once: features (U, K, F)."""
        return Sight(features, self.attend.key_to_hidden(features))

    def begin(self, sight: Sight, with_language: bool) -> State:
        """The state before the first token, for one text a unit."""
        mean = sight.features.mean(1, keepdim=True)
        cells = (self.init_h(mean), self.init_c(mean))
        language = self.lm.begin(cells[0]) if self.lm is not None and with_language else None
        return State(cells, language)

    def step(
        self, sight: Sight, tokens: Tensor, state: State, temperature: float = 0.0
    ) -> tuple[Tensor, Tensor, State]:
        """Scores of the next token (U, B, V), attention (U, B, K) and the new state.

        Scores are log p(token | exemplars) - temperature * log p(token), the second with a
        language state only.
        """
        hidden, cell = state.cells
        attention = self.attend(hidden, sight.keys)
        gated = attention @ sight.features * self.feature_gate(hidden)
        inputs = torch.cat([self.embedding(tokens), gated], -1)
        hidden, cell = (
            each.reshape(cell.shape)
            for each in self.lstm(inputs.flatten(0, 1), (hidden.flatten(0, 1), cell.flatten(0, 1)))
        )
        scores = F.log_softmax(self.output(hidden), -1)
        language = state.language
        if self.lm is not None and language is not None:
            spoken, language = self.lm.step(tokens, language)
            scores = scores - temperature * spoken
        return scores, attention, State((hidden, cell), language)


def _layers_first(cells: Tensor) -> Tensor:
    """(L, U * B, H) of (U, B, L, H)."""
    return cells.flatten(0, 1).transpose(0, 1).contiguous()
