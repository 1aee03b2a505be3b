"""Published descriptions as an explainer: whatever stands in a CSV file, to be scored like any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from le_bench import hookimpl
from le_bench.components import Explainer
from le_bench.errors import NotApplicableError, UnreadableFileError, near_misses
from le_bench.types import Evidence, Explanation, require
from le_bench_plugins.explainers.published.formats import (
    Format,
    Saying,
    recognise,
    sayings,
    unit_number,
)
from le_bench_plugins.explainers.published.tables import Line, Table, read_table

WHENCE = (
    "descriptions by several methods are in results/ of "
    "https://github.com/Trustworthy-ML-Lab/Linear-Explanations; clone that repository"
)
MISSING = Saying((), reason="the published file has no row for the unit")


@dataclass(frozen=True, kw_only=True)
class Published(Explainer):
    """Descriptions from a CSV file, one row a unit, or from one for each layer.

    `file` has a column `unit` and one of: `description` (as MILAN and CLIP-Dissect were
    published); `weight0, concept0, weight1, ..., bias` (linear explanations; 0 in both columns for
    a concept that is not there); `category, label, score` (Network Dissection). A column
    `val correlation`, `similarity` or `score` becomes a figure; others are ignored.

    Rows whose column `layer` names another layer are left out; `layers` pairs a layer's path with
    the name that the file has for it. A file without that column needs `layer`, the path of the
    only layer that it describes. In place of `file`, `files` pairs each layer's path with a file of
    its own. On other layers this explainer is not applicable.

    `first_unit` is 0 or 1. Without it, a file with a unit 0 counts from 0, one whose last unit is
    the number of units from 1, and anything else is refused as ambiguous; Network Dissection
    counts from 1. Units beyond those to explain are ignored; a run that is limited to the first
    units reads a file as a whole run does.
    """

    name: ClassVar[str] = "published"
    how_to_get: ClassVar[Mapping[str, str]] = {"file": WHENCE, "files": WHENCE}
    units_interact: ClassVar[bool] = True  # alone, each unit is number 0 and gets its row

    file: Path | None = None
    files: tuple[tuple[str, Path], ...] = ()
    layer: str | None = None
    layers: tuple[tuple[str, str], ...] = ()
    first_unit: int | None = None

    def __post_init__(self) -> None:
        require(
            self.first_unit in (None, 0, 1),
            f"first_unit is {self.first_unit}; units are counted from 0 or from 1",
        )
        require(
            (self.file is None) == bool(self.files),
            "give either `file` or `files`, pairs of a layer's path and its file",
        )
        require(
            self.layer is None or not self.files,
            "`layer` goes with `file`; `files` says the layer of each",
        )
        paths = [path for path, _ in self.files]
        twice = next((path for path in paths if paths.count(path) > 1), None)
        require(twice is None, f"files: layer '{twice}' has two files")
        given = [self.file] if self.file is not None else [file for _, file in self.files]
        folder = next((file for file in given if file.is_dir()), None)
        require(folder is None, f"{folder} is a folder; name a CSV file")

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        """The file's descriptions of this layer's units; units without a row get a reason.

        Raises MissingFileError or UnreadableFileError, with the line, for a malformed file, and
        NotApplicableError if it does not describe the layer.
        """
        table = read_table(self._file(evidence.layer.path))
        form = recognise(table)
        lines = self._lines(table, evidence.layer.path)
        first = self._first(table, lines, form, evidence.num_layer_units)
        said = sayings(table, lines, first, form)
        return [
            Explanation(unit, saying.terms, saying.bias, saying.reason, saying.figures)
            for unit in range(evidence.num_units)
            for saying in [said.get(unit, MISSING)]
        ]

    def _file(self, path: str) -> Path:
        """The file that describes a layer."""
        if self.file is None:
            known = dict(self.files)
            if path not in known:
                raise NotApplicableError(f"there are files for {', '.join(known)} only")
            return known[path]
        if self.layer is not None and self.layer != path:
            raise NotApplicableError(f"{self.file.name} describes layer '{self.layer}' only")
        return self.file

    def _lines(self, table: Table, path: str) -> list[Line]:
        """The rows of a layer."""
        if "layer" not in table.columns:
            if self.layer is None and not self.files:
                raise table.refuse(
                    "there is no column 'layer'; say by option `layer` which one it describes"
                )
            return list(table.lines)
        name = dict(self.layers).get(path, path)
        lines = [line for line in table.lines if line.cells["layer"].strip() == name]
        if not lines:
            known = list(dict.fromkeys(line.cells["layer"].strip() for line in table.lines))
            hint = (near_misses(name, known) or known)[:3]
            raise NotApplicableError(
                f"{table.path.name} has no row for layer '{name}'; it has {', '.join(hint)}"
            )
        return lines

    def _first(self, table: Table, lines: list[Line], form: Format, num_units: int) -> int:
        """The number of the first unit in the file, for a layer of so many units."""
        if self.first_unit is not None:
            return self.first_unit
        units = [unit_number(table, line) for line in lines]
        if form.first_unit is not None:
            return form.first_unit
        if 0 in units:
            return 0
        if max(units) == num_units:
            return 1
        raise UnreadableFileError(
            f"{table.path}: its units {min(units)} to {max(units)} may count from 0 or from 1, for "
            f"a layer of {num_units}; say which by option `first_unit`"
        )


@hookimpl
def le_bench_explainers() -> list[type[Explainer]]:
    """Offer published descriptions."""
    return [Published]
