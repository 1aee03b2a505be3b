"""Make the concept sets that ship with the package: `python -m le_bench.concepts [FOLDER]`.

FOLDER has WordNet 3.0's files (default: /usr/share/wordnet, Debian's `wordnet-base`). Nouns need
the package wordfreq too, which is not a dependency: `pip install wordfreq==3.1.1`.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

from le_bench.concepts.imagenet import imagenet_wnids
from le_bench.concepts.making import as_text, make_nouns, make_superclasses
from le_bench.concepts.wordnet import WordNet

HERE = Path(__file__).parent
NUM_NOUNS = 6800  # as many as in the paper
LOOKED_AT = 100_000


def make(folder: Path) -> None:
    """Write `imagenet_superclasses.json` and, if wordfreq is there, `nouns.txt`."""
    wordnet = WordNet(folder)
    superclasses = as_text(make_superclasses(wordnet, imagenet_wnids()))
    text = json.dumps(superclasses, indent=0, ensure_ascii=False)
    (HERE / "imagenet_superclasses.json").write_text(text + "\n", encoding="utf-8")
    print(f"{len(superclasses)} superclasses")  # noqa: T201  # a script's word to who runs it
    if importlib.util.find_spec("wordfreq"):
        by_frequency = importlib.import_module("wordfreq").top_n_list("en", LOOKED_AT)
        nouns = make_nouns(wordnet, by_frequency, NUM_NOUNS)
        (HERE / "nouns.txt").write_text("\n".join(nouns) + "\n", encoding="utf-8")
        print(f"{len(nouns)} nouns")  # noqa: T201  # a script's word to who runs it


if __name__ == "__main__":
    make(Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/wordnet"))
