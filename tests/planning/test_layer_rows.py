"""Layers of a model row that say on which axis their units are."""

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
