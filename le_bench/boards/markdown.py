"""Markdown that says what it is given: names cannot become markup, tables have stable bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

from tabulate import tabulate

MISSING = "—"
MINUS = "\N{MINUS SIGN}"

_PLAIN = re.compile(r"[^\W_]([\w .,:;%/()'=+-]*[\w%)])?")
_MARKUP = re.compile(r"(?<![^\W_])_|_(?![^\W_])|://|www\.|:.*:|^\d+[.)]\s", re.IGNORECASE)
_LONGEST_REASON = 200


def prose(text: str) -> str:
    r"""A text from outside as one harmless paragraph: no markup, link or HTML of it works.

    What stands between two backticks is code.

    >>> prose("two\nlines with [a link](http://x) <b>"), prose("`a_b` of a_b")
    ('two lines with \\[a link\\](http://x) \\<b\\>', '`a_b` of a\\_b')
    """
    parts = re.split(r"`([^`]+)`", " ".join(text.split()))
    return "".join(
        code(part) if place % 2 else re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", part)
        for place, part in enumerate(parts)
    )


def shown(name: str) -> str:
    """A name from outside as inline Markdown: as it is if that is harmless, else as code.

    Different names are shown differently. Tables escape `|` themselves.

    >>> shown("general store, indoor"), shown("a|b"), shown("[x](http://y)")
    ('general store, indoor', '`a|b`', '`[x](http://y)`')
    """
    if _PLAIN.fullmatch(name) and name.isprintable() and not _MARKUP.search(name):
        return name
    return code(name)


def code(name: str) -> str:
    """A name from outside as a code span, which takes no links, HTML, emphasis or emoji.

    Backslashes are doubled and what cannot be printed, line ends too, is spelled out.
    """
    text = "".join(
        char if char.isprintable() and char != "\\" else char.encode("unicode_escape").decode()
        for char in name
    )
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    edges = {text[:1], text[-1:]}
    space = " " if "`" in edges or edges in ({""}, {" "}) else ""
    return f"{fence}{space}{text}{space}{fence}"


def reason_shown(reason: str) -> str:
    """A reason from outside as inline Markdown, cut at 200 characters."""
    text = " ".join(reason.split())
    return shown(text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 1]}…")


def number(value: float | None, decimals: int, *, signed: bool = False) -> str:
    """A number with fixed decimals and a true minus sign; `n/a` for None, NaN and infinity.

    >>> number(-0.25, 3), number(0.25, 3, signed=True), number(None, 3), number(-0.0001, 3)
    ('−0.250', '+0.250', 'n/a', '0.000')
    """
    if value is None or not isfinite(value):
        return "n/a"
    text = f"{abs(round(value, 9)):.{decimals}f}"  # float noise must not decide a half
    if float(text) == 0:
        return text
    return f"{MINUS if value < 0 else '+' if signed else ''}{text}"


def table(rows: Sequence[Mapping[str, str]], *, right: Sequence[str] = ()) -> str:
    """A Markdown table of rows that share their keys in order; `right` names numeric columns.

    Columns are padded by code points whether or not `wcwidth` is installed (tabulate would
    measure wide characters with it), so that the bytes are the same on every machine. No rows
    give no table.
    """
    if not rows:
        return ""
    names = list(rows[0])
    escaped = [[row[name].replace("|", r"\|") for name in names] for row in rows]
    headers = [name.replace("|", r"\|") for name in names]
    letters = {char for row in [headers, *escaped] for char in "".join(row)}
    wide = sorted(char for char in letters if not char.isascii())
    there = {ord(char): 0xE000 + index for index, char in enumerate(wide)}  # private use: width 1
    back = {stand_in: char for char, stand_in in there.items()}
    text = tabulate(
        [[cell.translate(there) for cell in row] for row in escaped],
        headers=[header.translate(there) for header in headers],
        tablefmt="pipe",
        disable_numparse=True,
        colalign=["right" if header in right else "left" for header in names],
    )
    return text.translate(back)


@dataclass(slots=True)
class Notes:
    """The numbered notes under one table, each text once, in order of first use."""

    texts: list[str] = field(default_factory=list)

    def mark(self, text: str) -> str:
        """The mark that refers to this note."""
        if text not in self.texts:
            self.texts.append(text)
        return f"<sup>{self.texts.index(text) + 1}</sup>"

    def lines(self) -> str:
        """All notes, one a line (Markdown line breaks between), or nothing."""
        return "  \n".join(f"<sup>{n}</sup> {text}" for n, text in enumerate(self.texts, 1))


def page(*blocks: str) -> str:
    """Blocks with one empty line between them and a newline at the end; empty ones left out."""
    return "\n\n".join(block for block in blocks if block) + "\n"
