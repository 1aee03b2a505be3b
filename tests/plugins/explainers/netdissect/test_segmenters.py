"""Pixel labels from segmentation networks with random weights: names, shapes, files, errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from le_bench.errors import BenchError, MissingFileError, UnreadableFileError
from le_bench.probing.guarded import OwnImages
from le_bench.probing.images import ArrayImages
from le_bench.types import Evidence
from le_bench_plugins.explainers.netdissect.explainer import NetDissect
from le_bench_plugins.explainers.netdissect.segmenters import Segmenter, load_segmenter

from .dissecting import draw

CPU = torch.device("cpu")
LRASPP = "lraspp_mobilenet_v3_large"


@pytest.fixture(scope="module")
def lraspp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights in the layout of the published ones."""
    torch.manual_seed(0)
    network = torchvision.models.get_model(LRASPP, weights=None, weights_backbone=None)
    path = tmp_path_factory.mktemp("lraspp") / "random.safetensors"
    save_file(network.state_dict(), path)
    return path


def pictures(num_images: int) -> ArrayImages:
    pixels = np.random.default_rng(0).integers(0, 256, (num_images, 24, 40, 3), dtype=np.uint8)
    return ArrayImages(pixels)


def with_pictures(evidence: Evidence, num_images: int = 40) -> Evidence:
    """The evidence with images in place of masks."""
    images = pictures(num_images)
    return replace(
        evidence,
        train=replace(evidence.train, masks=None, images=OwnImages(images, evidence.train.rows)),
        val=replace(evidence.val, masks=None, images=OwnImages(images, evidence.val.rows)),
    )


def test_torchvision_by_name(lraspp: Path) -> None:
    """Classes and preprocessing of the published weights; the background is nothing."""
    segmenter = load_segmenter(LRASPP, lraspp, (), CPU)
    published = torchvision.models.get_model_weights(LRASPP).DEFAULT
    network = torchvision.models.get_model(LRASPP, weights=None, weights_backbone=None).eval()
    network.load_state_dict(torchvision_weights(lraspp))

    labels = segmenter.label(pictures(3), [2, 0])

    assert segmenter.concepts == tuple(published.meta["categories"][1:])
    assert labels.shape == (2, 56, 56)
    pixels = torch.from_numpy(pictures(3).values[[2, 0]]).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits = network(published.transforms()(pixels))["out"]
    resized = torch.nn.functional.interpolate(logits, (56, 56), mode="bilinear")
    assert torch.equal(labels.long(), resized.argmax(1))


def torchvision_weights(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return dict(load_file(path))


def test_images_of_any_size_are_labelled_one_by_one() -> None:
    """Together if they are alike, else each alone; the answer is the same."""
    batches: list[int] = []

    def segment(images: Any) -> Tensor:
        batches.append(len(images))
        means = torch.tensor([image.mean() > 100 for image in images])
        return means[:, None, None].expand(-1, 56, 56).long()

    class Mixed:
        def __len__(self) -> int:
            return 3

        def read(self, rows: Any) -> list[np.ndarray]:
            return [np.full((4 + row, 5, 3), 90 * row, np.uint8) for row in rows]

    segmenter = Segmenter(("bright",), segment)

    labels = segmenter.label(Mixed(), [2, 0, 1])

    assert labels[:, 0, 0].tolist() == [1, 0, 0]
    assert batches == [1, 1, 1]
    batches.clear()
    segmenter.label(pictures(10), range(10))
    assert batches == [8, 2]


def test_units_are_explained_without_masks(lraspp: Path) -> None:
    """A data set of images alone is dissected in the segmenter's classes, each image once."""
    evidence = with_pictures(draw(0).evidence())
    explainer = NetDissect(quantile=0.05, segmenter=LRASPP, segmenter_weights=lraspp)

    explanations = explainer.explain(evidence)

    classes = load_segmenter(LRASPP, lraspp, (), CPU).concepts
    assert len(explanations) == 5
    named = [each.terms[0].concept for each in explanations if each.terms]
    assert len(named) > 0
    assert set(named) <= set(classes)
    assert explanations == explainer.explain(evidence)


def test_transformers_from_a_folder(tmp_path: Path) -> None:
    """A SegFormer of classes of its own; its first class is no background."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        num_labels=4,
        id2label={0: "wall", 1: "sky", 2: "tree", 3: "road"},
        label2id={"wall": 0, "sky": 1, "tree": 2, "road": 3},
        hidden_sizes=[8, 8, 16, 16],
        num_attention_heads=[1, 1, 2, 2],
        depths=[1, 1, 1, 1],
        decoder_hidden_size=8,
    )
    network = transformers.SegformerForSemanticSegmentation(config).eval()
    network.save_pretrained(tmp_path)
    transformers.SegformerImageProcessor(size={"height": 64, "width": 64}).save_pretrained(tmp_path)

    segmenter = load_segmenter("transformers", tmp_path, (), CPU)
    labels = segmenter.label(pictures(3), [0, 2])

    assert segmenter.concepts == ("wall", "sky", "tree", "road")
    assert labels.shape == (2, 56, 56)
    assert labels.min() >= 1
    assert labels.max() <= 4


def clipseg(folder: Path) -> Any:
    """A tiny CLIPSeg with random weights and a tokenizer of single letters, in a folder."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    tower = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    ends = {"bos_token_id": 598, "eos_token_id": 599, "pad_token_id": 599}
    config = transformers.CLIPSegConfig(
        text_config={**tower, **ends, "num_hidden_layers": 2, "vocab_size": 600},
        vision_config={**tower, "num_hidden_layers": 3, "image_size": 32, "patch_size": 8},
        projection_dim=16,
        reduce_dim=8,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=16,
        extract_layers=[0, 1, 2],
    )
    letters = [chr(code) for code in range(33, 127)]
    vocab = {token: n for n, token in enumerate([*letters, *(f"{c}</w>" for c in letters)])}
    vocab |= {"<|startoftext|>": 598, "<|endoftext|>": 599}
    processor = transformers.CLIPSegProcessor(
        image_processor=transformers.ViTImageProcessor(size={"height": 32, "width": 32}),
        tokenizer=transformers.CLIPTokenizer(vocab=vocab, merges=[]),
    )
    network = transformers.CLIPSegForImageSegmentation(config).eval()
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return network, processor


def test_an_open_vocabulary_is_asked_word_by_word(tmp_path: Path) -> None:
    """Each pixel bears the word that the network is surest of, if it is surer than not."""
    network, processor = clipseg(tmp_path)
    words = ("tree", "sky", "x")

    labels = load_segmenter("transformers", tmp_path, words, CPU).label(pictures(3), [2, 0])
    single = load_segmenter("transformers", tmp_path, ("sky",), CPU).label(pictures(3), [2])

    for place, row in enumerate([2, 0]):
        scores = []
        for word in words:
            batch = processor(text=[word], images=[pictures(3).values[row]], return_tensors="pt")
            with torch.no_grad():
                logits = network(**batch).logits.reshape(1, 1, 32, 32)
            scores.append(torch.nn.functional.interpolate(logits, (56, 56), mode="bilinear")[0, 0])
        surest, word_of = torch.stack(scores).max(0)
        expected = torch.where(surest > 0, word_of + 1, 0)
        assert (labels[place] == expected).float().mean() > 0.99  # padding rounds otherwise
        if row == 2:
            assert ((single[0] == 1) == (scores[1] > 0)).float().mean() > 0.99
    assert len(labels.unique()) > 1
    with pytest.raises(BenchError, match="an open-vocabulary segmenter needs words"):
        load_segmenter("transformers", tmp_path, (), CPU)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda folder: load_segmenter("lraspp", None, (), CPU),
            BenchError,
            "unknown segmenter 'lraspp'; there are: deeplabv3_mobilenet_v3_large, ",
        ),
        (
            lambda folder: load_segmenter("fcn_resnet5", None, (), CPU),
            BenchError,
            "unknown segmenter 'fcn_resnet5'; did you mean 'fcn_resnet50' or 'fcn_resnet101'",
        ),
        (
            lambda folder: load_segmenter(LRASPP, folder / "none.pt", (), CPU),
            MissingFileError,
            "{folder}/none.pt: no such file; check the path",
        ),
    ],
)
def test_unknown_names_and_missing_files(
    tmp_path: Path, make: Callable[[Path], Any], error: type[BenchError], message: str
) -> None:
    """Near misses or all names; the path."""
    with pytest.raises(error) as caught:
        make(tmp_path)

    assert str(caught.value).startswith(message.format(folder=tmp_path))


def test_transformers_need_a_folder_that_fits(tmp_path: Path) -> None:
    """No folder, or one with something else."""
    pytest.importorskip("transformers")

    with pytest.raises(MissingFileError, match="needs a folder with its network"):
        load_segmenter("transformers", None, (), CPU)
    with pytest.raises(UnreadableFileError, match="this is no segmentation network that"):
        load_segmenter("transformers", tmp_path, (), CPU)


def test_weights_without_a_network_are_refused(lraspp: Path) -> None:
    """When the experiment is read."""
    with pytest.raises(ValueError, match="segmenter_weights need the name of their network"):
        NetDissect(segmenter_weights=lraspp)


def test_an_unknown_segmenter_is_refused_when_the_experiment_is_read() -> None:
    """With near misses."""
    message = r"^unknown segmenter 'fcn_resnet5'; did you mean 'fcn_resnet50' or 'fcn_resnet101'"

    with pytest.raises(ValueError, match=message):
        NetDissect(segmenter="fcn_resnet5")
