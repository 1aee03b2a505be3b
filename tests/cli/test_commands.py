"""Commands beside `run`: layers, cache, help."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from le_bench.cli import app, call
from le_bench.cli.session import find_experiment

if TYPE_CHECKING:
    from conftest import Bench


def test_layers_lists_paths_shapes_and_units(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """`le-bench layers` shows every module of a model with its output, units and poolings."""
    code = call(["layers", "net", "--experiment", "toy.toml", "--plugin", str(bench.plugin)])

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert code == 0
    assert ["first", "Conv2d", "6x6x6", "6", "avg", "max"] in lines
    assert ["head", "Linear", "4", "4", "avg", "max", "none"] in lines


def test_layers_of_a_short_form_need_neither_experiment_nor_weights(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """A library's model is listed from its name alone, as a table or as JSON."""
    code = call(["layers", "torchvision:resnet18@IMAGENET1K_V1"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    call(["layers", "timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k", "--json"])
    listed = {layer["path"]: layer for layer in json.loads(capsys.readouterr().out)}

    assert code == 0
    assert ["layer4", "Sequential", "512x7x7", "512", "avg", "max"] in lines
    assert listed["blocks.11.mlp.act"] == {
        "path": "blocks.11.mlp.act",
        "type": "GELU",
        "shape": [197, 768],
        "units": 768,
        "poolings": ["avg", "max", "first"],
        "remark": "",
    }


def test_layers_of_an_experiment_need_neither_its_data_nor_weights(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the data set the network is looked at with a black picture, and a line says so."""
    bench.edit(
        lambda text: text.replace(
            '[dataset]\nuse = "toy"', '[dataset]\nuse = "npz"\nfile = "gone.npz"'
        ).replace(
            'use = "toy"\nid = "net"\nlayers',
            'use = "torchvision:resnet18@IMAGENET1K_V1"\nid = "net"\n'
            'checkpoint = "gone.pth"\nlayers',
        )
    )

    code = call(["layers", "net", "--experiment", "toy.toml", "--plugin", str(bench.plugin)])

    captured = capsys.readouterr()
    assert code == 0
    assert "layer4" in captured.out
    assert captured.err == (
        "on a black picture of 512 x 512 pixels, since gone.npz: no such file; check the path\n"
    )


def test_layers_of_a_preset_for_small_images(capsys: pytest.CaptureFixture[str]) -> None:
    """The network of CIFAR-100 is listed on an image of its own size."""
    code = call(["layers", "preset:vgg16-bn-cifar100", "--json"])

    listed = {layer["path"]: layer for layer in json.loads(capsys.readouterr().out)}
    assert code == 0
    assert listed["features"]["shape"] == [512, 1, 1]
    assert listed["classifier"]["units"] == 100


def test_layers_of_a_network_that_takes_no_such_image(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """What torch says of shapes becomes one message with what to do."""
    network = "nn.Sequential(nn.Flatten(), nn.Linear(12, 2))"
    source = f"from torch import nn\n\ndef make():\n    return {network}\n"
    (bench.folder / "nets.py").write_text(source)
    row = 'use = "factory", id = "flat", factory = "nets.py", function = "make", layers = ["1"]'
    model = f"models=[{{{row}}}]"
    arguments = ["layers", "flat", "--experiment", "toy.toml", "--plugin", str(bench.plugin)]

    code = call([*arguments, "--set", model])

    assert code == 2
    message = capsys.readouterr().err
    assert message.startswith("error: the network does not take an image of 8 x 8 pixels (")
    assert "give it `resize` and `crop`" in message


@pytest.mark.parametrize("name", ["paper/table2", "paper/table2.toml"])
def test_experiments_are_found_by_name_with_and_without_suffix(name: str) -> None:
    """As the folder of experiments lists them."""
    assert find_experiment(name).as_posix().endswith("experiments/paper/table2.toml")


def test_a_misspelt_experiment_names_near_misses(capsys: pytest.CaptureFixture[str]) -> None:
    """With the suffix as well."""
    code = call(["plan", "paper/tabel2.toml"])

    assert code == 2
    assert "unknown experiment 'paper/tabel2.toml'; did you mean 'paper/table2" in (
        capsys.readouterr().err
    )


def test_run_without_weights_says_what_to_fetch(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run ends before it starts, with exit code 6 and one message for all missing files."""
    monkeypatch.setenv("TORCH_HOME", str(bench.folder))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    rows = "".join(
        f'[[models]]\nuse = "torchvision:{model}@IMAGENET1K_V1"\nlayers = ["layer"]\n'
        for model in ("resnet18", "alexnet")
    )
    bench.edit(lambda text: text.replace("[[models]]", rows + "[[models]]", 1))

    code = bench.run()

    lines = capsys.readouterr().err.splitlines()
    assert code == 6
    assert lines[0] == "error: nothing was run:"
    assert [line.split(":")[0] for line in lines[1:]] == [
        "  - torchvision resnet18@IMAGENET1K_V1",
        "  - torchvision alexnet@IMAGENET1K_V1",
    ]
    assert not (bench.folder / "cache").exists()


def test_layers_of_an_unknown_model_names_near_misses(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong model name is the user's mistake, answered with the nearest ones."""
    code = call(["layers", "nett", "--experiment", "toy.toml", "--plugin", str(bench.plugin)])

    assert code == 2
    assert capsys.readouterr().err == "error: unknown model 'nett'; did you mean 'net'?\n"


def test_cache_counts_verifies_and_clears(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """The cache commands show the folder, find damage, and remove steps but no results."""
    bench.run()
    damaged = next((bench.folder / "cache" / "explain").rglob("*.json"))
    damaged.write_text("{}")
    capsys.readouterr()

    call(["cache", "path"])
    folder = capsys.readouterr().out.strip()
    call(["cache", "verify"])
    verified = capsys.readouterr().out
    call(["cache", "list"])
    listed = capsys.readouterr().out
    call(["cache", "clear", "--yes"])

    assert folder == str(bench.folder / "cache")
    assert verified.endswith("steps checked, 1 damaged\n")
    assert "explain" in listed
    assert not list((bench.folder / "cache").glob("*/??/*.json"))
    assert (bench.folder / "leaderboards" / "toy.md").exists()


def test_every_command_and_option_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The help of each command says in words what it is for."""
    for command in app.registered_commands:
        code = call([str(command.name), "--help"])
        text = capsys.readouterr().out

        assert code == 0
        assert text.count("\n") > 5
