"""Target models of torchvision, against the library itself."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision.models import WeightsEnum

from le_bench.errors import MissingFileError, UnreadableFileError
from le_bench.fingerprint import fingerprint, path_digest
from le_bench.networks.layers import build_on_meta
from le_bench.networks.recording import record_activations
from le_bench.types import Layer
from le_bench_plugins.datasets.npz import NpzDataset
from le_bench_plugins.models.torchvision import TorchvisionModel

CPU = torch.device("cpu")
NORMAL = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch on a machine without network; where its checkpoints go."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    checkpoints = tmp_path / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    return checkpoints


def put_weights(checkpoints: Path, monkeypatch: pytest.MonkeyPatch, seed: int = 0) -> nn.Module:
    """Random weights of a small network where torchvision looks for its own, named by their hash.

    The address in torchvision's table is changed to that name; nothing else is.
    """
    torch.manual_seed(seed)
    network = torchvision.models.squeezenet1_1()
    path = checkpoints / "squeezenet.pth"
    torch.save(network.state_dict(), path)
    name = f"squeezenet1_1-{path_digest(path)[:8]}.pth"
    path.rename(checkpoints / name)
    member = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1
    monkeypatch.setattr(member.value, "url", f"https://download.example/models/{name}")
    return network.eval()


@pytest.mark.parametrize(
    ("model", "weights"),
    [
        ("resnet50", "IMAGENET1K_V1"),
        ("resnet50", "IMAGENET1K_V2"),
        ("vit_b_16", "IMAGENET1K_SWAG_E2E_V1"),
        ("swin_v2_t", "IMAGENET1K_V1"),
        ("inception_v3", "IMAGENET1K_V1"),
    ],
)
@pytest.mark.parametrize("size", [(300, 411), (611, 287)])
def test_preprocessing_is_that_of_the_weights(
    model: str, weights: str, size: tuple[int, int]
) -> None:
    """Pictures become the very batch that the transforms of the weights make of them."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    transform = torchvision.models.get_model_weights(model)[weights].transforms()

    batch = TorchvisionModel(model, weights).skeleton().preprocess([pixels])

    assert torch.allclose(batch, transform(Image.fromarray(pixels))[None], atol=1e-6)


def shapes(module: nn.Module) -> dict[str, torch.Size]:
    """Shape by name; auxiliary classifiers, which the library drops, do not count."""
    values = module.state_dict()
    return {name: values[name].shape for name in values if not name.lower().startswith("aux")}


def test_skeletons_are_what_the_library_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    """For all weights of all classifiers: names, shapes and input scaling of the library's own."""
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *_args, **_options: {})
    monkeypatch.setattr(nn.Module, "load_state_dict", lambda *_args, **_options: None)
    models = [
        name
        for name in torchvision.models.list_models(module=torchvision.models)
        if name.startswith(
            ("vit_b", "maxvit", "googlenet", "inception", "resnet18", "regnet_x_400mf")
        )
    ]
    compared = 0
    for model in models:
        for member in torchvision.models.get_model_weights(model):
            own = build_on_meta(partial(torchvision.models.get_model, model, weights=member))

            built = TorchvisionModel(model, member.name).skeleton().module

            assert shapes(built) == shapes(own)
            assert getattr(built, "transform_input", None) == getattr(own, "transform_input", None)
            compared += 1
    assert compared == 10


def test_library_weights_come_from_the_cache(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network with the weights that lie in torch's cache; their digest is in its identity."""
    network = put_weights(hub, monkeypatch)
    source = TorchvisionModel("squeezenet1_1", "IMAGENET1K_V1")

    source.fetch()
    model = source.load(CPU)

    batch = torch.randn(2, 3, 64, 64)
    assert model.name == "torchvision squeezenet1_1@IMAGENET1K_V1"
    assert not model.module.training
    assert torch.equal(model.module(batch), network(batch))
    assert source.identity().startswith(path_digest(next(hub.iterdir())))
    assert source.missing() == ""


def test_identity_is_the_content_not_the_name(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other weights under the same name of weights are another model."""
    source = TorchvisionModel("squeezenet1_1", "IMAGENET1K_V1")
    put_weights(hub, monkeypatch, seed=0)
    first = fingerprint(source, {})
    put_weights(hub, monkeypatch, seed=1)

    second = fingerprint(source, {})

    assert first != second
    assert {**first, "identity": ""} == {**second, "identity": ""}


def test_preprocessing_that_the_library_notes_is_part_of_the_identity(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release that mends a crop gives another model, also with weights from a file."""
    named = TorchvisionModel("squeezenet1_1", "IMAGENET1K_V1")
    given = TorchvisionModel("squeezenet1_1", "IMAGENET1K_V1", Path("weights.pth"))
    before = named.identity(), given.identity()
    member = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1
    mended = partial(member.value.transforms, crop_size=192)
    monkeypatch.setattr(member.value, "transforms", mended)

    after = named.identity(), given.identity()

    assert before[0] != after[0]
    assert before[1] != after[1]


def test_missing_weights_say_what_to_fetch_and_where_to_put_it(hub: Path) -> None:
    """One message with address, place and the other way; nothing is loaded instead."""
    source = TorchvisionModel("resnet50", "IMAGENET1K_V1")
    message = (
        "torchvision resnet50@IMAGENET1K_V1: its weights are not on this machine; `le-bench run` "
        "fetches them if it has network; by hand: fetch "
        "https://download.pytorch.org/models/resnet50-0676ba61.pth and put it at "
        f"{hub}/resnet50-0676ba61.pth (`TORCH_HOME` moves that folder), or give the file as "
        "`checkpoint`"
    )

    with pytest.raises(MissingFileError) as loading:
        source.load(CPU)
    with pytest.raises(MissingFileError) as fetching:
        source.fetch()

    assert source.missing() == message
    assert str(loading.value) == message
    assert str(fetching.value) == f"{message} (the download failed: HF_HUB_OFFLINE is set)"
    assert list(hub.iterdir()) == []


def test_damaged_library_weights_are_refused(hub: Path) -> None:
    """A file whose content is not what its name promises is never used."""
    path = hub / "resnet50-0676ba61.pth"
    path.write_bytes(b"half a download")

    with pytest.raises(UnreadableFileError) as raised:
        TorchvisionModel("resnet50", "IMAGENET1K_V1").load(CPU)

    assert str(raised.value) == (
        f"{path}: its SHA-256 begins with {path_digest(path)[:8]}, not 0676ba61, so it is damaged "
        "or another file; remove it and fetch "
        "https://download.pytorch.org/models/resnet50-0676ba61.pth again"
    )


def test_checkpoint_with_own_classes_and_preprocessing(tmp_path: Path) -> None:
    """Weights of others: their number of classes and their input, whatever the library has."""
    torch.manual_seed(1)
    network = torchvision.models.resnet18(num_classes=7).eval()
    path = tmp_path / "weights.safetensors"
    save_file(network.state_dict(), path)
    source = TorchvisionModel(
        "resnet18",
        checkpoint=path,
        num_classes=7,
        mean=(128, 128, 128),
        std=(128, 128, 128),
        scale=1,
        resize=64,
        crop=32,
    )

    model = source.load(CPU)

    batch = model.preprocess([np.full((80, 90, 3), 192, np.uint8)])
    assert batch.shape == (1, 3, 32, 32)
    assert bool((batch == 0.5).all())
    assert torch.equal(model.module(batch), network(batch))
    assert source.identity() == ""


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_checkpoint_of_a_network_that_has_versions(tmp_path: Path, name: str) -> None:
    """MNASNet asks a state dict for its version, which safetensors files cannot hold."""
    network = torchvision.models.mnasnet0_5(num_classes=3).eval()
    save = save_file if name.endswith(".safetensors") else torch.save
    save(network.state_dict(), tmp_path / name)
    source = TorchvisionModel("mnasnet0_5", checkpoint=tmp_path / name, num_classes=3, **NORMAL)

    model = source.load(CPU)

    batch = torch.randn(1, 3, 64, 64)
    assert torch.equal(model.module(batch), network(batch))


def test_checkpoint_takes_the_preprocessing_of_named_weights(tmp_path: Path) -> None:
    """With both, the file gives the weights and the name the preprocessing; options go first."""
    path = tmp_path / "weights.pth"
    torch.save(torchvision.models.squeezenet1_1().state_dict(), path)

    model = TorchvisionModel("squeezenet1_1", "IMAGENET1K_V1", path, crop=96).load(CPU)

    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    whole = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.transforms()
    assert torch.allclose(
        model.preprocess([pixels])[0],
        whole(Image.fromarray(pixels))[:, 64:160, 64:160],
        atol=1e-6,
    )


def test_building_leaves_the_random_state_alone(tmp_path: Path) -> None:
    """Random weights that are replaced at once are drawn from a generator of their own."""
    path = tmp_path / "weights.pth"
    torch.save(torchvision.models.squeezenet1_1().state_dict(), path)
    before = torch.random.get_rng_state()

    TorchvisionModel("squeezenet1_1", checkpoint=path, **NORMAL).load(CPU)

    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"model": "resnet51", "weights": "IMAGENET1K_V1"},
            "unknown torchvision model 'resnet51'; did you mean 'resnet50' or 'resnet18' or "
            "'resnet152'?",
        ),
        (
            {"model": "resnet50", "weights": "DEFAULT"},
            "weights are DEFAULT, which moves between releases; there are: IMAGENET1K_V1 and "
            "IMAGENET1K_V2",
        ),
        (
            {"model": "resnet50", "weights": "IMAGENET1K_V3"},
            "unknown weights of resnet50 'IMAGENET1K_V3'; did you mean 'IMAGENET1K_V2' or "
            "'IMAGENET1K_V1'?",
        ),
        (
            {"model": "alexnet"},
            "alexnet would have random weights; give `weights` (there are: IMAGENET1K_V1) or "
            "`checkpoint` (a file)",
        ),
        (
            {"model": "alexnet", "checkpoint": Path("a.pth"), "mean": (0.0, 0.0, 0.0)},
            "which preprocessing the checkpoint's weights need is not known; give `weights` "
            "(whose preprocessing to take; there are: IMAGENET1K_V1) or `mean` and `std`",
        ),
        (
            {"model": "alexnet", "weights": "IMAGENET1K_V1", "num_classes": 3},
            "`num_classes` needs a `checkpoint` with as many, at least 1",
        ),
    ],
)
def test_options_are_checked(options: dict[str, object], message: str) -> None:
    """Each mistake is named when the experiment is read, with what there is instead."""
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # the whole message is compared
        TorchvisionModel(**options)  # type: ignore[arg-type]  # faulty on purpose

    assert str(raised.value) == message


@pytest.mark.realdata
def test_accuracy_is_that_of_the_weights(real_data: Path) -> None:
    """A MobileNetV2 of others, with its own input scale, knows 79.0% of 1,000 photographs."""
    folder = real_data / "imagenet-sample"
    dataset = NpzDataset(folder / "images.npz", images="blob", offsets="offsets").load()
    source = TorchvisionModel(
        "mobilenet_v2",
        checkpoint=folder / "mobilenet_v2.fp16.safetensors",
        mean=(128, 128, 128),
        std=(128, 128, 128),
        scale=1,
        resize=256,
        crop=224,
    )

    logits = Layer("classifier", "none")
    recorded = record_activations(source.load(CPU), dataset.images, [logits])[logits].values

    assert dataset.labels is not None
    assert int((recorded.argmax(1) == dataset.labels).sum()) == 790
