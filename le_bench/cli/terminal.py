"""Blocks of a page as a terminal shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import rich.box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from le_bench.boards.comparing.blocks import Block, Heading, Paragraph, Table


def show(blocks: Sequence[Block], console: Console) -> None:
    """Print headings, wrapped paragraphs and ruled tables; nothing in them works as markup."""
    for block in blocks:
        match block:
            case Heading(level, text):
                console.print(Text(text, style="bold underline" if level == 1 else "bold"))
            case Paragraph(text):
                console.print(Text(text))
            case Table(rows, right):
                console.print(_table(rows, right))
        console.print()


def _table(rows: Sequence[Mapping[str, str]], right: Sequence[str]) -> RichTable:
    table = RichTable(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for header in rows[0] if rows else ():
        table.add_column(Text(header), justify="right" if header in right else "left")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row.values()))
    return table
