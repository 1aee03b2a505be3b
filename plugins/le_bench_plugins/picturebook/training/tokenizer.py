"""Train the byte-pair merges of the encoders' tokenizer until every grammar word is one token."""

from __future__ import annotations

import argparse
import gzip
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from le_bench_plugins.picturebook.captions import WORDS
from le_bench_plugins.picturebook.concepts import CONCEPTS
from le_bench_plugins.picturebook.encoders import MERGES_PATH
from le_bench_plugins.picturebook.training.texts import TEMPLATE_WORDS

Symbols = tuple[str, ...]
Pair = tuple[str, str]

HEADER = "#version: picturebook byte-pair merges"


def grammar_words() -> list[str]:
    """Return every word that captions, concepts and prompts are made of, sorted."""
    texts = [*WORDS, *(concept.name for concept in CONCEPTS), *TEMPLATE_WORDS]
    return sorted({word for text in texts for word in text.lower().split()})


def train_merges(words: Iterable[str]) -> list[Pair]:
    """Return the merges, in order, after which every word is a single token.

    Byte-pair encoding of Sennrich, Haddow and Birch (2016, "Neural machine translation of rare
    words with subword units", algorithm 1), each word counted once; the last letter carries the
    mark of a word's end, as in open_clip's `SimpleTokenizer`. The most frequent pair is merged
    first, ties in alphabetical order.
    """
    splits: list[Symbols] = [(*word[:-1], f"{word[-1]}</w>") for word in sorted(set(words))]
    merges: list[Pair] = []
    while True:
        counts = Counter(pair for split in splits for pair in pairwise(split))
        if not counts:
            return merges
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        splits = [_merge(split, best) for split in splits]


def _merge(split: Symbols, pair: Pair) -> Symbols:
    """Return the symbols with every occurrence of the pair joined, from left to right."""
    joined: list[str] = []
    position = 0
    while position < len(split):
        if split[position : position + 2] == pair:
            joined.append("".join(pair))
            position += 2
        else:
            joined.append(split[position])
            position += 1
    return tuple(joined)


def write_merges(merges: Iterable[Pair], path: Path) -> None:
    """Write a gzip merges file that is the same byte for byte on every run.

    There is no newline at the end: open_clip would read it as one more, empty, merge.
    """
    text = "\n".join([HEADER, *(" ".join(pair) for pair in merges)])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def main() -> None:
    """Train and write the merges file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=MERGES_PATH, help="gzip file to write")
    output: Path = parser.parse_args().output
    write_merges(train_merges(grammar_words()), output)


if __name__ == "__main__":
    main()
