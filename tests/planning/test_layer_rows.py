"""Layers of a model row by index, the axis of their units, and names of directions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

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


def two_autoencoders(folder: Path) -> list[dict[str, str]]:
    """Layers of two files of directions that have one name in different folders."""
    layers = []
    for place in ("a", "b"):
        (folder / place).mkdir()
        file = folder / place / "sae.safetensors"
        save_file({"weight": torch.eye(6)[: len(layers) + 1]}, file)
        layers.append({"path": "first", "directions": str(file)})
    return layers


def test_directions_go_by_the_id_of_their_layer(plugins: Plugins, tmp_path: Path) -> None:
    """Files of one name are told apart; the name is no part of the key."""
    one, other = two_autoencoders(tmp_path)

    named = read(plugins, one, other | {"id": "wide"})

    assert [str(layer) for layer in named.models[0].layers] == [
        "first via sae",
        "first via wide",
    ]
    assert len(set(record_keys(named, plugins))) == 2
    assert record_keys(read(plugins, other), plugins) == record_keys(
        read(plugins, other | {"id": "wide"}), plugins
    )


def test_directions_of_one_name_are_refused(plugins: Plugins, tmp_path: Path) -> None:
    """The fault says what tells them apart."""
    with pytest.raises(ExperimentError) as refused:
        read(plugins, *two_autoencoders(tmp_path))

    assert str(refused.value).splitlines()[1:] == [
        "  - models 1 (toy): layer 'first via sae' is listed twice; give its `directions` an `id`"
    ]


def test_an_id_without_directions_is_refused(plugins: Plugins) -> None:
    """A layer itself goes by its path."""
    with pytest.raises(ExperimentError) as refused:
        read(plugins, {"path": "first", "id": "x"})

    assert str(refused.value).splitlines()[1:] == [
        "  - models 1 (toy): the `id` of a layer names its `directions`, and 'first' has none"
    ]


@pytest.mark.parametrize("name", ["", "a|b", 3])
def test_an_id_that_is_no_name_is_refused(plugins: Plugins, tmp_path: Path, name: object) -> None:
    """The rule is that of all ids, since boards and files are named by it."""
    one, _ = two_autoencoders(tmp_path)

    with pytest.raises(ExperimentError) as refused:
        read(plugins, {**one, "id": name})

    assert str(refused.value).splitlines()[1:] == [
        f"  - models 1 (toy): id must be 1 to 80 characters without / \\ |, not {name!r}"
    ]
