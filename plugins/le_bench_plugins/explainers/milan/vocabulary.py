"""The tokens that a captioner knows, and how they become a description."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from le_bench.types import require

NUM_SPECIAL = 4  # start, stop, padding, unknown
_TOKEN = re.compile(r"\w+|[^\w\s]")


def tokenize(text: str) -> list[str]:
    """The lower-cased words and punctuation marks of a text.

    Deviation: the authors tokenise with spaCy, which also splits words such as "don't".

    >>> tokenize("A cat's head, at night.")
    ['a', 'cat', "'", 's', 'head', ',', 'at', 'night', '.']
    """
    return _TOKEN.findall(text.lower())


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by number; the four numbers behind them are start, stop, padding and unknown."""

    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        require(len(set(self.tokens)) == len(self.tokens), "a token occurs twice in the vocabulary")

    @classmethod
    def of_texts(cls, texts: Iterable[str]) -> Vocabulary:
        """Every token of these texts, the most frequent first, equally frequent ones by letter."""
        counts = Counter(token for text in texts for token in tokenize(text))
        return cls(tuple(sorted(counts, key=lambda token: (-counts[token], token))))

    def __len__(self) -> int:
        """How many numbers there are, special ones included."""
        return len(self.tokens) + NUM_SPECIAL

    @property
    def start(self) -> int:
        """Comes before the first token."""
        return len(self.tokens)

    @property
    def stop(self) -> int:
        """Comes after the last token."""
        return len(self.tokens) + 1

    @property
    def padding(self) -> int:
        """Stands where a shorter text has ended."""
        return len(self.tokens) + 2

    @property
    def unknown(self) -> int:
        """Stands for a token that is not here."""
        return len(self.tokens) + 3

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}

    def encode(self, text: str, length: int) -> list[int]:
        """`length` numbers: the tokens of the text, cut to leave room for stop, then padding."""
        numbers = [self._numbers.get(token, self.unknown) for token in tokenize(text)]
        numbers = [*numbers[: length - 1], self.stop]
        return numbers + [self.padding] * (length - len(numbers))

    def describe(self, numbers: Sequence[int]) -> str:
        """The text of token numbers up to the first stop, special ones left out.

        Spaces before . , ; : and around - are removed, as in the published descriptions.
        Deviation: those begin with a capital letter, which encoders undo; here words stay as they
        are, like the names of concepts.

        >>> Vocabulary(("cats", ",", "dogs")).describe([3, 0, 1, 2, 4, 0])
        'cats, dogs'
        """
        kept: list[str] = []
        for number in numbers:
            if number == self.stop:
                break
            if number < len(self.tokens):
                kept.append(self.tokens[number])
        text = re.sub(r" ([.,;:])", r"\1", " ".join(kept))
        return re.sub(r" ?- ?", "-", text).strip()
