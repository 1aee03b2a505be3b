"""Beam search over token sequences, for many units at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

S = TypeVar("S")


def beam_search(  # noqa: PLR0917  # what a search consists of
    first: Tensor,
    state: S,
    step: Callable[[Tensor, S], tuple[Tensor, S]],
    take: Callable[[S, Tensor], S],
    stop: int,
    width: int,
    length: int,
) -> tuple[Tensor, Tensor]:
    """The best `width` sequences of each unit: tokens (U, width, length), scores (U, width).

    A sequence's score is the sum of its tokens' scores up to the first stop token, after which
    only stop tokens follow and count nothing; one that has not stopped after `length` tokens ends
    there. Sequences come best first. If there are fewer than `width`, the rest score -inf.

    `first` (U,) are the tokens to begin with. `step(tokens, state)` gives scores (U, B, V) of the
    next token of B sequences a unit; `take(state, origin)` the state of sequences `origin` (U, B).

    As allennlp's `BeamSearch` with `per_node_beam_size = width`, which the authors use. A beam of
    at least V^(length - 1) sequences makes the search exhaustive. Units do not interact.
    """
    tokens = first.new_empty((len(first), 1, 0))
    scores = torch.zeros(len(first), 1, device=first.device)
    last = first[:, None]
    for _ in range(length):
        following, state = step(last, state)
        if tokens.shape[2] > 0:
            following = _only_stop_after_stop(following, last == stop, stop)
        scores, origin, last = _best(scores[:, :, None] + following, width)
        state = take(state, origin)
        kept = tokens.gather(1, origin[:, :, None].expand(-1, -1, tokens.shape[2]))
        tokens = torch.cat([kept, last[:, :, None]], 2)
        if bool((last == stop).all()):
            break
    missing = (width - tokens.shape[1], length - tokens.shape[2])
    tokens = torch.nn.functional.pad(tokens, (0, missing[1], 0, missing[0]), value=stop)
    return tokens, torch.nn.functional.pad(scores, (0, missing[0]), value=-torch.inf)


def _only_stop_after_stop(following: Tensor, stopped: Tensor, stop: int) -> Tensor:
    """Scores (U, B, V) that leave sequences which have stopped as they are."""
    nothing = torch.full_like(following[:1, :1], -torch.inf)
    nothing[..., stop] = 0
    return torch.where(stopped[:, :, None], nothing, following)


def _best(scores: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best scores (U, W) of (U, B, V), with the sequence and the token they belong to."""
    num_tokens = scores.shape[2]
    flat = scores.flatten(1)
    values, places = flat.topk(min(width, flat.shape[1]), dim=1)
    return values, places // num_tokens, places % num_tokens
