"""The paper's own target models, with files made like the published ones."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from le_bench.errors import MissingFileError, UnreadableFileError
from le_bench.fingerprint import path_digest
from le_bench.networks.layers import list_layers
from le_bench.networks.recording import record_activations
from le_bench.probing.images import ArrayImages
from le_bench.types import Layer
from le_bench_plugins.models.presets import CifarVGG16, PresetModel

CPU = torch.device("cpu")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch on a machine without network; where its checkpoints go."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    checkpoints = tmp_path / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    return checkpoints


def test_places_weights_are_read_as_they_were_published(hub: Path) -> None:
    """A legacy file of a DataParallel training: epoch and accuracy beside prefixed weights."""
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=365).eval()
    weights = {
        f"module.{name}": value
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")  # torch had none in 2017
    }
    content = {"epoch": 90, "arch": "resnet18", "state_dict": weights, "best_prec1": 54.1}
    path = hub / "resnet18_places365.pth.tar"
    torch.save(content, path, _use_new_zipfile_serialization=False)
    source = PresetModel("resnet18-places365")

    model = source.load(CPU)

    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    batch = model.preprocess([pixels])
    assert batch.shape == (1, 3, 224, 224)
    assert torch.equal(model.module(batch), network(batch))
    assert source.identity() == path_digest(path)


def test_cifar_vgg_has_the_layers_of_the_paper(tmp_path: Path) -> None:
    """Names and shapes are those of the published weights; `classifier[4]` has 512 units."""
    torch.manual_seed(0)
    network = CifarVGG16().eval()
    path = tmp_path / "cifar100_vgg16_bn.pt"
    torch.save(network.state_dict(), path)
    images = ArrayImages(np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8))
    layer = Layer("classifier.4", "none")

    model = PresetModel("vgg16-bn-cifar100", path, sha256=path_digest(path)).load(CPU)
    recorded = record_activations(model, images, [layer])[layer].values

    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert len(shapes) == 13 * 7 + 3 * 2
    assert shapes["features.40.weight"] == (512, 512, 3, 3)
    assert shapes["classifier.6.weight"] == (100, 512)
    assert recorded.shape == (3, 512)
    assert bool((recorded >= 0).all())


def test_skeletons_are_listed_without_weights(hub: Path) -> None:
    """Layers, shapes and unit counts come from the name alone."""
    images = ArrayImages(np.zeros((1, 256, 256, 3), np.uint8))
    source = PresetModel("resnet18-places365")

    listed = {layer.path: layer for layer in list_layers(source.skeleton(), images)}

    assert (listed["layer4"].shape, listed["layer4"].units) == ((512, 7, 7), 512)
    assert listed["fc"].units == 365


def test_file_of_another_hash_is_refused(hub: Path) -> None:
    """The published hash decides, not the name."""
    path = hub / "cifar100_vgg16_bn-7d8c4031.pt"
    torch.save(CifarVGG16().state_dict(), path)

    with pytest.raises(UnreadableFileError) as raised:
        PresetModel("vgg16-bn-cifar100").load(CPU)

    assert str(raised.value).startswith(
        f"{path}: its SHA-256 begins with {path_digest(path)[:8]}, not 7d8c4031, so it is damaged"
    )


def test_checkpoint_of_another_hash_is_refused(tmp_path: Path) -> None:
    """Other weights are taken only if the user says that they are meant."""
    path = tmp_path / "mine.pt"
    torch.save(CifarVGG16().state_dict(), path)
    found = path_digest(path)[:8]

    with pytest.raises(UnreadableFileError) as raised:
        PresetModel("vgg16-bn-cifar100", path).load(CPU)

    assert str(raised.value) == (
        f"{path}: its SHA-256 begins with {found}, not 7d8c4031 as that of preset "
        f'vgg16-bn-cifar100; if you mean this file, give sha256 = "{found}"'
    )
    assert PresetModel("vgg16-bn-cifar100", path, sha256=found).load(CPU).name == (
        "vgg16-bn-cifar100"
    )


def test_file_without_a_published_hash_is_checked_by_names_and_shapes(hub: Path) -> None:
    """Another network under that name is refused with what does not fit."""
    torch.save(torchvision.models.resnet18().state_dict(), hub / "resnet18_places365.pth.tar")

    with pytest.raises(UnreadableFileError, match=r"2 of another shape \(fc\.weight"):
        PresetModel("resnet18-places365").load(CPU)


@pytest.mark.parametrize(
    ("preset", "file", "more"),
    [
        (
            "resnet18-places365",
            "http://places2.csail.mit.edu/models_places365/resnet18_places365.pth.tar",
            "; its makers publish no hash, so only names and shapes will be checked unless you "
            "give one as `sha256`",
        ),
        (
            "vgg16-bn-cifar100",
            "https://github.com/chenyaofo/pytorch-cifar-models/releases/download/vgg/"
            "cifar100_vgg16_bn-7d8c4031.pt",
            "",
        ),
    ],
)
def test_missing_file_says_what_to_fetch_and_where_to_put_it(
    hub: Path, preset: str, file: str, more: str
) -> None:
    """One message with the address and the place."""
    with pytest.raises(MissingFileError) as raised:
        PresetModel(preset).load(CPU)

    assert str(raised.value) == (
        f"preset {preset}: its weights are not on this machine; `le-bench run` fetches them if it "
        f"has network; by hand: fetch {file} and put it at "
        f"{hub}/{file.rsplit('/', 1)[1]} (`TORCH_HOME` moves that folder), or give the file as "
        f"`checkpoint`{more}"
    )


def test_the_user_says_which_file_is_meant(hub: Path) -> None:
    """A hash given as an option is the hash of the file where its makers publish none."""
    path = hub / "resnet18_places365.pth.tar"
    torch.save(torchvision.models.resnet18(num_classes=365).state_dict(), path)
    right, wrong = path_digest(path), "0123456789abcdef"

    PresetModel("resnet18-places365", sha256=right[:12].upper()).load(CPU)
    with pytest.raises(UnreadableFileError) as published:
        PresetModel("resnet18-places365", sha256=wrong).load(CPU)
    with pytest.raises(UnreadableFileError) as elsewhere:
        PresetModel("resnet18-places365", path, sha256=wrong).load(CPU)

    assert str(published.value).startswith(
        f"{path}: its SHA-256 begins with {right[:8]}, not {wrong}, so it is damaged"
    )
    assert str(elsewhere.value) == (
        f"{path}: its SHA-256 begins with {right[:8]}, not 01234567 as `sha256` says; give the "
        "file that you mean"
    )


def test_a_hash_that_is_none_is_refused() -> None:
    """Too short or not hexadecimal."""
    with pytest.raises(ValueError, match="sha256 is 'abc', not the first 8 to 64 hex digits"):
        PresetModel("resnet18-places365", sha256="abc")


def test_code_in_a_file_is_never_run(hub: Path, tmp_path: Path) -> None:
    """A pickle that would run code is refused, and nothing has run."""
    canary = tmp_path / "canary"

    class Payload:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (canary,)

    with warnings.catch_warnings():
        torch.save({"state_dict": Payload()}, hub / "resnet18_places365.pth.tar")

    with pytest.raises(UnreadableFileError, match="no file of tensors alone"):
        PresetModel("resnet18-places365").load(CPU)

    assert not canary.exists()


def test_unknown_preset_is_refused() -> None:
    """With the names that there are."""
    with pytest.raises(ValueError, match="unknown preset 'resnet18-places'; did you mean"):
        PresetModel("resnet18-places")
