"""An experiment is read whole, or refused whole with every fault listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from le_bench.errors import ExperimentError
from le_bench.planning.experiment import Experiment
from le_bench.planning.reading import build_experiment
from le_bench.planning.settings import apply_settings, select_layers, select_rows
from le_bench.planning.tables import read_table
from le_bench.plugins import Plugins
from le_bench.types import ConceptSet, Layer

TOY = Path(__file__).parent.parent / "toy" / "toy.toml"


def build(plugins: Plugins, text: str, folder: Path) -> Experiment:
    path = folder / "x.toml"
    path.write_text(text)
    return build_experiment(read_table(path), path, plugins)


def test_an_experiment_becomes_components(plugins: Plugins) -> None:
    """Every table becomes a component with its options, encoders and concept sets by name."""
    experiment = build_experiment(read_table(TOY), TOY, plugins)

    model = experiment.models[0]
    word = experiment.explainers[1].component
    assert (experiment.name, experiment.seed) == ("toy", 1)
    assert (model.id, model.layers) == ("net", (Layer("first"), Layer("second", "max")))
    assert word.concepts == ConceptSet("words", ("red", "green", "sky"))
    assert word.encoder == experiment.encoders["eye"]


def test_all_faults_come_in_one_message(plugins: Plugins, tmp_path: Path) -> None:
    """Unknown keys, components, options, types, references and files are all listed at once."""
    text = """
nmae = "x"
name = "x"
units = "many"

[dataset]
use = "toy"
num_image = 5
palette = "missing.txt"

[concepts.words]
file = "nowhere.txt"

[[models]]
use = "toy"
units = "six"
layers = ["first", "first", { path = "second", pooling = "mean" }]

[[explainers]]
use = "toy-word"
encoder = "eye"

[[explainers]]
use = "le-lable"

[[explainers]]
use = "toy-word"

[[simulators]]
use = "labels"

[[simulators]]
use = "labels"
"""

    with pytest.raises(ExperimentError) as caught:
        build(plugins, text, tmp_path)

    path = tmp_path / "x.toml"
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path}: 13 faults, nothing was run:"
    assert (
        lines[1:]
        == [
            "  - top level: unknown key 'nmae'; did you mean 'name'?",
            f"  - concepts.words: {tmp_path / 'nowhere.txt'}: no such file",
            "  - units: must be a whole number, not 'many'",
            "  - dataset: unknown option 'num_image'; did you mean 'num_images'?",
            f"  - dataset, palette: {tmp_path / 'missing.txt'} does not exist; paths are "
            "relative to the experiment file",
            "  - models 1 (toy), units: input should be a valid integer, not 'six'",
            "  - models 1 (toy): layer 'first' is listed twice",
            "  - models 1 (toy): unknown pooling 'mean'; there are: avg, first, max, none",
            "  - explainers 1 (toy-word), encoder: unknown encoder 'eye'; there are: none",
            "  - explainers 2 (le-lable): unknown explainer 'le-lable'; did you mean 'le-label' or "
            "'le-oracle' or 'le-label-top'?",
            "  - explainers 3 (toy-word): option 'encoder' is missing; toy-word needs it",
            "  - simulators 2 (labels): the id 'labels' is used twice; give another id",
            "  - top level: needs at least one [[scorers]] table",
        ][: len(lines) - 1]
    )
    assert len(lines) in (13, 14)


@pytest.mark.parametrize("name", ["n" * 81, "Toy", "", ".toy", "a/b"])
def test_names_that_make_no_file_are_refused(plugins: Plugins, tmp_path: Path, name: str) -> None:
    """A name is short and plain, so that folders of results show it as it is."""
    text = TOY.read_text().replace('name = "toy"', f'name = "{name}"')

    with pytest.raises(ExperimentError) as caught:
        build(plugins, text, tmp_path)

    assert str(caught.value) == (
        f"{tmp_path}/x.toml: 1 fault, nothing was run:\n"
        "  - name: use 1 to 80 lower-case letters, digits, '.', '_' and '-', "
        f"not {name!r}"
    )


def test_malformed_toml_is_one_message(tmp_path: Path) -> None:
    """A file that is not TOML, not text or not there is refused with its path."""
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ExperimentError) as malformed:
        read_table(broken)
    with pytest.raises(ExperimentError) as undecodable:
        read_table(binary)
    with pytest.raises(ExperimentError) as missing:
        read_table(tmp_path / "none.toml")

    assert str(malformed.value).startswith(f"{broken}: is not valid TOML: ")
    assert str(undecodable.value) == f"{binary}: is not UTF-8 text (invalid start byte)"
    assert str(missing.value) == (
        f"{tmp_path / 'none.toml'}: no such experiment file; check the path"
    )


def test_published_values_are_kept_by_cell(plugins: Plugins, tmp_path: Path) -> None:
    """A figure of a paper is kept for its cell, and refused for a cell that does not exist."""
    entry = """
[[published]]
model = "net"
layer = "first"
explainer = "toy-label"
simulator = "labels"
scorer = "correlation"
value = 0.25
"""

    experiment = build(plugins, TOY.read_text() + entry, tmp_path)
    with pytest.raises(ExperimentError) as caught:
        build(plugins, TOY.read_text() + entry.replace('"net"', '"nte"'), tmp_path)

    assert experiment.published == {
        ("net", "first", "toy-label", "labels", "correlation"): {"value": 0.25}
    }
    assert "published 1: unknown model 'nte'; did you mean 'net'?" in str(caught.value)


def test_concept_files_are_cleaned(plugins: Plugins, tmp_path: Path) -> None:
    """Byte-order mark, CR line ends, blank lines and repetitions go; null and nan stay words."""
    (tmp_path / "words.txt").write_bytes(b"\xef\xbb\xbfnull\r\nnan\r\n\r\n red \r\nnull\r\n")
    text = TOY.read_text().replace('words = ["red", "green", "sky"]', 'file = "words.txt"')

    experiment = build(plugins, text, tmp_path)

    assert experiment.explainers[1].component.concepts.concepts == ("null", "nan", "red")


def test_settings_change_values_before_checking() -> None:
    """--set reaches tables, rows by id or number, and gives TOML values or plain text."""
    table = read_table(TOY)

    changed = apply_settings(
        table,
        ["seed=7", "dataset.num_images=40", "models.net.units=3", "explainers.1.fault=raise"],
    )

    assert changed["seed"] == 7
    assert changed["dataset"] == {"use": "toy", "num_images": 40}
    assert changed["models"][0]["units"] == 3
    assert changed["explainers"][0]["fault"] == "raise"
    assert table["seed"] == 1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("seed", "--set seed: write KEY=VALUE, such as seed=3"),
        (
            "models.nte.units=3",
            "--set models.nte.units=3: unknown row 'nte'; did you mean 'net'?",
        ),
        ("seed.x=3", "--set seed.x=3: 'seed' is a value, not a table"),
        ("models.net=3", "--set models.net=3: 'net' is a whole row; name one option of it"),
    ],
)
def test_bad_settings_are_refused(setting: str, message: str) -> None:
    """A setting that reaches nothing says so."""
    with pytest.raises(ExperimentError) as caught:
        apply_settings(read_table(TOY), [setting])

    assert str(caught.value) == message


def test_rows_and_layers_can_be_selected() -> None:
    """Selecting keeps only the named rows; unknown names get near misses."""
    table = read_table(TOY)

    fewer = select_layers(select_rows(table, "explainers", ["toy-word"]), ["first"])
    with pytest.raises(ExperimentError) as caught:
        select_rows(table, "explainers", ["toy-wrod"])

    assert [row["use"] for row in fewer["explainers"]] == ["toy-word"]
    assert fewer["models"][0]["layers"] == ["first"]
    assert str(caught.value) == (
        "--explainer toy-wrod: unknown explainer 'toy-wrod'; did you mean 'toy-word'?"
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("published = 3", "published: must be [[published]] tables, not 3"),
        ("compare = [3]", "compare: must be a list of pairs of explainer ids, not [3]"),
        (
            'compare = [[["a"], "b"]]',
            "compare: must be a list of pairs of explainer ids, not [[['a'], 'b']]",
        ),
        ("models = 3", "top level: needs at least one [[models]] table"),
        ("concepts = 3", "concepts: must be tables such as [concepts.NAME], not 3"),
    ],
)
def test_values_of_the_wrong_kind_are_faults(
    plugins: Plugins, tmp_path: Path, line: str, message: str
) -> None:
    """A key of the wrong shape is a fault in words, whatever it holds."""
    key = line.split(" =", maxsplit=1)[0]
    table = {k: v for k, v in read_table(TOY).items() if k != key}
    path = tmp_path / "x.toml"
    path.write_text(line)

    with pytest.raises(ExperimentError) as caught:
        build_experiment({**table, **read_table(path)}, path, plugins)

    assert message in str(caught.value)


def test_published_figures_go_with_their_rows() -> None:
    """Selecting rows drops the published figures and pairs of the others."""
    table = read_table(TOY) | {
        "published": [{"explainer": "toy-label"}, {"explainer": "toy-word"}],
        "compare": [["toy-label", "toy-word"]],
    }

    selected = select_rows(table, "explainers", ["toy-word"])

    assert selected["published"] == [{"explainer": "toy-word"}]
    assert selected["compare"] == []
