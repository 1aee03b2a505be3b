"""How the concept sets that ship with the package are made from WordNet and counts of words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from le_bench.concepts.wordnet import WordNet

OFFENSIVE = frozenset({"obscenity", "disparagement", "ethnic slur"})
NO_NOUNS = """
and any are because being both but can could did does each for had has have her him his how its
least less may might more most must nor not now off one our out over per she should some than that
the their them then they this till too two was were what when where while who why will with would
yes yet you your
"""  # words of closed classes, which WordNet lists for rare senses alone
TAGGED_GERUNDS = 5


def make_superclasses(wordnet: WordNet, wnids: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The superclasses of classes: each name with its classes by number, sorted by name.

    A superclass is a word that heads a synset above at least two of the classes; synsets of one
    word are merged, since a concept is a word. Of several superclasses with the very same classes
    the most specific one stays, the deepest in WordNet (then the first in the alphabet).

    Source: "Linear Explanations for Individual Neurons", section 3. For ImageNet this gives the
    numbers of the authors' code (834 words, 464 of them over two classes or more, 400 sets); which
    of several equal ones stays they chose by hand.
    """
    members: dict[str, set[int]] = {}
    depths: dict[str, int] = {}
    for number, wnid in enumerate(wnids):
        for above in wordnet.hypernyms(wnid):
            title = wordnet.synsets[above].title
            members.setdefault(title, set()).add(number)
            depths[title] = max(depths.get(title, 0), wordnet.depth(above))
    by_classes: dict[tuple[int, ...], str] = {}
    for title in sorted(members, key=lambda title: (-depths[title], title)):
        if len(members[title]) > 1:
            by_classes.setdefault(tuple(sorted(members[title])), title)
    return {title: classes for classes, title in sorted(by_classes.items(), key=lambda at: at[1])}


def make_nouns(wordnet: WordNet, by_frequency: Iterable[str], count: int) -> list[str]:
    """The first `count` common nouns of words given from the most frequent on.

    A common noun is at least three letters long, written in lower case in WordNet, no plural of
    another noun, and at least as often a noun as anything else in WordNet's tagged text; words in
    -ing must occur there as nouns. Words with a sense that WordNet calls obscene or disparaging
    are left out.
    """
    chosen: list[str] = []
    for word in by_frequency:
        if len(chosen) == count:
            break
        if _is_common_noun(wordnet, word):
            chosen.append(word)
    return chosen


def _is_common_noun(wordnet: WordNet, word: str) -> bool:
    if len(word) < 3 or not word.isalpha() or word not in wordnet.nouns or word in NO_NOUNS.split():
        return False
    singulars = [word.removesuffix(ending) for ending in ("s", "es")]
    if word in wordnet.irregular_plurals or any(
        singular != word and singular in wordnet.nouns for singular in singulars
    ):
        return False
    as_noun, *otherwise = (uses.get(word, 0) for uses in wordnet.uses.values())
    if as_noun < max(otherwise) or (word.endswith("ing") and as_noun < TAGGED_GERUNDS):
        return False
    usages = {
        wordnet.synsets[usage].title for synset in wordnet.nouns[word] for usage in synset.usages
    }
    return not usages & OFFENSIVE


def ranges(numbers: Sequence[int]) -> str:
    """Increasing numbers from 0 in short.

    >>> ranges([1, 2, 3, 7])
    '1-3 7'
    """
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def numbers(text: str) -> tuple[int, ...]:
    """The numbers that `ranges` wrote.

    >>> numbers("1-3 7")
    (1, 2, 3, 7)
    """
    parts = [[int(end) for end in part.split("-")] for part in text.split()]
    return tuple(number for part in parts for number in range(part[0], part[-1] + 1))


def as_text(superclasses: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """Superclasses as they lie in the file."""
    return {name: ranges(classes) for name, classes in superclasses.items()}
