"""From features of exemplars to token numbers: reranked beams, beams, greedy or sampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from le_bench.errors import unknown_name
from le_bench.types import require
from le_bench_plugins.explainers.milan.beam_search import beam_search
from le_bench_plugins.explainers.milan.decoder import Decoder, Sight, State
from le_bench_plugins.explainers.milan.vocabulary import Vocabulary

Strategy = Literal["rerank", "beam", "greedy", "sample"]
UNITS_AT_ONCE = 32  # bounds memory: 50 beams of 15 exemplars at width 512 take 1.5 MiB a unit


@dataclass(frozen=True)
class Decoding:
    """How a text is chosen.

    `rerank` searches `width` beams for log p(text | exemplars) and takes the text with the highest
    log p(text | exemplars) - temperature * log p(text). The others subtract temperature *
    log p(token) from every token's score already while choosing; at temperature 0 they are
    likelihood alone. `stop_twice`: see `LanguageModel.log_probability`.
    """

    strategy: Strategy = "rerank"
    temperature: float = 0.2
    width: int = 50
    length: int = 15
    stop_twice: bool = False

    def __post_init__(self) -> None:
        known = get_args(Strategy)
        require(self.strategy in known, unknown_name("strategy", self.strategy, known))
        require(self.temperature >= 0, f"temperature is {self.temperature}; it cannot be negative")
        require(self.width >= 1, f"a beam of {self.width} texts is none; give at least 1")
        require(self.length >= 1, f"texts of {self.length} tokens are none; give at least 1")


class Texts(NamedTuple):
    """Chosen tokens (U, T), stop tokens behind the end, and their scores (U,)."""

    tokens: Tensor
    scores: Tensor


@torch.no_grad()
def decode(
    decoder: Decoder,
    vocabulary: Vocabulary,
    features: Tensor,
    decoding: Decoding,
    *,
    seed: int = 0,
    units: Sequence[int] | None = None,
) -> Texts:
    """A text for each unit, of features (U, K, F) of its K exemplars.

    Law: units decoded together or apart get the same texts. Sampling draws from `seed` and the
    unit's number alone, which is its place unless `units` (U,) are given. Raises
    ValueError if `rerank` or a temperature needs a language model that the decoder lacks.
    """
    require(
        decoder.lm is not None or (decoding.strategy != "rerank" and decoding.temperature == 0),
        "this captioner has no language model; decode with strategy 'beam', 'greedy' or 'sample' "
        "and temperature 0",
    )
    numbers = range(len(features)) if units is None else units
    parts = [
        _decode_some(
            decoder,
            vocabulary,
            features[start : start + UNITS_AT_ONCE],
            decoding,
            [f"{seed}:{unit}" for unit in numbers[start : start + UNITS_AT_ONCE]],
        )
        for start in range(0, len(features), UNITS_AT_ONCE)
    ]
    return Texts(torch.cat([p.tokens for p in parts]), torch.cat([p.scores for p in parts]))


def _decode_some(
    decoder: Decoder,
    vocabulary: Vocabulary,
    features: Tensor,
    decoding: Decoding,
    seeds: Sequence[str],
) -> Texts:
    sight = decoder.look(features)
    if decoding.strategy in ("greedy", "sample"):
        greedy = decoding.strategy == "greedy"
        draws = None if greedy else _draws(seeds, decoding.length)
        return _one_by_one(decoder, vocabulary, sight, decoding, draws)
    beams, scores = search(decoder, vocabulary, sight, decoding)
    if decoding.strategy == "beam":
        return Texts(beams[:, 0], scores[:, 0])
    return rerank(decoder, vocabulary, beams, scores, decoding)


def search(
    decoder: Decoder, vocabulary: Vocabulary, sight: Sight, decoding: Decoding
) -> tuple[Tensor, Tensor]:
    """The beams (U, W, T) and their scores (U, W), best first."""
    by_token = decoding.strategy == "beam" and decoding.temperature > 0
    state = decoder.begin(sight, with_language=by_token)

    def step(tokens: Tensor, state: State) -> tuple[Tensor, State]:
        scores, _, state = decoder.step(sight, tokens, state, decoding.temperature)
        return scores, state

    first = torch.full((len(sight.features),), vocabulary.start, device=sight.features.device)
    return beam_search(first, state, step, _take, vocabulary.stop, decoding.width, decoding.length)


def rerank(
    decoder: Decoder, vocabulary: Vocabulary, beams: Tensor, scores: Tensor, decoding: Decoding
) -> Texts:
    """Of beams (U, W, T) with scores (U, W), the one with the most information about its unit."""
    if decoder.lm is None:
        raise TypeError("reranking needs a language model")
    alone = decoder.lm.log_probability(
        beams.flatten(0, 1), vocabulary.start, vocabulary.stop, decoding.stop_twice
    )
    final = scores - decoding.temperature * alone.reshape(scores.shape)
    best = final.argmax(1)
    units = torch.arange(len(best), device=best.device)
    return Texts(beams[units, best], final[units, best])


def _one_by_one(
    decoder: Decoder,
    vocabulary: Vocabulary,
    sight: Sight,
    decoding: Decoding,
    draws: Tensor | None,
) -> Texts:
    """The best token at each place, or by `draws` (U, T) in [0, 1) a random one."""
    state = decoder.begin(sight, with_language=decoding.temperature > 0)
    last = torch.full((len(sight.features), 1), vocabulary.start, device=sight.features.device)
    stopped = torch.zeros_like(last, dtype=torch.bool)
    total = torch.zeros_like(last, dtype=torch.float32)
    tokens: list[Tensor] = []
    for place in range(decoding.length):
        scores, _, state = decoder.step(sight, last, state, decoding.temperature)
        if draws is None:
            last = scores.argmax(-1)
        else:
            shares = scores.softmax(-1).double().cumsum(-1)
            aims = draws[:, place, None, None].to(shares) * shares[..., -1:]
            last = torch.searchsorted(shares, aims, right=True).squeeze(-1)
            last = last.clamp_max(shares.shape[-1] - 1)
        last = last.masked_fill(stopped, vocabulary.stop)
        score = scores.gather(2, last[:, :, None]).squeeze(2)
        total = total + score.masked_fill(stopped, 0)
        stopped = stopped | (last == vocabulary.stop)
        tokens.append(last)
    return Texts(torch.cat(tokens, 1), total.squeeze(1))


def _draws(seeds: Sequence[str], length: int) -> Tensor:
    """Numbers (U, T) in [0, 1), those of a unit by its seed alone."""
    rows = []
    for seed in seeds:
        digest = blake2b(seed.encode(), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
        rows.append(torch.rand(length, dtype=torch.float64, generator=generator))
    return torch.stack(rows)


def _take(state: State, origin: Tensor) -> State:
    """The state of sequences `origin` (U, B)."""

    def of(cells: Tensor) -> Tensor:
        extra = cells.ndim - 2
        index = origin.reshape(*origin.shape, *(1,) * extra).expand(-1, -1, *cells.shape[2:])
        return cells.gather(1, index)

    language = state.language
    return State(
        (of(state.cells[0]), of(state.cells[1])),
        None if language is None else (of(language[0]), of(language[1])),
    )
