"""Planted worlds: what they promise to tests of plugins."""

from __future__ import annotations

import pytest
import torch

from le_bench.errors import PluginError
from le_bench.testing.worlds import (
    PlantedEncoder,
    PlantedEncodings,
    PlantedMemory,
    Recipe,
    make_evidence,
    make_probe_view,
    plant,
)


def test_encoders_see_the_planted_presence() -> None:
    """The sigmoid of the planted embeddings' cosines gives back the presence asked for."""
    world = plant()

    seen = world.view("test").presence(world.encoders[0], world.concepts)

    expected = world.blurred[world.rows["test"]].clamp(0.001, 0.999)
    torch.testing.assert_close(seen, expected, atol=1e-4, rtol=0)


def test_embeddings_have_length_one() -> None:
    """Planted embeddings of images and texts have length 1 as those of the core have."""
    world = plant()

    images = world.encodings.images(world.encoders[0])
    texts = world.encodings.texts(world.encoders[0], world.concepts)

    torch.testing.assert_close(images.norm(dim=1), torch.ones(len(images)))
    torch.testing.assert_close(texts.norm(dim=1), torch.ones(len(texts)))


def test_presence_that_does_not_fit_is_refused() -> None:
    """Too many present concepts for a small a cannot be planted, and the message says so."""
    presence = torch.full((2, 400), 0.99)
    names = [f"concept {i}" for i in range(400)]

    with pytest.raises(ValueError, match="presence of") as caught:
        PlantedEncodings(names, {PlantedEncoder(): presence})

    assert str(caught.value) == (
        "presence of 400 concepts cannot be planted with a = 60 and b = -0.09; "
        "take a larger a or fewer concepts"
    )


def test_units_are_the_planted_sums() -> None:
    """Without noise an activation is the weighted sum of present concepts plus 0.5."""
    world = plant(Recipe(noise=0.0))

    expected = world.presence @ world.weights + 0.5

    torch.testing.assert_close(world.activations, expected)
    assert sorted(world.terms(0).values()) == pytest.approx([0.8, 1.0])


def test_dead_and_spoilt_units() -> None:
    """A dead unit is 0 everywhere and has no terms; a NaN unit has one NaN on a train image."""
    world = plant(Recipe(dead_units=(1,), nan_units=(2,)))

    evidence = world.evidence()

    assert not evidence.train_activations[:, 1].any()
    assert world.terms(1) == {}
    assert int(evidence.train_activations.isnan().sum(0)[2]) == 1
    assert not evidence.val_activations.isnan().any()


def test_appended_concepts_change_nothing_else() -> None:
    """Constant and duplicate concepts leave the other concepts, the images and units alone."""
    plain = plant()
    longer = plant(Recipe(constant_concepts=2, duplicate_concepts=1))

    assert longer.concepts == (*plain.concepts, "constant 0", "constant 1", "copy of class 0")
    assert torch.equal(longer.presence[:, : len(plain.concepts)], plain.presence)
    assert torch.equal(longer.presence[:, -1], plain.presence[:, 0])
    assert bool((longer.presence[:, -3:-1] == 1).all())
    assert torch.equal(longer.blurred[:, : len(plain.concepts)], plain.blurred)
    assert torch.equal(longer.activations, plain.activations)


def test_splits_partition_the_images() -> None:
    """Train, val and test hold each image once, in the sizes asked for."""
    world = plant(Recipe(num_images=(5, 4, 3)))

    assert {split: len(rows) for split, rows in world.rows.items()} == {
        "train": 5,
        "val": 4,
        "test": 3,
    }
    assert sorted(torch.cat(list(world.rows.values())).tolist()) == list(range(12))


def test_labels_agree_with_label_presence() -> None:
    """Each image has exactly one class, and the superclass covers the first two."""
    view = make_probe_view("train")

    assert view.labels is not None
    assert view.label_presence is not None
    one_hot = torch.nn.functional.one_hot(view.labels, 4).float()
    assert torch.equal(view.label_presence.values[:, :4], one_hot)
    assert torch.equal(view.label_presence.values[:, 4], one_hot[:, :2].sum(1))


def test_same_recipe_same_world() -> None:
    """Two plantings of one recipe are equal, another seed is another world."""
    first, second, other = plant(), plant(), plant(Recipe(seed=1))

    assert torch.equal(first.activations, second.activations)
    assert not torch.equal(first.activations, other.activations)


def test_evidence_of_some_units() -> None:
    """Evidence can be limited to units, in any order."""
    world = plant()

    evidence = world.evidence(units=[3, 0])

    assert torch.equal(evidence.train_activations, world.evidence().train_activations[:, [3, 0]])


def test_memory_computes_once() -> None:
    """The same name and parts are computed once; other parts are another entry."""
    memory = PlantedMemory()

    first = memory.remember("a", {"lam": 1}, lambda: {"x": torch.ones(1)})
    again = memory.remember("a", {"lam": 1}, lambda: {"x": torch.zeros(1)})
    other = memory.remember("a", {"lam": 2}, lambda: {"x": torch.zeros(1)})

    assert (float(first["x"]), float(again["x"]), float(other["x"])) == (1.0, 1.0, 0.0)
    assert memory.computed == ["a", "a"]


def test_memory_refuses_parts_that_are_no_json() -> None:
    """Parts that the core could not write into a cache key are refused here, too."""
    with pytest.raises(TypeError, match="not JSON serializable"):
        PlantedMemory().remember("a", {"x": torch.ones(1)}, dict)


def test_planted_encoder_has_no_network() -> None:
    """Asking the planted encoder itself for embeddings tells where they are."""
    with pytest.raises(PluginError) as caught:
        PlantedEncoder().encode_texts(["dog"], torch.device("cpu"))

    assert str(caught.value) == (
        "the encoder 'planted' has no network; ask the world's Encodings instead"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_images": (3, 0, 3)}, "each split of a world needs an image"),
        ({"num_classes": 1}, "a world needs two classes for its superclass"),
        ({"terms_per_unit": 40}, "units of 40 terms need as many concepts"),
    ],
)
def test_impossible_recipes_are_refused(options: dict[str, object], message: str) -> None:
    """A recipe that cannot be planted says why."""
    with pytest.raises(ValueError, match=message):
        Recipe(**options)  # type: ignore[arg-type]


def test_make_evidence_takes_a_seed() -> None:
    """The seed of the evidence is the caller's."""
    assert make_evidence(seed=7).seed == 7
