"""Short forms of models and wildcards in layer paths, as experiments are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from le_bench.errors import ExperimentError
from le_bench.planning.experiment import ModelRow
from le_bench.planning.reading import build_experiment
from le_bench.planning.settings import select_layers
from le_bench.planning.tables import read_table
from le_bench.plugins import Plugins
from le_bench.types import Layer

TOY = Path(__file__).parent.parent / "toy" / "toy.toml"
VIT = "timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k"


def read_model(plugins: Plugins, **row: Any) -> ModelRow:
    """The only model of the toy experiment with this row in its place."""
    table = read_table(TOY) | {"models": [row]}
    return build_experiment(table, TOY, plugins).models[0]


def faults_of(plugins: Plugins, **row: Any) -> list[str]:
    """The faults of that experiment without their dashes."""
    with pytest.raises(ExperimentError) as raised:
        read_model(plugins, **row)
    return [line.removeprefix("  - ") for line in str(raised.value).splitlines()[1:]]


def test_short_form_is_the_same_component(plugins: Plugins) -> None:
    """`use` with a colon gives the options that follow, and is the row's name."""
    short = read_model(plugins, use="torchvision:resnet18@IMAGENET1K_V1", layers=["layer4"])
    long = read_model(
        plugins, use="torchvision", model="resnet18", weights="IMAGENET1K_V1", layers=["layer4"]
    )

    assert short.component == long.component
    assert short.id == "torchvision:resnet18@IMAGENET1K_V1"


def test_short_form_goes_with_other_options(plugins: Plugins) -> None:
    """Options beside a short form are read as ever; those it gives must not be repeated."""
    row = {"use": "torchvision:resnet18@IMAGENET1K_V1", "layers": ["layer4"]}

    cropped = read_model(plugins, **row, crop=160)
    faults = faults_of(plugins, **row, model="resnet50")

    assert getattr(cropped.component, "crop", None) == 160
    assert faults == [
        "models 1 (torchvision:resnet18@IMAGENET1K_V1): option 'model' is already given by "
        "'torchvision:resnet18@IMAGENET1K_V1'"
    ]


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("torchvision:", "'torchvision:' is no short form of 'torchvision'; write "
         "torchvision:MODEL@WEIGHTS"),
        ("torchvision:a@b@c", "'torchvision:a@b@c' is no short form of 'torchvision'; write "
         "torchvision:MODEL@WEIGHTS"),
        ("toy:net", "model 'toy' has no short form; write use = \"toy\" and its options"),
        ("torchvison:resnet18", "unknown model 'torchvison'; did you mean 'torchvision'?"),
    ],
)  # fmt: skip
def test_malformed_short_forms_are_refused(plugins: Plugins, use: str, message: str) -> None:
    """What is wrong, and the form that the source has."""
    assert faults_of(plugins, use=use, layers=["first"]) == [f"models 1 ({use}): {message}"]


def test_wildcards_stand_for_layers_in_order(plugins: Plugins) -> None:
    """`*` is anything within one name; pooling goes with each layer; no weights are needed."""
    model = read_model(
        plugins,
        use=VIT,
        layers=[{"path": "blocks.1*.mlp.act", "pooling": "first"}, "blocks.*.norm2"],
    )

    assert model.layers[:3] == tuple(Layer(f"blocks.{i}.mlp.act", "first") for i in (1, 10, 11))
    assert model.layers[3:] == tuple(Layer(f"blocks.{i}.norm2") for i in range(12))


def test_wildcards_that_match_nothing_name_near_paths(plugins: Plugins) -> None:
    """A pattern without a layer, and layers that come up twice, are faults of the file."""
    nothing = faults_of(plugins, use=VIT, layers=["blocks.*.mlp.relu"])
    twice = faults_of(plugins, use=VIT, layers=["blocks.3.norm2", "blocks.3.norm*"])

    assert len(nothing) == 1
    assert nothing[0].startswith(
        f"models 1 ({VIT}): VisionTransformer: no layer matches 'blocks.*.mlp.relu'; did you mean "
    )
    assert nothing[0].endswith(
        "`*` stands for anything but a dot; list them with `le-bench layers MODEL`"
    )
    assert twice == [f"models 1 ({VIT}): layer 'blocks.3.norm2' is listed twice"]


def test_selected_layers_narrow_wildcards() -> None:
    """`--layer` takes one layer out of a pattern, or the whole pattern."""
    table = {"models": [{"use": "x", "layers": [{"path": "b.*.act", "pooling": "max"}, "head"]}]}

    one = select_layers(table, ["b.7.act"])
    whole = select_layers(table, ["b.*.act"])
    with pytest.raises(ExperimentError) as raised:
        select_layers(table, ["b.7.norm"])

    assert one["models"][0]["layers"] == [{"path": "b.7.act", "pooling": "max"}]
    assert whole["models"][0]["layers"] == [{"path": "b.*.act", "pooling": "max"}]
    assert str(raised.value).startswith("--layer b.7.norm: unknown layer 'b.7.norm'")
