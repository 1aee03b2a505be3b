"""The concept sets of an experiment: [concepts.NAME] tables, read and united."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from le_bench.concepts.lists import broden_concepts, once_each, read_concepts, unite
from le_bench.concepts.shipped import SHIPPED
from le_bench.errors import BenchError, MissingFileError, unknown_name
from le_bench.planning.options import Faults, another_path
from le_bench.planning.paths import resolve_path
from le_bench.types import ConceptSet

OWN = "dataset"
UNION = "union"
BRODEN = (
    "Broden's labels are label.csv of http://netdissect.csail.mit.edu/data/broden1_224.zip; put it "
    "there, or "
)


WHENCE = "how_to_get"  # beside `file`: where it comes from, for the message that it is not there
ABSENT = "\0"  # no concept can begin so


def is_absent(concepts: ConceptSet) -> bool:
    """Whether files of this set are not on this machine, so that its concepts are not known."""
    return any(text.startswith(ABSENT) for text in concepts.concepts or ())


class ConceptSets:
    """Reads each table once; notes faults and goes on."""

    def __init__(self, tables: Mapping[str, Any], folder: Path, faults: Faults) -> None:
        self.tables = tables
        self.folder = folder
        self.faults = faults
        self.found: dict[str, ConceptSet | None] = {OWN: ConceptSet(OWN)}

    def read(self) -> dict[str, ConceptSet]:
        """Every concept set that can be read, the dataset's own among them."""
        for name in self.tables:
            if name == OWN:
                self.faults.add(
                    f"concepts.{name}",
                    "this is the data set's own concept set; give yours another name",
                )
            self._get(name, ())
        return {name: own for name, own in self.found.items() if own is not None}

    def _get(self, name: str, above: tuple[str, ...]) -> ConceptSet | None:
        if name not in self.found:
            self.found[name] = self._read(name, (*above, name))
        return self.found[name]

    def _read(self, name: str, above: tuple[str, ...]) -> ConceptSet | None:
        where = f"concepts.{name}"
        table = dict(self.tables[name]) if isinstance(self.tables[name], Mapping) else {}
        whence = table.pop(WHENCE, "")
        readers: Mapping[str, Callable[[Any, str], tuple[str, ...] | None]] = {
            "file": lambda given, where: self._file(
                given, (where, "file"), read_concepts, f"{whence}, or " if whence else ""
            ),
            "words": self._words,
            "named": self._named,
            "broden": lambda given, where: self._file(
                given, (where, "broden"), broden_concepts, BRODEN
            ),
        }
        if len(table) != 1 or not set(table) <= {*readers, UNION}:
            self.faults.add(
                where,
                "give one of file = 'PATH', words = ['...', ...], named = 'NAME', "
                "broden = 'FOLDER', union = ['SET', ...]",
            )
            return None
        if whence and ("file" not in table or not isinstance(whence, str)):
            self.faults.add(where, f"{WHENCE} is a text that goes with `file`")
            return None
        key, given = next(iter(table.items()))
        if key == UNION:
            return self._union(name, given, where, above)
        texts = readers[key](given, where)
        return None if texts is None else ConceptSet(name, texts)

    def _words(self, given: Any, where: str) -> tuple[str, ...] | None:
        if not isinstance(given, list) or not all(isinstance(word, str) for word in given):
            self.faults.add(where, f"words must be a list of texts, not {given!r}")
            return None
        texts = once_each(given)
        if not texts:
            self.faults.add(where, "holds no concept")
        return texts

    def _named(self, given: Any, where: str) -> tuple[str, ...] | None:
        if not isinstance(given, str):
            self.faults.add(where, f"must name one concept set, not {given!r}")
        elif given not in SHIPPED:
            self.faults.add(where, unknown_name("concept set", given, list(SHIPPED)))
        else:
            return SHIPPED[given]()
        return None

    def _file(
        self,
        given: Any,
        place: tuple[str, str],
        read: Callable[[Path], tuple[str, ...]],
        advice: str,
    ) -> tuple[str, ...] | None:
        where = place[0]
        if not isinstance(given, str):
            self.faults.add(where, f"must name a file, not {given!r}")
            return None
        try:
            return read(resolve_path(given, self.folder))
        except MissingFileError as error:
            self.faults.add_missing(where, f"{error}; {advice}{another_path(*place)}")
            return (f"{ABSENT}{error}",)  # differs from what stands for other files
        except BenchError as error:
            self.faults.add(where, str(error))
        return None

    def _union(
        self, name: str, given: Any, where: str, above: tuple[str, ...]
    ) -> ConceptSet | None:
        if not isinstance(given, list) or not given or not all(isinstance(n, str) for n in given):
            self.faults.add(where, f"union must be a list of concept sets, not {given!r}")
            return None
        parts: list[ConceptSet] = []
        for part in given:
            if part in above:
                self.faults.add(where, f"'{part}' is united with itself")
            elif part not in (*self.tables, OWN):
                known = [OWN, *(table for table in self.tables if table != name)]
                self.faults.add(where, unknown_name("concept set", part, known))
            elif (own := self._get(part, above)) is not None:
                parts.append(own)
        if len(parts) < len(given):
            return None
        joined = any(part.concepts is None or part.joined for part in parts)
        return ConceptSet(name, unite([part.concepts or () for part in parts]), joined)
