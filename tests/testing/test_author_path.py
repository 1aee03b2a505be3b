"""The path of a plugin's author: new, check, test, install, run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from le_bench.boards.results import read_results
from le_bench.cli import call

KINDS = ("explainer", "simulator", "scorer", "model", "dataset")


def written(kind: str, folder: Path) -> Path:
    assert call(["new", kind, f"tiny-{kind}", "--out", str(folder)]) == 0
    return folder


def test_tests_of_new_projects_pass(tmp_path: Path) -> None:
    """The tests that `le-bench new` writes pass as they are, each law one test."""
    projects = [written(kind, tmp_path / kind) for kind in KINDS]

    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-W", "error"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, projects))},
        capture_output=True,
        text=True,
        check=False,
    )

    assert finished.returncode == 0, finished.stdout
    for kind, project in zip(KINDS, projects, strict=True):
        assert f"test_tiny_{kind}.py::test_law[hashable] PASSED" in finished.stdout
        assert (project / "weights.safetensors").exists() == (kind == "model")


def test_a_foreign_distribution_is_found_and_has_its_row(tmp_path: Path) -> None:
    """A new explainer, installed by pip as its own distribution, runs by name alone."""
    project = written("explainer", tmp_path / "project")
    site = tmp_path / "site"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"),
            *("--no-index", "--disable-pip-version-check", "--target", str(site), str(project)),
        ],
        check=True,
        capture_output=True,
    )
    experiment = project / "experiment.toml"
    experiment.write_text(experiment.read_text().replace("600", "120"))
    command = [sys.executable, "-c", "from le_bench.cli import main; main()"]
    boards, cache = tmp_path / "boards", tmp_path / "cache"
    arguments = ["run", str(experiment), "--out", str(boards), "--cache", str(cache)]

    finished = subprocess.run(
        [*command, *arguments, "--limit-units", "8", "--device", "cpu"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    results = read_results(boards / "results")
    assert {result.cell.explainer for result in results} == {"tiny-explainer", "random"}
    assert "tiny-explainer" in (boards / "tiny_explainer.md").read_text()


def test_check_says_in_words_what_is_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`le-bench check FILE.py` leaves with 4 and names the law, the place and the remedy."""
    project = written("explainer", tmp_path / "project")
    file = project / "tiny_explainer.py"
    spoilt = file.read_text().replace("min(self.num_images, len(activations))", "self.num_images")
    file.write_text(spoilt)
    capsys.readouterr()

    code = call(["check", str(file), "--json", str(tmp_path / "verdicts.json")])

    captured = capsys.readouterr()
    (record,) = json.loads((tmp_path / "verdicts.json").read_text())
    broken = [law for law in record["laws"] if law["state"] == "broken"]
    assert code == 4
    assert [law["law"] for law in broken] == ["tiny input"]
    assert "'tiny input' is broken: it raised RuntimeError: selected index k out" in captured.out
    assert "explainer tiny-explainer: deterministic ..." in captured.err
    assert "explainer 'tiny-explainer': see above what to mend" in captured.err


def test_check_by_name_and_with_options(capsys: pytest.CaptureFixture[str]) -> None:
    """A component is found by its name, options are given by --set; a sound one leaves with 0."""
    code = call(["check", "picturebook", "--kind", "dataset", "--set", "num_images=20"])

    assert code == 0
    assert "picturebook: 12 hold, 0 do not apply, 0 broken" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "correlatoin"], "did you mean 'correlation'"),
        (["check", "correlation", "--kind", "scorers"], "did you mean 'scorer'"),
        (["check", "correlation", "--set", "alpha=1"], "--set alpha: unknown option 'alpha'"),
        (["check", "missing.py"], "--plugin missing.py: no such file; check the path"),
        (["new", "explainr", "mine"], "unknown kind 'explainr'; did you mean 'explainer'?"),
        (["new", "explainer", "My Words"], "such as 'my-words'"),
        (["new", "explainer", "random"], "a module 'random' is installed; choose another name"),
        (["new", "explainer", "le-label"], "there is explainer 'le-label' already, of le-bench"),
    ],
)
def test_mistakes_are_told_with_near_misses(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A user's mistake leaves with 2 and one message, and writes nothing."""
    monkeypatch.chdir(tmp_path)

    code = call(arguments)

    assert code == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second project in the same folder is refused."""
    project = written("scorer", tmp_path / "project")
    before = (project / "README.md").read_text()

    code = call(["new", "scorer", "other-scorer", "--out", str(project)])

    assert code == 2
    assert "exists, and nothing is overwritten; give another --out" in capsys.readouterr().err
    assert (project / "README.md").read_text() == before


def test_a_component_that_cannot_be_made_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two components in a file the one without its option is told, the other checked."""
    file = tmp_path / "two.py"
    file.write_text(
        "from dataclasses import dataclass\n"
        "from le_bench import hookimpl\n"
        "from le_bench.templates.scorer import MyScorer\n"
        "@dataclass(frozen=True)\n"
        "class A(MyScorer):\n    name = 'needs-option'\n    threshold: float\n"
        "@dataclass(frozen=True)\n"
        "class B(MyScorer):\n    name = 'needs-none'\n"
        "@hookimpl\ndef le_bench_scorers():\n    return [A, B]\n"
    )

    code = call(["check", str(file)])

    out = capsys.readouterr().out
    assert code == 4
    assert "option 'threshold' is missing; needs-option needs it; give options by --set" in out
    assert "needs-none: 16 hold, 0 do not apply, 0 broken" in out


def test_the_pytest_plugin_imports_nothing_heavy() -> None:
    """A test run of another project does not pay for torch."""
    code = "import sys, le_bench.testing.pytest_plugin; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
