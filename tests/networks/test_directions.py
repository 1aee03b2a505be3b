"""Directions over a layer, against plain torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from le_bench.errors import LayerError, NotApplicableError
from le_bench.networks import directions as module
from le_bench.networks.directions import read_directions
from le_bench.networks.kept_maps import KeptMaps
from le_bench.networks.layers import pool
from le_bench.networks.maps import LayerMaps
from le_bench.networks.preprocessing import Preprocessing
from le_bench.networks.recording import record_activations
from le_bench.probing.images import ArrayImages
from le_bench.types import Layer, Pooling, TargetModel

UNITS, LATENTS = 5, 9


class Network(nn.Module):
    """A map, tokens with a class token, and a vector, all of 5 units."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, UNITS, 3)
        self.tokens = nn.Flatten(2)
        self.mixer = nn.Linear(UNITS, UNITS)
        self.head = nn.Linear(UNITS, UNITS)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.tokens(self.conv(images)).transpose(1, 2)
        tokens = self.mixer(torch.cat([tokens.mean(1, keepdim=True), tokens], 1))
        vector: Tensor = self.head(tokens[:, 0])
        return vector


@pytest.fixture
def model() -> TargetModel:
    """The network with seeded weights."""
    torch.manual_seed(0)
    return TargetModel("network", Network().eval(), Preprocessing(), torch.device("cpu"))


@pytest.fixture
def images() -> ArrayImages:
    """Seven noise images."""
    pixels = np.random.default_rng(0).integers(0, 256, (7, 6, 6, 3), dtype=np.uint8)
    return ArrayImages(pixels)


def encoder(seed: int = 1) -> dict[str, Tensor]:
    """Tensors of a sparse autoencoder."""
    random = torch.Generator().manual_seed(seed)
    return {
        "W_enc": torch.randn(UNITS, LATENTS, generator=random),
        "b_enc": torch.randn(LATENTS, generator=random),
        "b_dec": torch.randn(UNITS, generator=random),
        "W_dec": torch.randn(LATENTS, UNITS, generator=random),
        "threshold": torch.rand(LATENTS, generator=random),
    }


def save(path: Path, tensors: dict[str, Tensor], **metadata: str) -> Path:
    """A file of directions."""
    save_file({name: value.contiguous() for name, value in tensors.items()}, path, metadata)
    return path


def outputs(model: TargetModel, images: ArrayImages, path: str) -> Tensor:
    """What a module gives, by a plain hook."""
    kept: list[Tensor] = []
    handle = model.module.get_submodule(path).register_forward_hook(
        lambda _module, _inputs, output: kept.append(output.clone())
    )
    with torch.no_grad():
        model.module(model.preprocess(images.read(range(len(images)))))
    handle.remove()
    return kept[0]


def slow_latents(vector: Tensor, tensors: dict[str, Tensor], activation: str, k: int) -> Tensor:
    """The latents of one position (U,), number by number."""
    latents = torch.empty(LATENTS)
    for latent in range(LATENTS):
        sum_ = float(tensors["b_enc"][latent])
        for unit in range(UNITS):
            centred = float(vector[unit]) - float(tensors["b_dec"][unit])
            sum_ += centred * float(tensors["W_enc"][unit, latent])
        latents[latent] = sum_
    if activation == "none":
        return latents
    if activation == "jumprelu":
        return torch.where(latents > tensors["threshold"], latents, 0.0)
    if activation == "topk":
        smallest = latents.sort(descending=True).values[k - 1]
        latents = torch.where(latents >= smallest, latents, 0.0)
    return latents.clamp(min=0)


@pytest.mark.parametrize("activation", ["none", "relu", "topk", "jumprelu"])
@pytest.mark.parametrize(
    ("path", "pooling"),
    [
        ("conv", "avg"),
        ("conv", "max"),
        ("mixer", "avg"),
        ("mixer", "max"),
        ("mixer", "first"),
        ("head", "none"),
    ],
)
def test_latents_are_computed_at_each_position_and_then_pooled(  # noqa: PLR0917  # fixtures
    tmp_path: Path,
    model: TargetModel,
    images: ArrayImages,
    monkeypatch: pytest.MonkeyPatch,
    activation: str,
    path: str,
    pooling: Pooling,
) -> None:
    """Recorded units equal latents computed number by number, in however many blocks."""
    tensors = encoder()
    file = save(
        tmp_path / "sae.safetensors",
        tensors,
        activation=activation,
        k="3",
        apply_b_dec_to_input="true",
    )
    layer = Layer(path, pooling, file)
    given = outputs(model, images, path)
    positions = given.flatten(2).transpose(1, 2) if path == "conv" else given.view(7, -1, UNITS)
    latents = torch.stack(
        [
            torch.stack([slow_latents(vector, tensors, activation, 3) for vector in of_image])
            for of_image in positions
        ]
    )
    expected = {
        "avg": latents.mean(1),
        "max": latents.amax(1),
        "first": latents[:, 0],
        "none": latents[:, 0],
    }[pooling]

    whole = record_activations(model, images, [layer], batch_size=4)[layer].values
    monkeypatch.setattr(module, "WORKING_BYTES", 2 * 4 * 17 * LATENTS)
    in_blocks = record_activations(model, images, [layer], batch_size=4)[layer].values

    assert whole.shape == (7, LATENTS)
    torch.testing.assert_close(whole, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(in_blocks, whole)


def test_linear_map_is_nn_linear(tmp_path: Path, model: TargetModel, images: ArrayImages) -> None:
    """`weight` and `bias` as torch saves them give what the module gives, with both signs."""
    linear = nn.Linear(UNITS, 3)
    file = save(tmp_path / "axes.safetensors", dict(linear.state_dict()))
    layer = Layer("mixer", "avg", file)

    recorded = record_activations(model, images, [layer])[layer].values

    expected = linear(outputs(model, images, "mixer")).mean(1)
    torch.testing.assert_close(recorded, expected.detach())
    assert bool((recorded < 0).any())
    assert str(layer) == "mixer via axes"


def test_bias_of_the_decoder_is_left_out_if_the_file_says_so(tmp_path: Path) -> None:
    """`apply_b_dec_to_input` decides, not the presence of `b_dec`."""
    values = torch.randn(4, UNITS)
    tensors = encoder()
    options = {"activation": "relu", "apply_b_dec_to_input": "false"}

    latents = read_directions(save(tmp_path / "a.safetensors", tensors, **options))(values)

    expected = (values @ tensors["W_enc"] + tensors["b_enc"]).relu()
    torch.testing.assert_close(latents, expected)


def test_directions_and_their_layer_are_recorded_in_one_pass(
    tmp_path: Path, model: TargetModel, images: ArrayImages
) -> None:
    """The same module serves as a layer of units and as a layer of directions."""
    file = save(tmp_path / "axes.safetensors", {"weight": torch.eye(UNITS) * 2})
    units, doubled = Layer("conv"), Layer("conv", "avg", file)

    recorded = record_activations(model, images, [units, doubled])

    torch.testing.assert_close(recorded[doubled].values, 2 * recorded[units].values)


@pytest.mark.parametrize("path", ["conv", "mixer"])
def test_maps_of_directions(
    tmp_path: Path,
    model: TargetModel,
    images: ArrayImages,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    """Explainers see latents before pooling, the first of them, in blocks that fit memory."""
    file = save(tmp_path / "sae.safetensors", encoder(), activation="topk", k="2",
                apply_b_dec_to_input="true")  # fmt: skip
    layer = Layer(path, "avg", file)
    monkeypatch.setattr(module, "WORKING_BYTES", 2 * 4 * 16 * LATENTS)
    maps = LayerMaps(model, images, layer, 0, num_units=6, batch_size=5)
    latents = read_directions(file)
    given = outputs(model, images, path)
    grid = given if path == "conv" else given[:, 1:].transpose(1, 2).reshape(7, UNITS, 4, 4)

    blocks = list(maps.blocks(torch.arange(7)))

    assert maps.shape == (6, 4, 4)
    assert [rows.tolist() for rows, _ in blocks] == [[0, 1], [2, 3], [4], [5, 6]]
    expected = latents(grid.movedim(1, -1)).movedim(-1, 1)[:, :6]
    torch.testing.assert_close(torch.cat([block for _, block in blocks]), expected)


def test_maps_of_directions_are_kept_whole(
    tmp_path: Path, model: TargetModel, images: ArrayImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several blocks of one batch are kept for the next explainer, as if they were one."""
    file = save(tmp_path / "axes.safetensors", {"weight": torch.eye(UNITS)})
    maps = LayerMaps(model, images, Layer("conv", "avg", file), 0, num_units=UNITS, batch_size=5)
    monkeypatch.setattr(module, "WORKING_BYTES", 2 * 4 * 16 * UNITS)
    kept = KeptMaps(maps, torch.arange(7), limit=2**20)

    first, again = (torch.cat([b for _, b in kept.blocks(torch.arange(7))]) for _ in range(2))

    torch.testing.assert_close(first, outputs(model, images, "conv"))
    assert torch.equal(again, first)


def test_layers_without_positions_have_no_maps_of_directions(
    tmp_path: Path, model: TargetModel, images: ArrayImages
) -> None:
    """A vector stays not applicable, directions or not."""
    file = save(tmp_path / "axes.safetensors", {"weight": torch.eye(UNITS)})
    maps = LayerMaps(model, images, Layer("head", "none", file), 0, num_units=5)

    with pytest.raises(NotApplicableError):
        _ = maps.shape


@pytest.mark.parametrize("path", ["conv", "mixer", "head"])
def test_directions_over_another_layer_are_refused(
    tmp_path: Path, model: TargetModel, images: ArrayImages, path: str
) -> None:
    """Their number of inputs must be the layer's number of units."""
    file = save(tmp_path / "axes.safetensors", {"weight": torch.eye(UNITS + 1)})

    with pytest.raises(LayerError) as raised:
        record_activations(model, images, [Layer(path, "avg", file)])

    assert str(raised.value) == (
        f"layer '{path}' has 5 units, but {file} holds directions over 6; give the layer that they "
        "were made for"
    )


def test_pooling_must_fit_the_layer(
    tmp_path: Path, model: TargetModel, images: ArrayImages
) -> None:
    """Directions change units, not positions."""
    file = save(tmp_path / "axes.safetensors", {"weight": torch.eye(UNITS)})

    with pytest.raises(LayerError, match="pooling 'first' does not fit"):
        record_activations(model, images, [Layer("conv", "first", file)])


def test_half_precision_layers_have_float32_latents(tmp_path: Path) -> None:
    """Latents of float16 output are computed and pooled in float32."""
    file = save(tmp_path / "axes.safetensors", {"weight": torch.eye(UNITS).half()})
    output = torch.randn(2, 4, UNITS).half()
    layer = Layer("x", "avg", file)

    pooled = read_directions(file).pooled(output, layer)

    torch.testing.assert_close(pooled, pool(output, layer))
    assert pooled.dtype == torch.float32
