"""Concept sets made from WordNet, held against WordNet's own relations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from le_bench.concepts.imagenet import (
    imagenet_classes,
    imagenet_superclasses,
    imagenet_wnids,
)
from le_bench.concepts.making import make_nouns, make_superclasses, numbers, ranges
from le_bench.concepts.shipped import SHIPPED
from le_bench.concepts.wordnet import WordNet
from le_bench.errors import MissingFileError

FOLDER = Path("/usr/share/wordnet")
LICENCE = "  1 This software and database is being provided to you\n"
TREE = {  # offset: (words, above)
    "00000001": (["entity"], []),
    "00000002": (["animal", "beast"], ["00000001"]),
    "00000003": (["canine"], ["00000002"]),
    "00000004": (["dog"], ["00000003", "00000007"]),
    "00000005": (["wolf"], ["00000003"]),
    "00000006": (["cat"], ["00000002", "00000007"]),
    "00000007": (["domestic_animal"], ["00000002"]),
    "00000008": (["tool"], ["00000001"]),
    "00000009": (["hammer"], ["00000008"]),
}


@pytest.fixture(scope="module")
def wordnet() -> WordNet:
    """WordNet 3.0 as Debian ships it."""
    if not (FOLDER / "data.noun").is_file():
        pytest.skip(f"no WordNet at {FOLDER}; apt install wordnet-base")
    return WordNet(FOLDER)


@pytest.fixture
def small(tmp_path: Path) -> WordNet:
    """Nine synsets in WordNet's format."""

    def line(offset: str, words: list[str], above: list[str]) -> str:
        named = " ".join(f"{word} 0" for word in words)
        pointers = "".join(f"@ {place} n 0000 " for place in above)
        return f"{offset} 05 n {len(words):02x} {named} {len(above):03d} {pointers}| a gloss; @ n\n"

    lines = [line(offset, *entry) for offset, entry in TREE.items()]
    (tmp_path / "data.noun").write_text(LICENCE + "".join(lines))
    (tmp_path / "noun.exc").write_text("wolves wolf\n")
    (tmp_path / "cntlist.rev").write_text(
        "dog%1:05:00:: 1 9\ndog%2:05:00:: 1 2\ncat%1:05:00:: 1 1\ncat%3:00:00:: 1 5\n"
    )
    return WordNet(tmp_path)


def above(wordnet: WordNet, wnid: str) -> Iterator[str]:
    """Words of all synsets above one, found by walking every way up."""
    for parent in wordnet.synsets[wnid].above:
        yield wordnet.synsets[parent].words[0]
        yield from above(wordnet, parent)


def test_superclasses_of_a_small_tree(small: WordNet) -> None:
    """Superclasses of one class go; of equal ones the deepest stays."""
    classes = ["n00000004", "n00000005", "n00000006", "n00000009"]

    superclasses = make_superclasses(small, classes)

    assert superclasses == {
        "animal": (0, 1, 2),
        "canine": (0, 1),
        "domestic animal": (0, 2),
        "entity": (0, 1, 2, 3),
    }


def test_common_nouns_of_a_small_tree(small: WordNet) -> None:
    """No plurals, no short words, nothing that is more often something else."""
    words = ["the", "cat", "wolves", "dogs", "dog", "tool", "it", "hammer", "wolf"]

    assert make_nouns(small, words, 3) == ["dog", "tool", "hammer"]


def test_missing_wordnet_says_how_to_get_it(tmp_path: Path) -> None:
    """One message with the package."""
    with pytest.raises(MissingFileError) as caught:
        make_superclasses(WordNet(tmp_path), ["n00000001"])

    assert str(caught.value) == (
        f"{tmp_path / 'data.noun'}: no such file; install WordNet 3.0 (Debian: apt install "
        "wordnet-base, which puts it into /usr/share/wordnet) or give its folder"
    )


def test_shipped_superclasses_follow_wordnet(wordnet: WordNet) -> None:
    """A class belongs to a superclass exactly if one of its ways up leads over that word."""
    belongs = [set(above(wordnet, wnid)) for wnid in imagenet_wnids()]

    for name, classes in imagenet_superclasses().items():
        assert classes == tuple(n for n, words in enumerate(belongs) if name in words), name


def test_no_superclass_is_left_out(wordnet: WordNet) -> None:
    """Every set of two classes or more that a word stands for is that of a shipped superclass."""
    members: dict[str, list[int]] = {}
    for number, wnid in enumerate(imagenet_wnids()):
        for word in set(above(wordnet, wnid)):
            members.setdefault(word, []).append(number)
    sets = {tuple(classes) for classes in members.values() if len(classes) > 1}

    assert len(members) == 834
    assert sum(len(classes) > 1 for classes in members.values()) == 464
    assert set(imagenet_superclasses().values()) == sets


def test_structure_of_the_shipped_superclasses() -> None:
    """400 of them, each over at least two of the 1,000 classes, no two with the same classes."""
    superclasses = imagenet_superclasses()

    assert len(superclasses) == 400
    assert len(set(superclasses.values())) == 400
    assert all(len(classes) >= 2 for classes in superclasses.values())
    assert all(min(classes) >= 0 and max(classes) < 1000 for classes in superclasses.values())
    assert list(superclasses) == sorted(superclasses)
    assert superclasses["entity"] == tuple(range(1000))
    assert set(superclasses["dog"]) == set(range(151, 269))


def test_names_and_numbers_of_imagenet_belong_together() -> None:
    """Classes are counted alike: names by hand beside the sorted WordNet numbers."""
    names, wnids = imagenet_classes(), imagenet_wnids()

    assert len(names) == len(wnids) == len(set(wnids)) == 1000
    assert list(wnids) == sorted(wnids)
    assert (wnids[0], names[0]) == ("n01440764", "tench")
    assert (wnids[207], names[207]) == ("n02099601", "Golden Retriever")
    assert (wnids[999], names[999]) == ("n15075141", "toilet paper")
    assert len(set(names)) == 998


def test_shipped_nouns_are_nouns(wordnet: WordNet) -> None:
    """6,800 different ones, all nouns of WordNet, none of them a slur or a function word."""
    nouns = SHIPPED["nouns"]()

    assert len(nouns) == len(set(nouns)) == 6800
    assert [noun for noun in nouns if noun not in wordnet.nouns] == []
    assert {"dog", "water", "house", "tree", "hamster"} <= set(nouns)
    assert not {"the", "will", "are", "dogs", "men", "shit", "might"} & set(nouns)
    assert make_nouns(wordnet, nouns, 6800) == list(nouns)


@pytest.mark.parametrize("values", [(0,), (1, 2, 3, 7), (0, 2, 4), (*tuple(range(5, 50)), 99)])
def test_ranges_and_back(values: tuple[int, ...]) -> None:
    """Numbers come back as they were."""
    assert numbers(ranges(values)) == values
