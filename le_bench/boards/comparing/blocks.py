"""A page before it is Markdown or a terminal view: headings, paragraphs and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from le_bench.boards import markdown


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the page's."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that share their keys in order; `right` names numeric columns."""

    rows: Sequence[Mapping[str, str]]
    right: Sequence[str] = ()


Block = Heading | Paragraph | Table


def as_markdown(blocks: Sequence[Block]) -> str:
    """The blocks as a Markdown page; names in them are already shown as Markdown."""
    return markdown.page(*map(_one, blocks))


def _one(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {text}"
        case Paragraph(text):
            return text
        case Table(rows, right):
            return markdown.table(rows, right=right)
