"""Layers of a model row by index, and on which axis their units are."""

from __future__ import annotations

from pathlib import Path

import pytest

from le_bench.errors import ExperimentError
from le_bench.planning.experiment import Experiment
from le_bench.planning.plan import make_plan
from le_bench.planning.reading import build_experiment
from le_bench.planning.tables import read_table
from le_bench.plugins import Plugins
from le_bench.types import Layer

TOY = Path(__file__).parent.parent / "toy" / "toy.toml"


def read(plugins: Plugins, *layers: object) -> Experiment:
    """The toy experiment with these layers of its model."""
    table = read_table(TOY)
    table["models"] = [{"use": "toy", "layers": list(layers)}]
    return build_experiment(table, TOY, plugins)


def record_keys(experiment: Experiment, plugins: Plugins) -> list[str]:
    """The keys under which activations are kept."""
    return [
        s.key for s in make_plan(experiment, plugins.origins).steps.values() if s.stage == "record"
    ]


def test_channels_of_a_layer_are_read_and_enter_its_key(plugins: Plugins) -> None:
    """Boards show the same layer, but activations of another axis are other activations."""
    plain = read(plugins, "first")
    last = read(plugins, {"path": "first", "channels": "last"})

    layer = last.models[0].layers[0]

    assert layer == Layer("first", channels="last")
    assert str(layer) == "first"
    assert len(record_keys(plain, plugins)) == len(record_keys(last, plugins)) == 1
    assert record_keys(plain, plugins) != record_keys(last, plugins)


def test_unknown_channels_are_refused(plugins: Plugins) -> None:
    """The fault names both that there are."""
    with pytest.raises(ExperimentError) as refused:
        read(plugins, {"path": "first", "channels": "middle"})

    assert str(refused.value).splitlines()[1:] == [
        "  - models 1 (toy): unknown channels 'middle'; there are: first, last"
    ]


def test_indices_count_children_whatever_they_are_called(plugins: Plugins) -> None:
    """The layer goes by its module path, so that both spellings are one layer."""
    table = read_table(TOY)
    layers = ["encoder.layers[11].mlp[1]", "encoder.layers[-2].ln_1"]
    table["models"] = [{"use": "torchvision:vit_b_16@IMAGENET1K_V1", "layers": layers}]

    experiment = build_experiment(table, TOY, plugins)

    assert [str(layer) for layer in experiment.models[0].layers] == [
        "encoder.layers.encoder_layer_11.mlp.1",
        "encoder.layers.encoder_layer_10.ln_1",
    ]


def test_indices_beyond_the_children_are_refused(plugins: Plugins) -> None:
    """When the experiment is read, with near paths."""
    with pytest.raises(ExperimentError) as refused:
        read(plugins, "first[3]")

    assert str(refused.value).splitlines()[1:] == [
        "  - models 1 (toy): ToyNetwork: there is no layer 'first[3]'; did you mean 'first', "
        "'second' or 'head'?; list them with `le-bench layers MODEL`"
    ]
