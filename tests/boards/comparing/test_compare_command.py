"""`le-bench compare`: from a folder of results to a page, JSON or a terminal view."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from le_bench.boards.companions import write_explanations
from le_bench.boards.comparing.blocks import Heading, Paragraph, Table
from le_bench.boards.records import LayerExplanations, Result
from le_bench.boards.results import write_result
from le_bench.cli import call
from le_bench.cli.terminal import show

ROOT = Path(__file__).parents[3]
Output = pytest.CaptureFixture[str]


@pytest.fixture
def boards(
    tmp_path: Path,
    tiny: list[Result],
    explanations: list[LayerExplanations],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A leaderboards folder with the tiny experiment, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for result in tiny:
        write_result(tmp_path / "leaderboards" / "results", result)
    for layer in explanations:
        write_explanations(tmp_path / "leaderboards" / "explanations", layer)
    return tmp_path / "leaderboards"


def test_prints_markdown_and_writes_it(boards: Path, capsys: Output) -> None:
    """Without a terminal stdout gets the page, and --markdown writes the same to a file."""
    code = call(["compare", "--markdown", "page.md"])

    page = capsys.readouterr().out
    assert code == 0
    assert page.startswith("# tiny by simulator\n")
    assert "Kendall's τ" in page
    assert Path("page.md").read_text() == page


def test_prints_json(boards: Path, capsys: Output) -> None:
    """--json prints one strict JSON document."""
    call(["compare", "tiny", "--by", "explainer", "--json", "--simulator", "siglip"])

    document = json.loads(capsys.readouterr().out)
    assert (document["experiment"], document["by"]) == ("tiny", "explainer")
    assert {row["group"]["simulator"] for row in document["rows"]} == {"siglip"}


def test_folders_are_taken_together(
    boards: Path, tmp_path: Path, capsys: Output, result_of: Callable[..., Result]
) -> None:
    """A simulator whose results lie elsewhere is compared with those here."""
    values = [0.1] * 20 + [0.3] * 20
    write_result(tmp_path / "mine" / "results", result_of(values, simulator="mine"))

    call(
        [
            "compare",
            "--out",
            "mine",
            "--out",
            "leaderboards",
            "--simulator",
            "mine",
            "--simulator",
            "clip",
            "--json",
        ]
    )

    document = json.loads(capsys.readouterr().out)
    assert set(document["sides"]) == {"mine", "clip"}


def test_same_cell_in_two_folders_is_refused(boards: Path, tmp_path: Path, capsys: Output) -> None:
    """Two results of one cell cannot both be right."""
    (tmp_path / "copy").symlink_to(boards)

    code = call(["compare", "--out", "leaderboards", "--out", "copy"])

    assert code == 2
    assert "this cell is there more than once" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["tinny"],
            "leaderboards has no results of it: unknown experiment 'tinny'; did you mean 'tiny'?",
        ),
        (
            ["--by", "simulators"],
            "--by simulators: unknown axis 'simulators'; did you mean 'simulator'?",
        ),
        (["--explainer", "le-lable"], "unknown explainer 'le-lable'; did you mean 'le-label'?"),
        (
            ["--simulator", "clip"],
            "nothing to compare by simulator in experiment 'tiny': only "
            "simulator 'clip' has results; choose --by explainer",
        ),
        (
            ["--out", "nowhere"],
            "there is no results folder nowhere/results; run `le-bench run` first",
        ),
        (
            ["absent.toml"],
            "absent.toml: no such experiment file; check the path",
        ),
    ],
)
def test_mistakes_are_explained(
    boards: Path, capsys: Output, arguments: list[str], message: str
) -> None:
    """Unknown names come with near misses, and exit code 2."""
    code = call(["compare", *arguments])

    assert code == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_an_experiment_may_be_its_file(boards: Path, capsys: Output) -> None:
    """The name is read from the TOML file."""
    Path("mine.toml").write_text('name = "tiny"\n')

    assert call(["compare", "mine.toml"]) == 0
    assert capsys.readouterr().out.startswith("# tiny by simulator\n")


def test_the_name_may_come_from_an_extended_file(boards: Path, capsys: Output) -> None:
    """A file without a name has that of the file which it extends, as for a run."""
    Path("base.toml").write_text('name = "tiny"\n')
    Path("mine.toml").write_text('extends = "base.toml"\n')

    assert call(["compare", "mine.toml"]) == 0
    assert capsys.readouterr().out.startswith("# tiny by simulator\n")


def test_an_experiment_may_be_named_by_its_place(boards: Path, capsys: Output) -> None:
    """A file of leaderboards/experiments is found by the name that a run takes."""
    (boards / "experiments" / "paper").mkdir(parents=True)
    (boards / "experiments" / "paper" / "table9.toml").write_text('name = "tiny"\n')

    assert call(["compare", "paper/table9"]) == 0
    assert capsys.readouterr().out.startswith("# tiny by simulator\n")


def test_terminal_view_shows_every_cell() -> None:
    """Headings, paragraphs and tables are printed, and markup in names is text."""
    screen = StringIO()
    blocks = [
        Heading(1, "title"),
        Paragraph("some [red]words[/red]"),
        Table([{"name": "a [b]", "n": "1"}, {"name": "c", "n": "22"}], right=["n"]),
    ]

    show(blocks, Console(file=screen, width=60))

    text = screen.getvalue()
    for part in ("title", "[red]words[/red]", "a [b]", "22"):
        assert part in text


def test_committed_results_are_compared_without_torch_and_pandas() -> None:
    """The whole command on the committed boards imports neither torch nor pandas."""
    code = (
        "import sys; from le_bench.cli import call; code = call(['compare', 'picturebook']); "
        "sys.exit(code or any(name in sys.modules for name in ('torch', 'pandas', 'scipy.stats')))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# picturebook by simulator")
