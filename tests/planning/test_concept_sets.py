"""[concepts.NAME] tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from le_bench.fingerprint import digest
from le_bench.planning.concept_sets import ConceptSets
from le_bench.planning.options import Faults
from le_bench.types import ConceptSet


def read(tables: dict[str, Any], folder: Path = Path()) -> tuple[dict[str, ConceptSet], Faults]:
    faults = Faults()
    return ConceptSets(tables, folder, faults).read(), faults


def test_unions_hold_each_text_once_in_order(tmp_path: Path) -> None:
    """Unions of unions, of files and words, in any order of the tables."""
    (tmp_path / "pets.txt").write_text("dog\rcat\r")

    sets, faults = read(
        {
            "all": {"union": ["some", "more"]},
            "some": {"union": ["words", "pets"]},
            "words": {"words": ["nan", "cat", "", "nan"]},
            "pets": {"file": "pets.txt"},
            "more": {"words": ["dog", "bird"]},
        },
        tmp_path,
    )

    assert faults.messages == []
    assert sets["all"] == ConceptSet("all", ("nan", "cat", "dog", "bird"))


def test_unions_with_the_vocabulary_of_the_dataset() -> None:
    """The dataset's own concepts come first; which they are is known when it is read."""
    sets, _ = read({"w": {"words": ["dog", "bird"]}, "u": {"union": ["w", "dataset"]}})

    assert sets["u"].joined
    assert sets["u"].resolve(("cat", "dog")) == ("cat", "dog", "bird")
    assert sets["w"].resolve(("cat", "dog")) == ("dog", "bird")
    assert len({digest(each.content) for each in sets.values()}) == 3


def test_sets_that_ship_with_the_package() -> None:
    """As in the paper: names, superclasses and nouns; duplicates of names and sets are one."""
    sets, faults = read(
        {
            "names": {"named": "imagenet-classes"},
            "above": {"named": "imagenet-superclasses"},
            "nouns": {"named": "nouns"},
            "all": {"union": ["names", "above", "nouns"]},
        }
    )

    assert faults.messages == []
    sizes = {name: len(own.concepts or ()) for name, own in sets.items()}
    assert (sizes["names"], sizes["above"], sizes["nouns"]) == (998, 400, 6800)
    assert sizes["all"] == len(set().union(*(set(sets[n].concepts or ()) for n in sets)))


def test_missing_files_are_told_apart_from_mistakes(tmp_path: Path) -> None:
    """Broden's labels have to be fetched; that is nobody's slip."""
    _, faults = read({"broden": {"broden": "broden1_224"}}, tmp_path)

    assert faults.num_mistakes == 0
    assert faults.missing == [
        f"concepts.broden: {tmp_path / 'broden1_224'}: no such file; Broden's labels are label.csv "
        "of http://netdissect.csail.mit.edu/data/broden1_224.zip; put it there, or give "
        "another path with --set concepts.broden.broden=PATH (relative to the experiment file)"
    ]


def test_a_file_may_say_where_it_comes_from(tmp_path: Path) -> None:
    """What `how_to_get` says stands in the message that it is not there, and changes no key."""
    (tmp_path / "here.txt").write_text("dog\n")
    whence = "fetch it from http://x"

    sets, faults = read(
        {
            "here": {"file": "here.txt", "how_to_get": whence},
            "gone": {"file": "gone.txt", "how_to_get": whence},
            "odd": {"words": ["dog"], "how_to_get": whence},
        },
        tmp_path,
    )

    assert sets["here"] == ConceptSet("here", ("dog",))
    assert faults.messages == [
        f"concepts.gone: {tmp_path / 'gone.txt'}: no such file; fetch it from http://x, or give "
        "another path with --set concepts.gone.file=PATH (relative to the experiment file)",
        "concepts.odd: how_to_get is a text that goes with `file`",
    ]


def test_faults_of_tables() -> None:
    """Each with its table."""
    _, faults = read(
        {
            "a": {"file": "x", "words": ["y"]},
            "b": {"words": "y"},
            "c": {"named": "noun"},
            "d": {"union": ["e"]},
            "e": {"union": ["d"]},
            "f": {"union": ["words"]},
            "g": {"words": [""]},
        }
    )

    assert faults.messages == [
        "concepts.a: give one of file = 'PATH', words = ['...', ...], named = 'NAME', "
        "broden = 'FOLDER', union = ['SET', ...]",
        "concepts.b: words must be a list of texts, not 'y'",
        "concepts.c: unknown concept set 'noun'; did you mean 'nouns'?",
        "concepts.e: 'd' is united with itself",
        "concepts.f: unknown concept set 'words'; there are: a, b, c, d, dataset, e, g",
        "concepts.g: holds no concept",
    ]
