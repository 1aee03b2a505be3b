"""Imagined units: their words, their regions, what is held out, and the backbone that sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from le_bench.networks.weights import load_weights
from le_bench_plugins.explainers.milan.captioner import load_captioner
from le_bench_plugins.explainers.milan.decoding import decode
from le_bench_plugins.explainers.milan.pyramid import Pyramid
from le_bench_plugins.explainers.milan.shown import Shown
from le_bench_plugins.picturebook.captions import WORDS
from le_bench_plugins.picturebook.concepts import CONCEPT_IDS, CONCEPTS, Concept
from le_bench_plugins.picturebook.encoders import load_encoder, weights_path
from le_bench_plugins.picturebook.training.unit_annotations import (
    BACKBONE,
    HELD_OUT_START,
    Imagined,
    export_backbone,
    write_layer,
)
from le_bench_plugins.picturebook.training.unit_meanings import Meaning, draw_meaning
from le_bench_plugins.picturebook.world import Pictures, draw, presence


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return draw(range(HELD_OUT_START, HELD_OUT_START + 500))


def test_annotations_are_words_of_the_caption_grammar() -> None:
    """All of them, whatever is drawn; every kind and category occurs."""
    stream = np.random.default_rng(0)
    meanings = [draw_meaning(stream) for _ in range(2000)]

    texts = [meaning.tell(stream) for meaning in meanings]

    assert {word for text in texts for word in text.split()} <= set(WORDS)
    assert {meaning.kind for meaning in meanings} == {"single", "quality", "scene", "either"}
    named = {concept for meaning in meanings for concept in meaning.concepts}
    assert {c.category for c in named} == {c.category for c in CONCEPTS}


@pytest.mark.parametrize(
    ("kind", "names", "combine"),
    [
        ("single", ("sky",), lambda sky: sky),
        ("quality", ("house", "door"), lambda house, door: house and door),
        ("scene", ("tree", "forest"), lambda tree, forest: tree and forest),
        ("either", ("sun", "cloud"), lambda sun, cloud: sun or cloud),
        ("single", ("animal",), lambda animal: animal),
    ],
)
def test_regions_are_those_of_the_ground_truth(
    kind: str, names: tuple[str, ...], combine: object, pictures: Pictures
) -> None:
    """Pixel by pixel, against the id maps; pictures that may show it are all that do."""
    concepts = tuple(next(c for c in CONCEPTS if c.name == name) for name in names)
    meaning = Meaning(kind, concepts)
    few = {name: ids[:6] for name, ids in pictures.masks.items()}

    region = meaning.region(few)

    for picture in range(6):
        for row in range(0, 64, 3):
            for column in range(0, 64, 3):
                there = [_there(few, c, picture, row, column) for c in concepts]
                assert region[picture, row, column] == combine(*there)  # type: ignore[operator]
    shown = meaning.region(pictures.masks).sum((1, 2)) >= 100
    assert bool((meaning.may_show(presence(pictures)) | ~shown).all())


def _there(masks: dict[str, np.ndarray], concept: Concept, *place: int) -> bool:
    if concept.category == "superclass":
        animals = ("fish", "bird", "cat", "butterfly", "ladybug")
        return masks["object"][place] in [CONCEPT_IDS[name] for name in animals]
    return bool(masks[concept.category][place] == CONCEPT_IDS[concept.name])


def test_held_out_meanings_are_not_trained_on(pictures: Pictures) -> None:
    """Pairs are either new or known; single concepts are always known."""
    imagined = Imagined(pictures, seed=0)

    new = [imagined.draw(new=True)[0] for _ in range(10)]
    known = [imagined.draw(new=False)[0] for _ in range(40)]

    assert all(len(meaning.concepts) == 2 for meaning in new)
    assert not set(new) & set(known)
    assert any(len(meaning.concepts) == 1 for meaning in known)


def test_exemplars_show_what_their_unit_means(pictures: Pictures) -> None:
    """Most of what the masks show lies in the region, far more than of whole pictures."""
    imagined = Imagined(pictures, seed=1)
    inside, everywhere = [], []
    for _ in range(40):
        meaning, (rows, masks) = imagined.draw(new=False)
        region = meaning.region({name: ids[rows] for name, ids in pictures.masks.items()})
        inside.append(region[masks].mean())
        everywhere.append(region.mean())

    assert np.nanmean(inside) > 0.5
    assert np.nanmean(inside) > np.mean(everywhere) + 0.2


def test_the_same_seed_writes_the_same_units(pictures: Pictures, tmp_path: Path) -> None:
    """In the authors' format, three annotations a unit."""
    rows = [
        write_layer(tmp_path / str(time), "train", Imagined(pictures, 5), 3, new=False)
        for time in (1, 2)
    ]

    first, second = (np.load(tmp_path / str(time) / "train" / "masks.npy") for time in (1, 2))
    assert rows[0] == rows[1]
    assert [row[:2] for row in rows[0]] == [
        ["train", str(unit)] for unit in (0, 1, 2) for _ in "123"
    ]
    assert first.shape == (3, 15, 1, 64, 64)
    assert np.array_equal(first, second)


def test_the_exported_backbone_gives_the_maps_of_the_encoder(tmp_path: Path) -> None:
    """The same numbers under other names give the same maps, bit for bit."""
    export_backbone(tmp_path / "backbone.safetensors")
    pyramid = Pyramid("small")
    load_weights(pyramid.model, tmp_path / "backbone.safetensors")
    encoder = load_encoder(BACKBONE, tmp_path / "encoder", weights_path(BACKBONE))
    batch = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    maps = pyramid.maps(batch)

    trunk = encoder.model.visual.trunk  # type: ignore[union-attr]  # open_clip's names
    with torch.no_grad():
        fine = trunk.layer1(trunk.stem((batch - 0.5) / 0.5))  # type: ignore[operator,union-attr]
        coarse = trunk.layer2(fine)  # type: ignore[operator,union-attr]
    assert torch.equal(maps[2], fine)
    assert torch.equal(maps[4], coarse)


def test_the_shipped_captioner_says_what_units_mean(pictures: Pictures) -> None:
    """Of imagined units over pictures that it has not seen, most concepts are named."""
    captioner = load_captioner(weights_path("picturebook-milan"))
    vocabulary = captioner.description.vocabulary
    imagined = Imagined(pictures, seed=9)
    units = [imagined.draw(new=False) for _ in range(60)]
    shown = [
        Shown(
            torch.full((15,), unit),
            torch.arange(15),
            torch.from_numpy(pictures.images[rows].transpose(0, 3, 1, 2).copy()),
            torch.arange(15),
            torch.from_numpy(masks),
        )
        for unit, (_, (rows, masks)) in enumerate(units)
    ]
    features = captioner.look(60, 15, shown)

    chosen = decode(captioner.decoder, vocabulary, features, captioner.description.decoding)

    texts = [vocabulary.describe(numbers).split() for numbers in chosen.tokens.tolist()]
    found = [
        any(concept.name in words for concept in meaning.concepts)
        for (meaning, _), words in zip(units, texts, strict=True)
    ]
    assert np.mean(found) > 0.7
