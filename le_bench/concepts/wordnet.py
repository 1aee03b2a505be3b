"""Nouns and their hypernyms, read from WordNet 3.0's own files.

Only `python -m le_bench.concepts` and the tests read them; the package ships what comes out.
Debian's `wordnet-base` has the files in /usr/share/wordnet. Format: wndb(5WN) of WordNet 3.0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from le_bench.errors import MissingFileError, UnreadableFileError

ABOVE = ("@", "@i")  # hypernym, instance hypernym
USAGE = ";u"
PARTS_OF_SPEECH = ("noun", "verb", "adjective", "adverb")
TYPES = {"1": 0, "2": 1, "3": 2, "4": 3, "5": 2}  # of sense keys; 5 is an adjective's satellite


@dataclass(frozen=True, slots=True)
class Synset:
    """A noun synset: its number such as n02084071, its words in WordNet's order, those above it.

    `usages` are the numbers of the synsets that say how the words are used, such as "slang".
    """

    wnid: str
    words: tuple[str, ...]
    above: tuple[str, ...]
    usages: tuple[str, ...]

    @property
    def title(self) -> str:
        """The first word."""
        return self.words[0]


@dataclass(frozen=True)
class WordNet:
    """A folder with WordNet 3.0's files `data.noun`, `noun.exc` and `cntlist.rev`."""

    folder: Path

    @cached_property
    def synsets(self) -> Mapping[str, Synset]:
        """Every noun synset by its number."""
        return {synset.wnid: synset for synset in map(_synset, self._lines("data.noun"))}

    @cached_property
    def nouns(self) -> Mapping[str, tuple[Synset, ...]]:
        """Every noun as it is written, with its synsets."""
        found: dict[str, list[Synset]] = {}
        for synset in self.synsets.values():
            for word in synset.words:
                found.setdefault(word, []).append(synset)
        return {word: tuple(synsets) for word, synsets in found.items()}

    @cached_property
    def irregular_plurals(self) -> frozenset[str]:
        """Plurals that no rule gives, such as "men"."""
        return frozenset(cells[0].replace("_", " ") for cells in self._lines("noun.exc"))

    @cached_property
    def uses(self) -> Mapping[str, Mapping[str, int]]:
        """By part of speech, how often each word occurs in WordNet's tagged text."""
        counts: dict[str, Counter[str]] = {part: Counter() for part in PARTS_OF_SPEECH}
        for sense, _, count in self._lines("cntlist.rev"):
            word, _, rest = sense.partition("%")
            counts[PARTS_OF_SPEECH[TYPES[rest[0]]]][word.replace("_", " ")] += int(count)
        return counts

    def hypernyms(self, wnid: str) -> frozenset[str]:
        """The numbers of all synsets above a synset, at any distance, without itself."""
        found: set[str] = set()
        waiting = list(self.synsets[wnid].above)
        while waiting:
            above = waiting.pop()
            if above not in found:
                found.add(above)
                waiting.extend(self.synsets[above].above)
        return frozenset(found)

    def depth(self, wnid: str) -> int:
        """The number of steps of the longest way up to the root."""
        above = self.synsets[wnid].above
        return 1 + max(map(self.depth, above)) if above else 0

    def _lines(self, name: str) -> Iterator[list[str]]:
        """The cells of each entry of a file; its first lines, the licence, begin with a space."""
        path = self.folder / name
        try:
            with path.open(encoding="ascii") as file:
                yield from (line.split("|")[0].split() for line in file if not line[0].isspace())
        except FileNotFoundError:
            raise MissingFileError(
                f"{path}: no such file; install WordNet 3.0 (Debian: apt install wordnet-base, "
                "which puts it into /usr/share/wordnet) or give its folder"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise UnreadableFileError(f"{path}: cannot be read ({error})") from error


def _synset(cells: list[str]) -> Synset:
    """A line of `data.noun`: offset, file, type, word count in hex, words, pointers."""
    num_words = int(cells[3], 16)
    words = tuple(cells[4 + 2 * i].replace("_", " ") for i in range(num_words))
    start = 5 + 2 * num_words
    pointers = [cells[start + 4 * i : start + 4 * i + 3] for i in range(int(cells[start - 1]))]
    return Synset(
        f"n{cells[0]}",
        words,
        tuple(f"n{offset}" for symbol, offset, _ in pointers if symbol in ABOVE),
        tuple(f"n{offset}" for symbol, offset, part in pointers if symbol == USAGE and part == "n"),
    )
