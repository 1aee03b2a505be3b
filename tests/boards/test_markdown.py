"""Names cannot become markup, whatever they hold."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from le_bench.boards.markdown import Notes, number, page, reason_shown, shown, table
from le_bench.boards.tables import alike_together

HOSTILE = [
    "a|b",
    "a\\|b",
    "<script>alert(1)</script>",
    "](javascript:alert(1))",
    "[x](http://evil.example)",
    "![x](http://evil.example/x.png)",
    "http://evil.example",
    "www.evil.example",
    "a@evil.example",
    "`code`",
    "``",
    "**bold**",
    "_a_ __b__",
    "&lt;b&gt;",
    "1. one",
    "- two",
    "# three",
    "\n\n# four",
    ":x:",
    "\u202egnp.exe",
    "a\0b",
    "a\u2028b",
    "~~gone~~",
    " ",
]


def tokens(text: str) -> Iterator[Token]:
    """All tokens of a Markdown text with tables, nested ones too."""
    for token in MarkdownIt("commonmark").enable("table").enable("strikethrough").parse(text):
        yield token
        yield from token.children or ()


@pytest.mark.parametrize(
    ("name", "markdown"),
    [
        ("general store, indoor", "general store, indoor"),
        ("torchvision:resnet50", "torchvision:resnet50"),
        ("encoder.layers.encoder_layer_11.mlp", "encoder.layers.encoder_layer_11.mlp"),
        ("resnet50@IMAGENET1K_V2", "`resnet50@IMAGENET1K_V2`"),
        ("dog's bed (large)", "dog's bed (large)"),
        ("a  b", "a  b"),
        ("a\nb", r"`a\nb`"),
        (r"a\nb", r"`a\\nb`"),
        (" a ", "`  a  `"),
        ("_a_", "`_a_`"),
        ("a _b_ c", "`a _b_ c`"),
        ("a`b``c", "```a`b``c```"),
        ("`", "`` ` ``"),
        ("", "`  `"),
        (" ", "`   `"),
        ("a\0b", r"`a\x00b`"),
        ("\u202ex", r"`\u202ex`"),
        (":x:", "`:x:`"),
        ("1. one", "`1. one`"),
        ("http://x", "`http://x`"),
        ("é", "é"),
    ],
)
def test_harmless_names_stay_plain(name: str, markdown: str) -> None:
    """Ordinary names are plain text, all others code."""
    assert shown(name) == markdown


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text_in_tables(name: str) -> None:
    """A hostile name makes no link, image, HTML, emphasis, heading or further cell."""
    text = table([{shown(name): shown(name), "other": "1"}])

    types = [token.type for token in tokens(text)]

    assert set(types) <= {
        *(f"{tag}_{side}" for tag in ("table", "thead", "tbody", "tr", "th", "td")
          for side in ("open", "close")),
        "inline", "text", "code_inline",
    }  # fmt: skip
    assert (types.count("th_open"), types.count("td_open")) == (2, 2)


@given(st.text(max_size=30))
def test_any_name_is_shown_whole(name: str) -> None:
    """What a reader of the page sees is the name, and nothing in it is markup."""
    expected = "".join(
        char if char.isprintable() and char != "\\" else char.encode("unicode_escape").decode()
        for char in name
    )

    cells = [token for token in tokens(table([{"name": shown(name)}])) if token.type == "inline"]

    children = cells[1].children or ()
    assert {child.type for child in children} <= {"text", "code_inline"}
    assert "".join(child.content for child in children).strip() == expected.strip()


@given(st.text(max_size=8), st.text(max_size=8))
def test_different_names_are_shown_differently(first: str, second: str) -> None:
    """No two names look the same in the source of a page."""
    assert (shown(first) == shown(second)) == (first == second)


def test_long_reasons_are_cut() -> None:
    """A traceback does not fill the board."""
    assert reason_shown("x " * 300) == f"{'x ' * 99}x…".join("``")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1234, "0.123"),
        (-0.1236, "\N{MINUS SIGN}0.124"),
        (-0.0001, "0.000"),
        (0.0005 - 1e-16, "0.001"),
        (0.0005 + 1e-16, "0.001"),
        (None, "n/a"),
        (nan, "n/a"),
        (inf, "n/a"),
        (12345.6, "12345.600"),
    ],
)
def test_numbers_have_fixed_decimals(value: float | None, text: str) -> None:
    """Three decimals, a true minus, no negative zero, and float noise decides no half."""
    assert number(value, 3) == text


def test_tables_are_padded_by_code_points() -> None:
    """Wide characters pad as one column, with `wcwidth` installed or not."""
    text = table([{"名": "猫", "n": "1"}, {"名": "ab", "n": "22"}], right=["n"])

    assert text == "| 名   |   n |\n|:----|----:|\n| 猫   |   1 |\n| ab  |  22 |"


def test_no_rows_give_no_table() -> None:
    """An empty table is nothing at all."""
    assert table([]) == ""


def test_notes_are_numbered_once() -> None:
    """The same note has one number wherever it is used."""
    notes = Notes()

    marks = [notes.mark(text) for text in ("failed", "not run", "failed")]

    assert marks == ["<sup>1</sup>", "<sup>2</sup>", "<sup>1</sup>"]
    assert notes.lines() == "<sup>1</sup> failed  \n<sup>2</sup> not run"


def test_page_leaves_empty_blocks_out() -> None:
    """Blocks are parted by one empty line."""
    assert page("a", "", "b") == "a\n\nb\n"


def test_reasons_that_name_different_things_become_one() -> None:
    """The most frequent name stands for all; sums are kept, and other reasons stay apart."""
    reasons = {
        "concept 'a cat' has no ground truth": 2,
        "concept 'a dog' has no ground truth": 5,
        "concept 'an owl' has no ground truth": 5,
        "the simulation is constant": 1,
        "layer 'a' lies behind 'b'": 1,
    }

    found = alike_together(reasons)

    assert found == {
        "concept 'a dog' has no ground truth and the same of 2 other names": 12,
        "layer 'a' lies behind 'b'": 1,
        "the simulation is constant": 1,
    }
    assert sum(found.values()) == sum(reasons.values())
