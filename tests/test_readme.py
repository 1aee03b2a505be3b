"""What the README shows works as it stands."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from le_bench.boards.results import read_results
from le_bench.cli import app

if TYPE_CHECKING:
    from conftest import Bench

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def block(name: str) -> str:
    """The code between two markers of the README."""
    match = re.search(
        rf"<!-- {name}:begin -->\n```\w+\n(.*?)```\n<!-- {name}:end -->", README, re.S
    )
    assert match is not None
    return match[1]


def test_the_example_explainer_gets_its_row(bench: Bench) -> None:
    """The README's plugin, in one file of under 40 lines, runs and is on the board."""
    code = block("example")
    (bench.folder / "nearest_word.py").write_text(code)
    row = block("row").replace("sl-resnet", "eye")
    bench.edit(lambda text: f"{text}\n{row}")

    exit_code = bench.run("--plugin", "nearest_word.py", "--out", "my-boards")

    results = read_results(bench.folder / "my-boards" / "results")
    assert exit_code == 0
    assert code.count("\n") < 40
    assert "nearest word" in (bench.folder / "my-boards" / "toy.md").read_text()
    assert "nearest word" in {result.cell.explainer for result in results}


def test_the_board_shown_is_the_committed_one() -> None:
    """The README shows the first table of the Picturebook board, without its footnotes.

    Run with LE_BENCH_UPDATE_GOLDEN=1 to copy it there after the board has changed.
    """
    board = (ROOT / "leaderboards" / "picturebook.md").read_text()
    table = next(part for part in board.split("\n\n") if part.startswith("| explainer"))
    table = re.sub(r" <sup>\d+</sup>", "", table)
    shown = re.search(r"<!-- board:begin -->\n(.*)<!-- board:end -->", README, re.S)
    assert shown is not None

    if os.environ.get("LE_BENCH_UPDATE_GOLDEN"):
        whole = README[: shown.start(1)] + f"{table}\n" + README[shown.end(1) :]
        (ROOT / "README.md").write_text(whole)
    else:
        assert shown[1] == f"{table}\n"


def test_toml_blocks_are_valid() -> None:
    """Every TOML block of the README parses."""
    blocks = re.findall(r"```toml\n(.*?)```", README, re.S)

    assert blocks
    assert all(tomllib.loads(text) for text in blocks)


def test_the_table_of_commands_is_complete() -> None:
    """The README names every command there is, and no other."""
    named = set(re.findall(r"^\| `le-bench (\w+)", README, re.M))
    commands = {command.name for command in app.registered_commands}
    groups = {group.name for group in app.registered_groups}

    assert named == commands | groups


def test_files_named_in_the_readme_exist() -> None:
    """Every relative link of the README leads to a file or folder."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
