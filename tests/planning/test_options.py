"""What the options of components may be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from le_bench.components import Component
from le_bench.errors import ExperimentError
from le_bench.fingerprint import digest, fingerprint
from le_bench.planning.options import another_path
from le_bench.planning.reading import build_experiment, read_experiment
from le_bench.planning.tables import read_table
from le_bench.plugins import Plugins
from le_bench.running.provenance import describe

TOY = Path(__file__).parent.parent / "toy" / "toy.toml"
HUGE = "1" + "0" * 400


@pytest.mark.parametrize(
    ("where", "setting"),
    [
        ("dataset", "dataset.file=PATH"),
        ("encoders.eye", "encoders.eye.file=PATH"),
        ("models 2 (net)", "models.net.file=PATH"),
        ("models 2 (net 1.5)", "models.2.file=PATH"),
        ("explainers 1 (LE(SigLIP))", "'explainers.LE(SigLIP).file=PATH'"),
    ],
)
def test_the_setting_that_names_another_file(where: str, setting: str) -> None:
    """As a shell takes it; a row goes by its number where its id holds a dot."""
    advice = another_path(where, "file")

    assert advice == (f"give another path with --set {setting} (relative to the experiment file)")


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (
            '[[scorers]]\nuse = "iou"\nthreshold = nan',
            "scorers 2 (iou), threshold: input should be a finite number, not nan",
        ),
        (
            '[[scorers]]\nuse = "ablation"\ntemperature = inf',
            "scorers 2 (ablation), temperature: input should be a finite number, not inf",
        ),
        (
            f'[[scorers]]\nuse = "wpmi"\nweight = -{HUGE}',
            f"scorers 2 (wpmi), weight: input should be a finite number, not -{HUGE}",
        ),
        (
            '[[models]]\nuse = "factory"\nfactory = "toy.py"\nfunction = "build"\n'
            'layers = ["first"]\noptions = { width = -inf }',
            "models 2 (factory), options: input should be a finite number, not {'width': -inf}",
        ),
        (
            "[impact]\ntemperature = inf",
            "impact: temperature: input should be a finite number, not inf",
        ),
    ],
)
def test_numbers_that_are_not_finite_are_faults(
    plugins: Plugins, tmp_path: Path, row: str, fault: str
) -> None:
    """No option is NaN or infinite, be it a number or a table of them."""
    path = tmp_path / "x.toml"
    path.write_text(f"{TOY.read_text()}\n{row}\n")
    (tmp_path / "toy.py").write_text("")

    with pytest.raises(ExperimentError) as caught:
        build_experiment(read_table(path), path, plugins)

    assert str(caught.value) == f"{path}: 1 fault, nothing was run:\n  - {fault}"


FILES = """
[[explainers]]
id = "theirs"
use = "published"
files = [["first", "a.csv"], ["second", "~/b.csv"]]
"""


def test_paths_in_pairs_are_paths_too(
    plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are found from the experiment's folder, and those that are not there are told."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = tmp_path / "x.toml"
    path.write_text(TOY.read_text().replace("[[simulators]]", f"{FILES}\n[[simulators]]", 1))
    (tmp_path / "a.csv").write_text("unit,description\n0,a\n")

    experiment, missing = read_experiment(read_table(path), path, plugins)

    theirs = next(row.component for row in experiment.explainers if row.id == "theirs")
    files = (("first", tmp_path / "a.csv"), ("second", tmp_path / "home" / "b.csv"))
    assert theirs.files == files  # type: ignore[attr-defined]  # it is `published`
    assert missing == [
        f"explainers 3 (theirs), files: {tmp_path / 'home' / 'b.csv'} does not exist; "
        "descriptions by several methods are in results/ of "
        "https://github.com/Trustworthy-ML-Lab/Linear-Explanations; clone that repository, or "
        "name another in `files` (relative to the experiment file)"
    ]


def test_content_of_files_in_pairs_enters_the_key(plugins: Plugins, tmp_path: Path) -> None:
    """A changed file changes it, another place does not; provenance tells names and digests."""
    path = tmp_path / "a.csv"
    moved = tmp_path / "elsewhere" / "a.csv"
    moved.parent.mkdir()
    for place in (path, moved):
        place.write_text("unit,description\n0,a\n")
    offer = plugins.offer("explainer", "published").component

    before, same = (key_of(offer(files=(("first", place),))) for place in (path, moved))
    options = describe(offer(files=(("first", moved),)))
    moved.write_text("unit,description\n0,b\n")
    after = key_of(offer(files=(("first", moved),)))

    assert before == same
    assert before != after
    assert options["files"][0][0] == "first"
    assert options["files"][0][1].startswith("a.csv sha256 ")
    json.dumps(options)


def key_of(component: Component) -> str:
    """The digest of all that decides what a component computes."""
    return digest(fingerprint(component, {}))
