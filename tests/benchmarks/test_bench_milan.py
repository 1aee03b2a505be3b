"""What writing descriptions costs: all units together, and one by one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from le_bench_plugins.explainers.milan.decoder import Decoder, DecoderSizes
from le_bench_plugins.explainers.milan.decoding import Decoding, decode
from le_bench_plugins.explainers.milan.vocabulary import Vocabulary

UNITS = 16
WORDS = Vocabulary(tuple(f"word{number}" for number in range(3000)))


@pytest.mark.parametrize("together", [True, False], ids=["together", "apart"])
def test_rerank_with_the_authors_sizes(benchmark: Any, together: bool) -> None:
    """16 units, 15 exemplars of 3,904 features, 50 beams of 15 tokens, 3,004 tokens."""
    torch.manual_seed(0)
    decoder = Decoder(DecoderSizes(), len(WORDS)).eval()
    features = torch.rand(UNITS, 15, 3904)
    parts = [features] if together else list(torch.split(features, 1))

    def describe() -> int:
        return sum(len(decode(decoder, WORDS, part, Decoding()).tokens) for part in parts)

    described = benchmark.pedantic(describe, rounds=1)

    assert described == UNITS
