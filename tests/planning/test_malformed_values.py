"""Values of an experiment that no reader can take or keep are faults in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from le_bench.errors import ExperimentError
from le_bench.planning.reading import build_experiment
from le_bench.planning.settings import apply_settings, select_layers
from le_bench.planning.tables import read_table
from le_bench.plugins import Plugins

TOY = (Path(__file__).parent.parent / "toy" / "toy.toml").read_text()
LAYERS = 'layers = ["first", { path = "second", pooling = "max" }]'
PUBLISHED = """
[[published]]
model = "net"
layer = "first"
explainer = "toy-label"
simulator = "labels"
scorer = "correlation"
"""
KEYS = (
    "model, layer, explainer, simulator, scorer and one or more of value, live_mean, length, dead"
)


def faults(plugins: Plugins, text: str, folder: Path, *layers: str) -> list[str]:
    """The messages for an experiment of this text, with these layers selected."""
    path = folder / "x.toml"
    path.write_text(text)
    with pytest.raises(ExperimentError) as caught:
        build_experiment(select_layers(read_table(path), layers), path, plugins)
    return [line.removeprefix("  - ") for line in str(caught.value).splitlines()[1:]]


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("[dataset]", '[dataset]\npalette = "~nosuchuser/x"', "dataset, palette: "),
        (
            'pooling = "max"',
            'directions = "~nosuchuser/x"',
            "models 1 (net): directions: ",
        ),
        (
            'words = ["red", "green", "sky"]\n',
            'words = ["red"]\n[concepts.more]\nfile = "~nosuchuser/x"\n',
            "concepts.more: ",
        ),
    ],
)
def test_what_is_no_path_is_a_fault(
    plugins: Plugins, tmp_path: Path, old: str, new: str, where: str
) -> None:
    """In options, in layers and in concept sets."""
    found = faults(plugins, TOY.replace(old, new), tmp_path)

    assert found == [
        f"{where}'~nosuchuser/x' leads nowhere (its ~ stands for no home that is known here); "
        "check the path"
    ]


def test_a_concept_set_is_named_by_a_text(plugins: Plugins, tmp_path: Path) -> None:
    """A list of names is no name."""
    text = TOY + '[concepts.more]\nnamed = ["nouns"]\n'

    assert faults(plugins, text, tmp_path) == [
        "concepts.more: must name one concept set, not ['nouns']"
    ]


@pytest.mark.parametrize("given", ["layers = 3", 'layers = "first"', ""])
def test_layers_that_are_no_list_are_a_fault_of_their_row(
    plugins: Plugins, tmp_path: Path, given: str
) -> None:
    """Also if one of them is asked for."""
    found = faults(plugins, TOY.replace(LAYERS, given), tmp_path, "first")

    assert found == ["models 1 (net): layers must be a list of module paths such as ['layer4']"]


def test_models_that_are_no_tables_are_a_fault(plugins: Plugins, tmp_path: Path) -> None:
    """Also if a layer is asked for."""
    start, end = TOY.index("[[models]]"), TOY.index("[[explainers]]")

    found = faults(plugins, "models = 3\n" + TOY[:start] + TOY[end:], tmp_path, "first")

    assert found == ["top level: needs at least one [[models]] table"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [("nan", "nan"), ("-inf", "-inf"), ("1" + "0" * 400, f"1{'0' * 17}...{'0' * 19}")],
)
def test_published_figures_are_finite(
    plugins: Plugins, tmp_path: Path, value: str, shown: str
) -> None:
    """Anything else could not be kept beside a result."""
    found = faults(plugins, f"{TOY}{PUBLISHED}value = {value}", tmp_path)

    assert found == [f"published 1: value must be a finite number, not {shown}"]


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ("", f"needs the keys {KEYS}"),
        ("se = 0.1", f"needs the keys {KEYS}"),
        ("value = 0.5\nlenght = 4", "unknown key 'lenght'; did you mean 'length'?"),
        ("value = 0.5\nse = -0.1", "se must not be below 0, as -0.1 is"),
        ("length = 3\nse = 0.1", "se is the standard error of value, which is not given"),
        ("length = -3", "length must not be below 0, as -3 is"),
        ("dead = 5.27", "dead must be a share from 0 to 1, not 5.27"),
    ],
)
def test_published_figures_can_be_what_they_say(
    plugins: Plugins, tmp_path: Path, figures: str, message: str
) -> None:
    """Errors belong to a mean and are not negative, nor are lengths; dead units are a share."""
    found = faults(plugins, TOY + PUBLISHED + figures, tmp_path)

    assert found == [f"published 1: {message}"]


def test_figures_of_a_cell_come_in_one_table(plugins: Plugins, tmp_path: Path) -> None:
    """Of two tables one would be lost."""
    text = f"{TOY}{PUBLISHED}value = 0.5\n{PUBLISHED}length = 4\n"

    found = faults(plugins, text, tmp_path)

    assert found == [
        "published 2: this cell has figures already; give them all in one table",
    ]


@pytest.mark.parametrize(
    ("table", "message"),
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
            "[impact]\nfractions = [nan]",
            "impact: fractions must lie above 0 and at most at 1, not (nan,)",
        ),
        ("[impact]\nfractions = 2020-01-01", "impact: fractions: input should be a valid array"),
    ],
)
def test_options_are_finite_numbers(
    plugins: Plugins, tmp_path: Path, table: str, message: str
) -> None:
    """Results tell of options, and JSON has no others; a date is no number either."""
    assert faults(plugins, f"{TOY}\n{table}", tmp_path) == [message]


def test_a_seed_has_64_bits(plugins: Plugins, tmp_path: Path) -> None:
    """As whole numbers of TOML do; results with more digits could not be read."""
    found = faults(plugins, TOY.replace("seed = 1", f"seed = 1{'0' * 400}"), tmp_path)

    assert found == [
        f"seed: must lie between -2**63 and 2**63, not 1{'0' * 17}...{'0' * 19}",
    ]


@pytest.mark.parametrize("value", ["1" + "0" * 5000, "[" * 5000 + "]" * 5000])
def test_what_python_cannot_parse_is_no_toml(tmp_path: Path, value: str) -> None:
    """Neither in a file nor in a setting, where it is a text."""
    path = tmp_path / "x.toml"
    path.write_text(f"seed = {value}")

    changed = apply_settings({}, [f"seed={value}"])
    with pytest.raises(ExperimentError) as caught:
        read_table(path)

    assert str(caught.value).startswith(f"{path}: is not valid TOML: ")
    assert changed == {"seed": value}


def test_a_file_to_extend_has_a_name(tmp_path: Path) -> None:
    """Without characters that no path may have."""
    path = tmp_path / "x.toml"
    path.write_text('extends = "a\\u0000.toml"')

    with pytest.raises(ExperimentError) as caught:
        read_table(path)

    assert str(caught.value) == (
        f"{path}: extends must name a .toml file of this folder, not 'a\\x00.toml'"
    )


def test_the_own_concept_set_keeps_its_name(plugins: Plugins, tmp_path: Path) -> None:
    """A table of that name would be dropped."""
    found = faults(plugins, f'{TOY}\n[concepts.dataset]\nwords = ["zebra"]', tmp_path)

    assert found == [
        "concepts.dataset: this is the data set's own concept set; give yours another name"
    ]


@pytest.mark.parametrize("units", [0, -1])
def test_a_limit_of_units_leaves_one(plugins: Plugins, tmp_path: Path, units: int) -> None:
    """None at all is no word for all of them."""
    found = faults(plugins, f"units = {units}\n{TOY}", tmp_path)

    assert found == [f"units: must be at least 1, not {units}"]


def test_a_title_is_never_missing(plugins: Plugins, tmp_path: Path) -> None:
    """Without one the name is shown, and only the name is missed."""
    found = faults(plugins, "", tmp_path)

    assert found == [
        "top level: key 'name' is missing",
        "top level: table [dataset] is missing",
        *(
            f"top level: needs at least one [[{key}]] table"
            for key in ("models", "explainers", "simulators", "scorers")
        ),
    ]


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    """As in lists of concepts."""
    path = tmp_path / "x.toml"
    path.write_text('name = "x"', encoding="utf-8-sig")

    assert read_table(path) == {"name": "x"}
