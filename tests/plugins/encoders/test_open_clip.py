"""The open_clip encoder, on a tiny model with random weights that open_clip builds and saves."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import open_clip
import pytest
import torch
from open_clip import pretrained
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from le_bench.errors import BenchError, MissingFileError, UnreadableFileError
from le_bench.probing.images import ArrayImages
from le_bench.types import Calibration
from le_bench_plugins.encoders.open_clip import OpenCLIPEncoder

CPU = torch.device("cpu")
TEXTS = ["a red car", "snow", "dog"]
HALF = (0.5, 0.5, 0.5)
VOCABULARY = 49408
CONFIGURATION = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {
        "context_length": 16,
        "vocab_size": VOCABULARY,
        "width": 8,
        "heads": 1,
        "layers": 1,
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as open_clip saves it; its model is also registered by name, as `tiny-clip`."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "tiny-clip.json").write_text(json.dumps(CONFIGURATION))
    open_clip.add_model_config(folder / "tiny-clip.json")
    torch.manual_seed(0)
    model = open_clip.create_model("tiny-clip")
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    preprocess = {"mean": HALF, "std": HALF, "interpolation": "bicubic", "resize_mode": "squash"}
    saved = {"model_cfg": CONFIGURATION, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(saved))
    return folder


@pytest.fixture
def weights(folder: Path) -> Path:
    """The weights file of `tiny-clip`."""
    return folder / "open_clip_model.safetensors"


@pytest.fixture
def tag(weights: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A pretrained tag of `tiny-clip` that open_clip knows, its weights already on this machine."""
    known = {
        "file": str(weights),
        "mean": HALF,
        "std": HALF,
        "interpolation": "bicubic",
        "resize_mode": "squash",
        "quick_gelu": True,
    }
    monkeypatch.setitem(pretrained._PRETRAINED, "tiny-clip", {"made_up": known})
    return "made_up"


def draw_images(count: int = 5) -> ArrayImages:
    """Noise images that are neither square nor of the model's size."""
    random = np.random.default_rng(0)
    return ArrayImages(random.integers(0, 256, (count, 40, 60, 3), dtype=np.uint8))


def by_hand(
    weights: Path, quick_gelu: bool, images: ArrayImages
) -> tuple[torch.Tensor, torch.Tensor]:
    """The oracle: open_clip's own calls, image by image and text by text."""
    model, _, transform = open_clip.create_model_and_transforms(
        "tiny-clip",
        pretrained=str(weights),
        image_mean=HALF,
        image_std=HALF,
        image_resize_mode="squash",
        force_quick_gelu=quick_gelu,
    )
    model.eval()
    tokenizer = open_clip.get_tokenizer("tiny-clip")
    with torch.no_grad():
        pictures = [Image.fromarray(pixels) for pixels in images.values]
        seen = [model.encode_image(transform(picture)[None]) for picture in pictures]
        read = [model.encode_text(tokenizer([text])) for text in TEXTS]
    return torch.cat(seen), torch.cat(read)


@pytest.mark.parametrize("batch_size", [1, 2, 128])
def test_tag_gives_its_preprocessing_and_activation(
    tag: str, weights: Path, batch_size: int
) -> None:
    """A pretrained tag brings mean, std, resize mode and QuickGELU, without a warning."""
    encoder = OpenCLIPEncoder("tiny-clip", tag, batch_size=batch_size)
    images = draw_images()

    seen, read = encoder.encode_images(images, CPU), encoder.encode_texts(TEXTS, CPU)

    expected_images, expected_texts = by_hand(weights, True, images)
    assert torch.allclose(seen, expected_images, atol=1e-6)
    assert torch.allclose(read, expected_texts, atol=1e-6)
    assert (seen.dtype, seen.shape) == (torch.float32, (5, 16))


def test_checkpoint_takes_the_place_of_a_download(tag: str, weights: Path, tmp_path: Path) -> None:
    """A local file with a tag is used as that tag's weights would be."""
    moved = tmp_path / "downloaded.safetensors"
    moved.write_bytes(weights.read_bytes())
    images = draw_images()

    seen = OpenCLIPEncoder("tiny-clip", tag, checkpoint=moved).encode_images(images, CPU)

    assert torch.equal(seen, OpenCLIPEncoder("tiny-clip", tag).encode_images(images, CPU))


def test_folder_saved_by_open_clip(folder: Path, weights: Path) -> None:
    """A folder brings configuration, preprocessing and weights; the model is but a label."""
    encoder = OpenCLIPEncoder("my own", checkpoint=folder)
    images = draw_images()

    seen, read = encoder.encode_images(images, CPU), encoder.encode_texts(TEXTS, CPU)

    expected_images, expected_texts = by_hand(weights, False, images)
    assert torch.allclose(seen, expected_images, atol=1e-6)
    assert torch.allclose(read, expected_texts, atol=1e-6)


def test_given_preprocessing_overrides(tag: str, weights: Path) -> None:
    """mean, std, resize_mode and interpolation can be given for any checkpoint."""
    images = draw_images()
    given = OpenCLIPEncoder(
        "tiny-clip",
        checkpoint=weights,
        mean=HALF,
        std=HALF,
        resize_mode="squash",
        interpolation="bicubic",
    )

    seen = given.encode_images(images, CPU)
    cropped = OpenCLIPEncoder("tiny-clip", tag, resize_mode="shortest").encode_images(images, CPU)

    assert torch.allclose(seen, by_hand(weights, False, images)[0], atol=1e-6)
    assert not torch.allclose(seen, cropped, atol=1e-3)


def test_template_wraps_each_text(tag: str) -> None:
    """Texts go into the template once, braces in them untouched; raw text is the default."""
    plain = OpenCLIPEncoder("tiny-clip", tag)
    wrapped = OpenCLIPEncoder("tiny-clip", tag, template="a photo of {}")

    read = wrapped.encode_texts(["dog", "{}"], CPU)

    assert torch.equal(read, plain.encode_texts(["a photo of dog", "a photo of {}"], CPU))


def test_nothing_outside_is_touched(tag: str) -> None:
    """Random state, gradient mode and inputs stay; features are ordinary tensors."""
    images = draw_images()
    pixels, state = images.values.copy(), torch.get_rng_state()

    first = OpenCLIPEncoder("tiny-clip", tag).encode_images(images, CPU)
    second = OpenCLIPEncoder("tiny-clip", tag).encode_images(images, CPU)

    assert torch.equal(first, second)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.is_grad_enabled()
    assert not first.is_inference()
    assert np.array_equal(pixels, images.values)


def test_encoder_is_hashable_and_picklable(tag: str, weights: Path) -> None:
    """An encoder is a value: equal options make equal encoders, also after a journey."""
    encoder = OpenCLIPEncoder("tiny-clip", tag, checkpoint=weights, a=2.0, b=-0.5)

    copy = pickle.loads(pickle.dumps(encoder))  # noqa: S301  # our own bytes

    assert copy == encoder
    assert hash(copy) == hash(encoder)


@pytest.mark.parametrize(
    ("model", "tag_name", "a", "b"),
    [
        ("ViT-L-16-SigLIP-384", "webli", 60.0, -0.09),
        ("ViT-SO400M-14-SigLIP-384", "webli", 58.0, -0.13),
        ("ViT-L-14-336", "openai", 58.0, -0.25),
        ("ViT-L-14-336-quickgelu", "openai", 58.0, -0.25),
    ],
)
def test_encoders_of_the_paper_have_its_constants(
    model: str, tag_name: str, a: float, b: float
) -> None:
    """The three encoders are known to open_clip and carry the printed constants."""
    constants = OpenCLIPEncoder(model, tag_name).constants()

    assert constants is not None
    assert (constants.a, constants.b) == (a, b)
    assert constants.source == "Linear Explanations for Individual Neurons"
    assert open_clip.get_pretrained_cfg(model, tag_name)


def test_other_constants_are_given_or_fitted() -> None:
    """Given constants win; other encoders, and the paper's with a template, are fitted."""
    paper = ("ViT-L-16-SigLIP-384", "webli")

    assert OpenCLIPEncoder(*paper, a=7.0, b=-0.2).constants() == Calibration(
        7.0, -0.2, "given", pytest.approx(float("nan"), nan_ok=True)
    )
    assert OpenCLIPEncoder(*paper, template="a photo of {}").constants() is None
    assert OpenCLIPEncoder("ViT-B-32", "openai").constants() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"a": 3.0}, "give both `a` and `b`, or neither"),
        ({"a": 0.0, "b": 1.0}, "a is 0.0; it must be a number other than 0"),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        (
            {"template": "a photo"},
            "template is 'a photo'; it must hold {} once, where the text goes",
        ),
        (
            {"pretrained": ""},
            "ViT-B-32 would have random weights; give `pretrained` (a tag of open_clip) or "
            "`checkpoint` (a file or folder)",
        ),
    ],
)
def test_senseless_options_are_refused(options: dict[str, object], message: str) -> None:
    """Each option is checked when it is given."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole message is asserted
        OpenCLIPEncoder(**{"model": "ViT-B-32", "pretrained": "openai"} | options)

    assert str(caught.value) == message


def message_of(encoder: OpenCLIPEncoder, error: type[BenchError]) -> str:
    """What the encoder complains of, the same for images and texts."""
    with pytest.raises(error) as of_images:
        encoder.encode_images(draw_images(), CPU)
    with pytest.raises(error) as of_texts:
        encoder.encode_texts(TEXTS, CPU)
    assert str(of_images.value) == str(of_texts.value)
    return str(of_texts.value)


def test_unknown_model_has_near_misses() -> None:
    """open_clip's names are compared."""
    message = message_of(OpenCLIPEncoder("ViT-S0400M-14-SigLIP-384", "webli"), BenchError)

    assert message.startswith(
        "unknown open_clip model 'ViT-S0400M-14-SigLIP-384'; did you mean "
        "'ViT-SO400M-14-SigLIP-384' or "
    )


def test_unknown_tag_has_near_misses(tag: str) -> None:
    """The model's own tags are compared, or listed."""
    close = message_of(OpenCLIPEncoder("tiny-clip", "made-app"), BenchError)
    far = message_of(OpenCLIPEncoder("tiny-clip", "webli"), BenchError)

    assert close == "unknown pretrained tag of tiny-clip 'made-app'; did you mean 'made_up'?"
    assert far == "unknown pretrained tag of tiny-clip 'webli'; there are: made_up"


@pytest.mark.parametrize("model", ["hf-hub:timm/ViT-B-16-SigLIP", "local-dir:somewhere"])
def test_addresses_are_refused(model: str) -> None:
    """What may change under its name cannot enter a cache key."""
    message = message_of(OpenCLIPEncoder(model, "webli"), BenchError)

    assert message == (
        f"open-clip {model}/webli: what lies behind this address may change; download it (for "
        'instance `hf download ORG/NAME --local-dir FOLDER`) and give `checkpoint = "FOLDER"`'
    )


def test_weights_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without network the message says what to fetch, how, and what to do otherwise."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))

    message = message_of(OpenCLIPEncoder("ViT-B-32", "laion2b_s34b_b79k"), MissingFileError)

    assert message == (
        "open-clip ViT-B-32/laion2b_s34b_b79k: its weights are not on this machine and cannot be "
        "fetched; on a machine with network fetch them by `hf download "
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K` and copy the cache folder here (`HF_HOME` names "
        "it, else ~/.cache/huggingface), or give the file itself as `checkpoint`"
    )


@pytest.mark.parametrize("model", ["ViT-SO400M-14-SigLIP-384", "ViT-L-16-SigLIP-384"])
def test_missing_transformers_names_the_extra(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SigLIP's tokenizer needs a package that open_clip does not bring; nothing is fetched."""
    monkeypatch.setitem(sys.modules, "transformers", None)

    message = message_of(OpenCLIPEncoder(model, "webli"), BenchError)

    assert message == (
        f"open-clip {model}/webli: its tokenizer needs the package transformers; install it with "
        "`pip install 'le-bench[hf]'`"
    )


def test_checkpoint_without_preprocessing_is_refused(weights: Path) -> None:
    """open_clip would quietly take the mean and std of OpenAI's CLIP."""
    message = message_of(OpenCLIPEncoder("tiny-clip", checkpoint=weights), BenchError)

    assert message == (
        "open-clip tiny-clip: which preprocessing its weights need is not known; give "
        "`pretrained` (the open_clip tag that they belong to) or `mean` and `std`"
    )


@pytest.mark.parametrize("content", [b"", b"text"])
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_damaged_checkpoint_is_named(tag: str, tmp_path: Path, suffix: str, content: bytes) -> None:
    """Whatever the file holds, the message names it."""
    path = tmp_path / f"broken.{suffix}"
    path.write_bytes(content)

    message = message_of(OpenCLIPEncoder("tiny-clip", tag, checkpoint=path), UnreadableFileError)

    assert message.startswith(f"{path}: these are not the weights of open-clip tiny-clip/made_up (")
    assert message.endswith(
        "); give a file that was saved from this model, or remove it to have it fetched again"
    )


def test_checkpoint_of_another_model_is_named(tag: str, tmp_path: Path) -> None:
    """Loading is strict."""
    path = tmp_path / "other.safetensors"
    save_file(nn.Linear(2, 2).state_dict(), path)

    message = message_of(OpenCLIPEncoder("tiny-clip", tag, checkpoint=path), UnreadableFileError)

    assert message.startswith(f"{path}: these are not the weights of open-clip tiny-clip/made_up (")


def test_folder_without_weights_or_configuration(folder: Path, tmp_path: Path) -> None:
    """A folder never leaves an encoder with random weights."""
    bare, empty = tmp_path / "bare", tmp_path / "empty"
    bare.mkdir()
    empty.mkdir()
    (bare / "open_clip_config.json").write_bytes((folder / "open_clip_config.json").read_bytes())

    without_weights = message_of(OpenCLIPEncoder("x", checkpoint=bare), UnreadableFileError)
    without_all = message_of(OpenCLIPEncoder("x", checkpoint=empty), UnreadableFileError)

    assert without_weights.startswith(f"{bare}: these are not the weights of open-clip x (")
    assert without_all == (
        f"{empty}: no open_clip_config.json can be read in this folder; give a folder saved by "
        "open_clip or a weights file"
    )


def test_tokenizer_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    """Without its own merges a small model would get the tokenizer of 49,408 tokens."""
    small = {**CONFIGURATION, "text_cfg": {**CONFIGURATION["text_cfg"], "vocab_size": 600}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": small}))
    model = open_clip.create_model(f"local-dir:{tmp_path}")
    save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")

    message = message_of(OpenCLIPEncoder("small", checkpoint=tmp_path), BenchError)

    assert message == (
        "encoder open-clip small: its tokenizer has 49408 tokens but its text encoder 600; name "
        "the tokenizer that it was trained with in its open_clip configuration "
        "(`hf_tokenizer_name`, or `bpe_path` in `tokenizer_kwargs`)"
    )
