"""The Picturebook as dataset, models and encoders of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from le_bench.boards.results import read_results
from le_bench.cli import call
from le_bench.planning.plan import make_plan
from le_bench.planning.reading import build_experiment
from le_bench.planning.tables import read_table
from le_bench.plugins import Plugins
from le_bench.types import SPLITS
from le_bench_plugins.picturebook.concepts import CATEGORY_CONCEPTS
from le_bench_plugins.picturebook.plugin import (
    Picturebook,
    PicturebookEncoder,
    PicturebookModel,
)
from le_bench_plugins.picturebook.world import draw

DEFAULT = Path(__file__).parents[3] / "le_bench" / "experiments" / "picturebook.toml"


def test_the_dataset_says_all_that_is_known() -> None:
    """Labels, superclasses, annotations, masks and captions belong to the same pictures."""
    dataset = Picturebook(num_images=60).load()

    masks = dataset.masks
    assert masks is not None
    assert dataset.labels is not None
    assert dataset.label_presence is not None
    assert dataset.concept_presence is not None
    assert dataset.captions is not None
    assert len(dataset.images) == len(dataset.labels) == len(dataset.captions) == 60
    assert [len(dataset.splits[split]) for split in SPLITS] == [42, 6, 12]
    assert len(masks.categories) == 6
    labels = masks.read([3, 4])
    assert labels.layers.shape == (2, 5, *masks.size)
    concepts = [concept for members in masks.categories.values() for concept in members]
    scene = concepts[int(labels.whole[0, 0]) - 1]
    column = dataset.concept_presence.concepts.index(scene)
    assert dataset.concept_presence.values[3, column] == 1
    class_of_first = dataset.classes[int(dataset.labels[0])]
    row = dataset.label_presence.values[0]
    assert row[dataset.label_presence.concepts.index(class_of_first)] == 1
    assert row.sum() == 2  # the class and its superclass
    assert set(dataset.concept_presence.concepts) == set(dataset.vocabulary)


def test_masks_are_the_id_maps_of_the_world() -> None:
    """Unpacked, every layer names the concepts that its category's id map does."""
    dataset = Picturebook(num_images=300).load()
    drawn = draw([299, 0, 17])
    assert dataset.masks is not None

    labels = dataset.masks.read([299, 0, 17])

    concepts = ["", *(c for members in dataset.masks.categories.values() for c in members)]
    pixelwise = [category for category in CATEGORY_CONCEPTS if category != "scene"]
    for layer, category in enumerate(pixelwise):
        names = np.array(["", *CATEGORY_CONCEPTS[category]])
        expected = names[drawn.masks[category]]
        np.testing.assert_array_equal(np.array(concepts)[labels.layers[:, layer]], expected)
    assert [concepts[label] for label in labels.whole[:, 0]] == [
        CATEGORY_CONCEPTS["scene"][scene] for scene in drawn.scenes
    ]


def test_too_few_pictures_are_refused() -> None:
    """A number of pictures that cannot be split is refused with the bounds."""
    with pytest.raises(ValueError, match="num_images must lie between 10 and 1000000, not 3"):
        Picturebook(num_images=3)


@pytest.mark.parametrize("network", ["cnn", "vgg", "vit"])
def test_targets_know_the_classes(network: str) -> None:
    """Each target names the main object of most pictures of the probe dataset."""
    dataset = Picturebook(num_images=100).load()
    assert dataset.labels is not None
    model = PicturebookModel(network=network).load(torch.device("cpu"))  # type: ignore[arg-type]  # one of the literals

    with torch.inference_mode():
        logits = model.module(model.preprocess(dataset.images.read(range(100))))

    assert (logits.argmax(1) == dataset.labels).float().mean() > 0.9


@pytest.mark.parametrize("network", ["sl-resnet", "sl-convvit", "clip"])
def test_encoders_find_scenes(network: str) -> None:
    """Each encoder puts pictures nearest to the name of their scene."""
    dataset = Picturebook(num_images=100).load()
    assert dataset.masks is not None
    scenes = dataset.masks.categories["scene"]
    concepts = [concept for members in dataset.masks.categories.values() for concept in members]
    labels = dataset.masks.read(range(100)).whole[:, 0]
    truth = np.array([scenes.index(concepts[label - 1]) for label in labels])
    encoder = PicturebookEncoder(network=network)  # type: ignore[arg-type]  # one of the literals
    cpu = torch.device("cpu")

    images = torch.nn.functional.normalize(encoder.encode_images(dataset.images, cpu))
    texts = torch.nn.functional.normalize(encoder.encode_texts(scenes, cpu))

    nearest = (images @ texts.T).argmax(1).numpy()
    assert (nearest == truth).mean() > 0.9


def test_identity_is_that_of_the_weights() -> None:
    """Components with different weights have different identities, equal ones the same."""
    first, second = PicturebookModel(network="cnn"), PicturebookModel(network="vgg")

    assert first.identity() != second.identity()
    assert first.identity() == PicturebookModel(network="cnn").identity()


def test_the_default_experiment_is_as_promised() -> None:
    """Three targets, two layers of each, eight explainers, three simulators."""
    plugins = Plugins.find()

    experiment = build_experiment(read_table(DEFAULT), DEFAULT, plugins)
    plan = make_plan(experiment, plugins.origins)

    assert len(experiment.models) >= 3
    assert all(len(model.layers) >= 2 for model in experiment.models)
    assert len(experiment.explainers) >= 8
    assert len(experiment.simulators) >= 3
    assert plan.cells


def test_a_small_part_of_the_default_experiment_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few units on few pictures go through every explainer and simulator."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LE_BENCH_HOME", str(tmp_path / "cache"))

    part = "run --set dataset.num_images=300 --limit-units 3 --model CNN --layer layer4"
    code = call(part.split())

    results = read_results(tmp_path / "leaderboards-partial" / "results")
    assert code == 0
    assert {result.cell.simulator for result in results} == {"SigLIP", "CLIP", "labels"}
    assert len({result.cell.explainer for result in results}) >= 8
