"""Target models of timm, against the library itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import timm
import timm.data
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from le_bench.errors import MissingFileError, UnreadableFileError
from le_bench.fingerprint import path_digest
from le_bench.networks.recording import record_activations
from le_bench.probing.images import ArrayImages
from le_bench.types import Layer
from le_bench_plugins.models.timm import TimmModel

CPU = torch.device("cpu")
TINY = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Hugging Face on a machine without network."""
    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return folder


def build(seed: int = 0, **options: object) -> nn.Module:
    """A small ViT with random weights."""
    torch.manual_seed(seed)
    module: nn.Module = timm.create_model(TINY, pretrained=False, **options)
    return module.eval()


def put_weights(hub: Path, network: nn.Module) -> Path:
    """Weights where Hugging Face's library keeps what it has downloaded."""
    repository = hub / "models--timm--vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    snapshot = repository / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abc")
    save_file(network.state_dict(), snapshot / "model.safetensors")
    return snapshot / "model.safetensors"


def test_weights_of_a_tag_come_from_the_cache(hub: Path) -> None:
    """The model with the weights that lie in the cache; their digest is in its identity."""
    network = build()
    path = put_weights(hub, network)
    source = TimmModel(TINY)

    source.fetch()
    model = source.load(CPU)

    batch = torch.randn(2, 3, 224, 224)
    assert not model.module.training
    assert torch.equal(model.module(batch), network(batch))
    assert source.identity().startswith(path_digest(path))


def test_preprocessing_is_timms_own() -> None:
    """Pictures become what timm makes of them in validation for this tag."""
    pixels = np.random.default_rng(0).integers(0, 256, (300, 411, 3), dtype=np.uint8)
    config = timm.data.resolve_model_data_config(build())
    transform = timm.data.create_transform(**config, is_training=False)

    batch = TimmModel(TINY).skeleton().preprocess([pixels, pixels])

    assert config["mean"] == (0.5, 0.5, 0.5)
    assert torch.equal(batch[1], transform(Image.fromarray(pixels)))


def test_preprocessing_that_timm_notes_is_part_of_the_identity(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release that mends a crop gives another model, also with weights from a file."""
    sources = TimmModel(TINY), TimmModel(TINY, checkpoint=Path("weights.pth"))
    before = [source.identity() for source in sources]
    mended = replace(timm.get_pretrained_cfg(TINY), crop_pct=0.77)
    monkeypatch.setattr(timm, "get_pretrained_cfg", lambda _name: mended)

    after = [source.identity() for source in sources]

    assert before[0] != after[0]
    assert before[1] != after[1]


def test_class_token_is_pooled_first(hub: Path) -> None:
    """Pooling `first` of the last block gives the class token that timm's own head sees."""
    network = build()
    put_weights(hub, network)
    model = TimmModel(TINY).load(CPU)
    images = ArrayImages(np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), np.uint8))
    layer = Layer("blocks.11", "first")

    recorded = record_activations(model, images, [layer])[layer].values

    with torch.no_grad():
        tokens = network.forward_intermediates(
            model.preprocess(images.read(range(3))),
            indices=[11],
            return_prefix_tokens=True,
            intermediates_only=True,
            norm=False,
        )[0][1]
    assert torch.allclose(recorded, tokens[:, 0], atol=1e-5)


def test_checkpoint_with_own_classes(tmp_path: Path) -> None:
    """Every weight of the file is used, the head of another size included."""
    network = build(3, num_classes=5)
    path = tmp_path / "weights.safetensors"
    save_file(network.state_dict(), path)

    model = TimmModel(TINY, checkpoint=path, num_classes=5).load(CPU)

    batch = torch.randn(1, 3, 224, 224)
    assert torch.equal(model.module(batch), network(batch))


def test_checkpoint_of_another_size_is_refused(tmp_path: Path) -> None:
    """A head that does not fit is never replaced by a random one."""
    path = tmp_path / "weights.safetensors"
    save_file(build(num_classes=5).state_dict(), path)

    with pytest.raises(UnreadableFileError) as raised:
        TimmModel(TINY, checkpoint=path).load(CPU)

    assert str(raised.value).startswith(f"{path}: these are not the weights of timm {TINY} (")
    assert "head.weight" in str(raised.value)
    assert str(raised.value).endswith("check `model` and `num_classes` or give another file")


def test_missing_weights_say_what_to_fetch_and_where_to_put_it(hub: Path) -> None:
    """One message with the repository, the cache folder and the other way."""
    source = TimmModel(TINY)
    message = (
        f"timm {TINY}: its weights are not on this machine; `le-bench run` fetches them if it "
        f"has network; by hand: run `hf download timm/{TINY}` where "
        "there is network and copy its cache folder here (`HF_HOME` names it, else "
        "~/.cache/huggingface), or give the file as `checkpoint`"
    )

    with pytest.raises(MissingFileError) as loading:
        source.load(CPU)
    with pytest.raises(MissingFileError) as fetching:
        source.fetch()

    assert source.missing() == message
    assert str(loading.value) == message
    assert str(fetching.value) == f"{message} (the download failed: HF_HUB_OFFLINE is set)"


@pytest.mark.parametrize(
    ("model", "url"),
    [
        (
            "gcvit_xxtiny.in1k",
            "https://github.com/rwightman/pytorch-image-models/releases/download/"
            "v0.1-weights-morevit/gcvit_xxtiny_224_nvidia-d1d86009.pth",
        ),
        (
            "vit_huge_patch14_gap_224.in1k_ijepa",
            "https://dl.fbaipublicfiles.com/ijepa/IN1K-vit.h.14-300e.pth.tar",
        ),
    ],
)
def test_weights_that_lie_at_an_address_are_kept_by_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, url: str
) -> None:
    """What timm does not have on Hugging Face goes where torch keeps downloads."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    message = TimmModel(model).missing()

    place = tmp_path / "hub" / "checkpoints" / url.rsplit("/", 1)[1]
    assert message == (
        f"timm {model}: its weights are not on this machine; `le-bench run` fetches them "
        f"if it has network; by hand: fetch {url} and put it at {place} "
        "(`TORCH_HOME` moves that folder), or give the file as `checkpoint`"
    )


def test_weights_at_an_address_are_checked_by_the_hash_in_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of that name with other content is refused."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    place = tmp_path / "hub" / "checkpoints" / "gcvit_xxtiny_224_nvidia-d1d86009.pth"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"half a file")

    with pytest.raises(UnreadableFileError, match="not d1d86009, so it is damaged"):
        TimmModel("gcvit_xxtiny.in1k").missing()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"model": "vit_tiny_patch16_225.augreg_in21k"},
            "unknown timm model 'vit_tiny_patch16_225'; did you mean 'vit_tiny_patch16_224' or "
            "'deit_tiny_patch16_224' or 'vit_tiny_patch16_384'?",
        ),
        (
            {"model": "vit_tiny_patch16_384.augreg_in1k"},
            "unknown tag of vit_tiny_patch16_384 'augreg_in1k'; did you mean "
            "'augreg_in21k_ft_in1k'?",
        ),
        (
            {"model": "vit_tiny_patch16_384"},
            "vit_tiny_patch16_384 alone does not say which weights; with a tag there are: "
            "vit_tiny_patch16_384.augreg_in21k_ft_in1k",
        ),
        (
            {"model": "vit_tiny_patch16_384", "checkpoint": Path("a.pth")},
            "which preprocessing the checkpoint's weights need is not known; give `model` a tag "
            "(whose preprocessing to take; there are: vit_tiny_patch16_384.augreg_in21k_ft_in1k) "
            "or `mean` and `std`",
        ),
        ({"model": TINY, "std": (0, 1, 1)}, "std is (0, 1, 1); each must be above 0"),
        (
            {"model": TINY, "mean": (float("nan"), 1, 1)},
            "mean is (nan, 1, 1); each must be finite",
        ),
        (
            {"model": TINY, "crop_pct": -1.5},
            "crop_pct is -1.5; it must be above 0 and at most 1",
        ),
        (
            {"model": TINY, "num_classes": 3},
            "`num_classes` needs a `checkpoint` with as many, at least 1",
        ),
    ],
)
def test_options_are_checked(options: dict[str, object], message: str) -> None:
    """Each mistake is named when the experiment is read, with what there is instead."""
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # the whole message is compared
        TimmModel(**options)  # type: ignore[arg-type]  # faulty on purpose

    assert str(raised.value) == message
