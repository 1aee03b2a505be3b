"""MILAN as an explainer: what it says, of which units, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from le_bench.components import Explainer
from le_bench.errors import BenchError, NotApplicableError
from le_bench.networks.maps import LayerMaps
from le_bench.probing.guarded import OwnImages
from le_bench.probing.images import ArrayImages
from le_bench.testing.worlds import PlantedMemory, Recipe, plant
from le_bench.types import Evidence, Explanation, Layer, ProbeView, TargetModel
from le_bench_plugins.explainers.milan.captioner import Captioner, Description, save_captioner
from le_bench_plugins.explainers.milan.decoder import DecoderSizes, LanguageModelSizes
from le_bench_plugins.explainers.milan.decoding import Decoding
from le_bench_plugins.explainers.milan.exemplar_files import save_exemplars
from le_bench_plugins.explainers.milan.exemplars import Exemplars, SeenImages, View
from le_bench_plugins.explainers.milan.explainer import Milan, PicturebookMilan
from le_bench_plugins.explainers.milan.vocabulary import Vocabulary
from le_bench_plugins.explainers.positions.statistics import position_statistics

UNITS = 7
DEAD = 2


class Network(nn.Module):
    """A convolution of which one unit is dead, then a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, UNITS, 5, stride=2)
        nn.init.zeros_(self.conv.weight[DEAD])
        self.head = nn.Linear(UNITS, 2)

    def forward(self, batch: Tensor) -> Tensor:
        scores: Tensor = self.head(self.conv(batch).amax((2, 3)))
        return scores


def preprocess(images: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


def make_evidence(num_images: int = 40, layer: str = "conv", seed: int = 0) -> Evidence:
    """Noise images of blocks and a random network; the last quarter is val."""
    torch.manual_seed(1)
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (num_images, 8, 8, 3), dtype=np.uint8)
    images = ArrayImages(coarse.repeat(4, 1).repeat(4, 2))
    model = TargetModel("net", Network().eval(), preprocess, torch.device("cpu"))
    rows = torch.randperm(num_images, generator=torch.Generator().manual_seed(3))
    train, val = rows[num_images // 4 :], rows[: num_images // 4]
    maps = LayerMaps(model, OwnImages(images, rows), Layer(layer), 0, UNITS, batch_size=16)
    with torch.no_grad():
        values = model.module.get_submodule("conv")(preprocess(images.values)).mean((2, 3))
    encodings = plant(Recipe()).encodings
    views = [
        ProbeView(split, part, encodings, images=OwnImages(images, part))
        for split, part in (("train", train), ("val", val))
    ]
    return Evidence(
        layer=Layer(layer),
        train=views[0],
        val=views[1],
        train_activations=values[train],
        val_activations=values[val],
        vocabulary=(),
        memory=PlantedMemory(),
        seed=seed,
        maps=maps,
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A captioner of random weights that has something else to say of each unit."""
    torch.manual_seed(0)
    words = Vocabulary(tuple(f"word{number}" for number in range(30)))
    sizes = DecoderSizes(312, 8, 16, 8, 0.5, LanguageModelSizes(8, 8, 2))
    description = Description(words, "small", sizes, Decoding(width=8, length=6), View(32, None))
    captioner = Captioner(description)
    with torch.no_grad():
        for name, value in captioner.decoder.named_parameters():
            value.mul_(100 if name.startswith("init") else 4)  # so that units differ
    path = tmp_path_factory.mktemp("captioner") / "random.safetensors"
    save_captioner(captioner, path)
    return path


def texts(explanations: Sequence[Explanation]) -> list[str]:
    return [each.terms[0].concept if each.terms else each.reason for each in explanations]


def test_each_live_unit_gets_one_sentence(checkpoint: Path) -> None:
    """One term of weight 1; the dead unit has a reason; the same evidence says the same."""
    explainer = Milan(checkpoint=checkpoint)

    explanations = explainer.explain(make_evidence())

    assert [each.unit for each in explanations] == list(range(UNITS))
    said = texts(explanations)
    assert said[DEAD] == "the unit has the same activation on all train images"
    live = [each for each in explanations if each.unit != DEAD]
    assert all(len(each.terms) == 1 and each.terms[0].weight == 1.0 for each in live)
    assert all(word.startswith("word") for each in live for word in each.terms[0].concept.split())
    assert len(set(said)) > 2
    assert explainer.explain(make_evidence()) == explanations


@pytest.mark.parametrize("strategy", ["beam", "greedy", "sample"])
def test_strategies_are_options(strategy: Any, checkpoint: Path) -> None:
    """Each says something; sampling follows the evidence's seed."""
    explainer = Milan(checkpoint=checkpoint, strategy=strategy, temperature=0.0)

    said = texts(explainer.explain(make_evidence(seed=1)))

    assert texts(explainer.explain(make_evidence(seed=1))) == said
    other = texts(explainer.explain(make_evidence(seed=2)))
    assert (other == said) == (strategy != "sample")


def test_fewer_images_than_exemplars_are_enough(checkpoint: Path) -> None:
    """With eight images in all, all of them are looked at."""
    said = texts(Milan(checkpoint=checkpoint).explain(make_evidence(num_images=8)))

    assert sum(text.startswith("word") for text in said) >= UNITS - 2


def test_order_of_images_is_irrelevant(checkpoint: Path) -> None:
    """Rows of a split come in any order."""
    evidence = make_evidence()
    turned = replace(
        evidence,
        train=replace(evidence.train, rows=evidence.train.rows.flip(0)),
        train_activations=evidence.train_activations.flip(0),
    )
    explainer = Milan(checkpoint=checkpoint)

    assert explainer.explain(turned) == explainer.explain(evidence)


def test_exemplars_from_a_folder_say_what_computed_ones_say(
    checkpoint: Path, tmp_path: Path
) -> None:
    """Units that the folder does not hold have a reason."""
    evidence = make_evidence()
    assert evidence.maps is not None
    found = Exemplars.choose(position_statistics(evidence, evidence.maps), 15)
    units = torch.tensor([6, 0, 3])
    shown = found.show(units, evidence.maps, SeenImages(evidence), View(32, None))
    save_exemplars(tmp_path, found, units, shown, 32)

    said = texts(Milan(checkpoint=checkpoint, exemplars=tmp_path).explain(evidence))

    computed = texts(Milan(checkpoint=checkpoint).explain(evidence))
    assert [said[unit] for unit in (6, 0, 3)] == [computed[unit] for unit in (6, 0, 3)]
    assert said[1] == "no mask of the unit's exemplars shows anything, or there are none"


def test_layers_without_positions_are_not_applicable(tmp_path: Path) -> None:
    """They are told before the captioner is loaded."""
    explainer = Milan(checkpoint=tmp_path / "none.safetensors")

    with pytest.raises(NotApplicableError, match="layer 'head' has no map of positions"):
        explainer.explain(make_evidence(layer="head"))


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "strategy": ({"strategy": "reranked"}, "unknown strategy 'reranked'; did you mean 'rerank'?"),
    "temperature": ({"temperature": -1.0}, "temperature is -1.0; it cannot be negative"),
    "beam": ({"beam_size": 0}, "a beam of 0 texts is none; give at least 1"),
    "exemplars": ({"num_exemplars": 0}, "num_exemplars is 0; give at least 1"),
    "view": ({"size": 64, "shorter_side": 32}, "shorter_side is 32; it cannot lie below size, 64"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_impossible_options_are_refused(fault: str) -> None:
    """When the explainer is made, not when it explains."""
    options, message = FAULTS[fault]

    with pytest.raises(ValueError) as caught:  # noqa: PT011  # compared below
        PicturebookMilan(**options)

    assert str(caught.value) == message


def test_an_explainer_without_maps_says_so(checkpoint: Path) -> None:
    """A caller that gives no maps learns it."""
    explainer: Explainer = Milan(checkpoint=checkpoint)

    with pytest.raises(BenchError, match="explainer 'milan' was given no maps of layer conv"):
        explainer.explain(replace(make_evidence(), maps=None))


def test_files_and_folders_are_not_taken_for_each_other(checkpoint: Path, tmp_path: Path) -> None:
    """When the experiment is read; what is not there yet may become either."""
    with pytest.raises(ValueError, match=f"^{tmp_path} is a folder; name a captioner$"):
        Milan(checkpoint=tmp_path)
    with pytest.raises(ValueError, match=f"^{checkpoint} is a file; name a folder of exemplars$"):
        Milan(checkpoint=checkpoint, exemplars=checkpoint)
