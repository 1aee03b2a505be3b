"""Pictures, masks and maps of a planted world agree with what is planted in it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from le_bench.testing.pictures import (
    HiddenEncodings,
    PlantedMasks,
    PlantedPictures,
    draw_maps,
    full_evidence,
    full_view,
)
from le_bench.testing.worlds import Recipe, plant


def test_the_mean_of_a_map_is_the_activation() -> None:
    """Maps are pooled to the planted activations; a dead unit's map is 0 everywhere."""
    world = plant(Recipe(dead_units=(1,)))

    maps = draw_maps(world)

    torch.testing.assert_close(maps.mean((2, 3)), world.activations, atol=1e-4, rtol=1e-4)
    assert not maps[:, 1].any()


def test_masks_and_pictures_show_what_is_present() -> None:
    """A concept is labelled in an image if, and only if, it is present there."""
    world = plant()
    rows = [5, 0, 7]

    labels = PlantedMasks(world).read(rows).layers
    pictures = PlantedPictures(world).read(rows)

    for row, shown, picture in zip(rows, labels, pictures, strict=True):
        present = {c + 1 for c in torch.nonzero(world.presence[row]).flatten().tolist()}
        assert set(np.unique(shown)) - {0} == present
        assert picture.shape == (*shown.shape[1:], 3)
        grey = (picture == 128).all(2)
        assert not grey[shown[0] > 0].any()


def test_hidden_rows_are_absent_or_others() -> None:
    """Rows of other splits are NaN or those of other images, one's own are what they were."""
    world = plant()
    encoder, rows = world.encoders[0], world.rows["test"]
    true = world.encodings.images(encoder)

    absent = full_view(world, "test", "absent").encodings.images(encoder)
    other = full_view(world, "test", "other").encodings.images(encoder)

    hidden = world.rows["train"]
    assert bool(absent[hidden].isnan().all())
    assert not torch.equal(other[hidden], true[hidden])
    assert torch.equal(absent[rows], true[rows])
    assert torch.equal(other[rows], true[rows])


def test_unknown_texts_have_directions_of_their_own() -> None:
    """A prompt that is no concept of the world is embedded, the same on every call."""
    world = plant()
    encodings = HiddenEncodings(world.encodings, world.rows["train"], "kept")

    texts = encodings.texts(world.encoders[0], ["a photo of class 0", "class 0", "another"])

    torch.testing.assert_close(texts.norm(dim=1), torch.ones(3))
    assert torch.equal(texts[1], world.encodings.texts(world.encoders[0], ["class 0"])[0])
    assert torch.equal(
        texts, encodings.texts(world.encoders[0], ["a photo of class 0", "class 0", "another"])
    )
    assert float(texts[0] @ texts[2]) < 0.99


def test_maps_of_test_images_stay_hidden() -> None:
    """Maps are given for train and val images alone."""
    world = plant()
    maps = full_evidence(world, with_maps=True).maps
    assert maps is not None

    with pytest.raises(ValueError, match="stay hidden"):
        list(maps.blocks(world.rows["test"]))
