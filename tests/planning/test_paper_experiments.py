"""The experiments of the paper, one file a table."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from le_bench.errors import ExperimentError
from le_bench.planning.experiment import Experiment
from le_bench.planning.reading import KEYS, read_experiment
from le_bench.planning.settings import select_layers
from le_bench.planning.tables import read_table
from le_bench.plugins import Plugins

FOLDER = Path(__file__).parent.parent.parent / "leaderboards" / "experiments" / "paper"
FILES = sorted(FOLDER.glob("*.toml"))
TABLES = [path.stem for path in FILES]
LATER = {"table1": "impact", "table3": "ablation", "table9": "ablation"}


def read(path: Path, plugins: Plugins) -> Experiment:
    """The experiment, whatever files are missing."""
    return read_experiment(read_table(path), path, plugins)[0]


def figures_of(name: str, plugins: Plugins) -> dict[tuple[str, str], dict[str, float]]:
    """A table's published figures by model and explainer; its layers differ in the model."""
    published = read(FOLDER / f"{name}.toml", plugins).published
    return {(place[0], place[2]): dict(figures) for place, figures in published.items()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_table_is_an_experiment(path: Path, plugins: Plugins) -> None:
    """It can be read whole, and what it lacks on this machine are files alone."""
    need = LATER.get(path.stem)
    offered = {*KEYS, *(offer.component.name for offer in plugins.offers("scorer"))}
    if need and need not in offered:
        pytest.skip(f"{path.stem} needs '{need}', which is not installed")

    experiment, missing = read_experiment(read_table(path), path, plugins)

    assert experiment.name == f"paper-{path.stem}"
    assert all("does not exist; " in message or "no such file" in message for message in missing)


def test_there_is_a_file_for_each_table() -> None:
    """Tables 1 to 15; tables of several data sets have a file each."""
    stems = {path.stem for path in FILES}

    assert {f"table{number}" for number in range(1, 16)} <= stems
    assert stems - {f"table{number}" for number in range(1, 16)} == {
        "table2-places365",
        "table2-cifar100",
        "table5-places365",
    }


def test_published_figures_of_the_main_table(plugins: Plugins) -> None:
    """19 figures of table 2 over three files, and their order: LE(SigLIP) is best everywhere."""
    found: dict[tuple[str, ...], float] = {}
    for name in ("table2", "table2-places365", "table2-cifar100"):
        published = read(FOLDER / f"{name}.toml", plugins).published
        found |= {place: figures["value"] for place, figures in published.items()}

    assert len(found) == 19
    for model in {place[0] for place in found}:
        own = {place[2]: value for place, value in found.items() if place[0] == model}
        assert max(own, key=lambda explainer: own[explainer]) == "LE(SigLIP)"
        assert own["LE(Label)"] > max(v for k, v in own.items() if not k.startswith("LE("))
    assert found["ResNet-50", "layer4", "LE(SigLIP)", "SigLIP-SO400M", "correlation"] == 0.3772


def test_other_figures_stand_beside_what_they_are_of(plugins: Plugins) -> None:
    """Lengths, shares of dead units and means over live ones, and no score where none is meant."""
    found = {name: figures_of(name, plugins) for name in TABLES}

    assert found["table4"] == {
        ("ResNet-50", "LE(Label)"): {"length": 4.37},
        ("ResNet-50", "LE(SigLIP)"): {"length": 4.68},
        ("ViT-B-16", "LE(Label)"): {"length": 1.97},
        ("ViT-B-16", "LE(SigLIP)"): {"length": 1.82},
        ("ViT-L-32", "LE(Label)"): {"length": 1.53},
        ("ViT-L-32", "LE(SigLIP)"): {"length": 1.51},
    }
    assert found["table14"] == {
        ("ResNet-50", "random"): {"dead": 0.0},
        ("ViT-B-16", "random"): {"dead": 0.0527},
        ("ViT-L-32", "random"): {"dead": 0.0657},
        ("ViT-L-16", "random"): {"dead": 1.0},
    }
    assert found["table15"]["ViT-B-16", "LE(Label)"] == {"live_mean": 0.3399, "live_se": 0.005}
    assert all(set(each) == {"live_mean", "live_se"} for each in found["table15"].values())
    assert found["table8"]["ResNet-50", "LE(Label) top-4"] == {"value": 0.2962, "length": 4.0}


@pytest.mark.parametrize(
    "name", ["table2", "table2-places365", "table2-cifar100", "table3", "table9"]
)
def test_means_come_with_the_errors_of_the_paper(name: str, plugins: Plugins) -> None:
    """Tables 2, 3 and 9 print a standard error beside every mean."""
    figures = figures_of(name, plugins).values()

    assert all(set(each) == {"value", "se"} and each["se"] > 0 for each in figures)


def test_encoders_have_the_constants_of_the_paper(plugins: Plugins) -> None:
    """a and b by the names of open_clip."""
    encoders = read(FOLDER / "table5.toml", plugins).encoders
    constants = {name: encoder.constants() for name, encoder in encoders.items()}

    assert {n: (c.a, c.b) for n, c in constants.items() if c is not None} == {
        "siglip-l": (60.0, -0.09),
        "siglip-so400m": (58.0, -0.13),
        "clip-l-336": (58.0, -0.25),
    }


def test_every_figure_names_a_row_and_a_layer(plugins: Plugins) -> None:
    """A figure of a table beside a row that is not in it would be lost."""
    for path in FILES:
        table = tomllib.loads(path.read_text())
        rows = {row["id"] for row in read_table(path)["explainers"]}
        assert {each["explainer"] for each in table.get("published", [])} <= rows, path


def test_settings_are_those_that_gave_the_figures() -> None:
    """What the authors' code does where the defaults here, or the text of the paper, differ."""
    tables = {name: read_table(FOLDER / f"{name}.toml") for name in TABLES}
    scorers = {
        (name, row["id"]): {key: row[key] for key in row if key not in ("id", "use")}
        for name in ("table3", "table9")
        for row in tables[name]["scorers"]
    }
    optim = {"mode": "optim", "optimiser": "adam-100", "temperature": 1.1}
    concepts = {row["id"]: row.get("concepts") for row in tables["table11"]["explainers"]}

    assert {
        key: tables["table1"]["impact"][key] for key in ("over", "counting", "temperature")
    } == {
        "over": "all",
        "counting": "authors",
        "temperature": 1.1,
    }
    assert scorers == {
        ("table3", "ablation (optim)"): optim,
        ("table9", "ablation (optim)"): optim,
        ("table9", "ablation (norm)"): {"mode": "norm", "moments": "test", "temperature": 1.1},
    }
    assert concepts["LE(SigLIP), concepts of ImageNet"] == "imagenet"
    assert tables["table13"]["models"][0]["layers"][0] == {"path": "encoder", "pooling": "first"}


def test_rows_are_the_columns_of_the_paper(plugins: Plugins) -> None:
    """A method is one row over all layers and models, whatever files its descriptions are in."""
    columns = ["NetDissect", "MILAN", "CLIP-Dissect", "LE(Label)", "LE(SigLIP)"]
    found = {
        name: [row.id for row in read(FOLDER / f"{name}.toml", plugins).explainers]
        for name in ("table2", "table10", "table11", "table12", "table13", "table15")
    }

    assert found == {
        "table2": columns,
        "table10": columns,
        "table11": [*columns, "LE(SigLIP), concepts of ImageNet"],
        "table12": columns[2:],
        "table13": columns[2:],
        "table15": columns[2:],
    }


@pytest.mark.parametrize(
    ("name", "count"), [("table10", 20), ("table11", 20), ("table12", 6), ("table13", 12)]
)
def test_every_layer_of_a_table_has_its_figures(name: str, count: int, plugins: Plugins) -> None:
    """One for each explainer, the last layer among them."""
    published = read(FOLDER / f"{name}.toml", plugins).published

    assert len(published) == count


def test_networks_that_no_library_carries_are_presets() -> None:
    """The two networks, by name, in every table that has them; no experiment brings code along."""
    rows = [row for name in TABLES for row in read_table(FOLDER / f"{name}.toml")["models"]]

    assert {row["use"]: row["id"] for row in rows if row["use"] != "torchvision"} == {
        "preset:resnet18-places365": "ResNet-18 Places365",
        "preset:vgg16-bn-cifar100": "VGG-16-BN CIFAR-100",
    }
    assert list(FOLDER.glob("*.py")) == []


def test_files_that_extend_each_other(tmp_path: Path) -> None:
    """Keys of the file itself count; circles and other folders are refused."""
    (tmp_path / "a.toml").write_text('name = "a"\nseed = 1\n[dataset]\nuse = "x"\n')
    (tmp_path / "b.toml").write_text('extends = "a.toml"\nname = "b"\n')
    (tmp_path / "c.toml").write_text('extends = "d.toml"\n')
    (tmp_path / "d.toml").write_text('extends = "c.toml"\n')
    (tmp_path / "e.toml").write_text('extends = "../a.toml"\n')

    assert read_table(tmp_path / "b.toml") == {"name": "b", "seed": 1, "dataset": {"use": "x"}}
    with pytest.raises(ExperimentError, match=r"d\.toml: extends itself, by way of c\.toml"):
        read_table(tmp_path / "c.toml")
    with pytest.raises(ExperimentError, match=r"must name a \.toml file of this folder"):
        read_table(tmp_path / "e.toml")


def test_figures_of_rows_that_a_file_leaves_out(tmp_path: Path) -> None:
    """Figures and pairs that come from the other file go with its rows; its own are kept."""
    (tmp_path / "a.toml").write_text(
        'compare = [["x", "y"]]\n'
        '[[published]]\nmodel = "m"\nlayer = "a:first"\nexplainer = "x"\n'
        '[[published]]\nmodel = "m"\nlayer = "a:first"\nexplainer = "y"\n'
        '[[published]]\nmodel = "n"\nlayer = "a:first"\nexplainer = "x"\n'
        '[[published]]\nmodel = "m"\nlayer = "b"\nexplainer = "x"\n'
    )
    rows = (
        'extends = "a.toml"\n[[models]]\nid = "m"\nlayers = [{ path = "a" }]\n'
        '[[explainers]]\nuse = "x"\n'
    )
    (tmp_path / "b.toml").write_text(rows)
    (tmp_path / "c.toml").write_text(f'{rows}[[published]]\nmodel = "typo"\n')

    fewer, own = (read_table(tmp_path / name) for name in ("b.toml", "c.toml"))

    assert fewer["published"] == [{"model": "m", "layer": "a:first", "explainer": "x"}]
    assert fewer["compare"] == []
    assert own["published"] == [{"model": "typo"}]


def test_figures_of_a_selected_layer_stay() -> None:
    """A layer is selected by its path, whatever pooling its name tells."""
    path = "encoder.layers.encoder_layer_11.mlp.1"

    selected = select_layers(read_table(FOLDER / "table2.toml"), [path])

    assert [row["id"] for row in selected["models"]] == ["ViT-B-16"]
    assert [each["value"] for each in selected["published"]] == [0.1722, 0.3243, 0.3489]


def test_table_2_of_fewer_models(tmp_path: Path, plugins: Plugins) -> None:
    """A file that extends it with one of its models has the figures of that model alone."""
    for path in FILES:
        (tmp_path / path.name).write_text(path.read_text())
    mine = tmp_path / "mine.toml"
    mine.write_text(
        'extends = "table2.toml"\nname = "mine"\n\n[[models]]\nid = "ResNet-50"\n'
        'use = "torchvision:resnet50@IMAGENET1K_V1"\nlayers = ["layer3", "layer4"]\n'
    )

    experiment = read(mine, plugins)

    assert {place[0] for place in experiment.published} == {"ResNet-50"}
    assert len(experiment.published) == 5
