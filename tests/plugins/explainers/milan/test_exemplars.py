"""Exemplars against slow loops; the pyramid; and the authors' folder format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from le_bench.errors import BenchError, MissingFileError, UnreadableFileError
from le_bench.probing.images import ArrayImages
from le_bench_plugins.explainers.milan.backbones import BACKBONES
from le_bench_plugins.explainers.milan.captioner import Captioner, Description
from le_bench_plugins.explainers.milan.decoder import DecoderSizes
from le_bench_plugins.explainers.milan.exemplar_files import StoredExemplars, save_exemplars
from le_bench_plugins.explainers.milan.exemplars import Exemplars, View, masks_of
from le_bench_plugins.explainers.milan.pyramid import Pyramid, pool_under_masks
from le_bench_plugins.explainers.milan.shown import Shown
from le_bench_plugins.explainers.milan.vocabulary import Vocabulary
from le_bench_plugins.explainers.positions.statistics import PositionStatistics

NUM_IMAGES, NUM_UNITS = 30, 4
VIEW = View(size=16, shorter_side=None)


@dataclass
class SomeMaps:
    """Maps (N, U, 5, 4) in memory; notes which rows were asked for."""

    values: Tensor
    asked: list[int] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.values.shape[1], self.values.shape[2], self.values.shape[3]

    def blocks(self, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        for part in torch.split(rows, 7):
            self.asked += part.tolist()
            yield part, self.values[part]


class CountedImages(ArrayImages):
    """Images that note which rows were read."""

    seen: ClassVar[list[int]] = []

    def read(self, rows: Sequence[int]) -> list[np.ndarray]:
        self.seen.extend(rows)
        return super().read(rows)


def make_images() -> CountedImages:
    random = np.random.default_rng(0)
    CountedImages.seen.clear()
    return CountedImages(random.integers(0, 256, (NUM_IMAGES, 16, 16, 3), dtype=np.uint8))


def make_maps(seed: int = 0) -> SomeMaps:
    return SomeMaps(torch.randn(NUM_IMAGES, NUM_UNITS, 5, 4, generator=_seeded(seed)))


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_exemplars(maps: SomeMaps, rows: Tensor, count: int = 15) -> Exemplars:
    seen = maps.values[rows]
    levels = seen.transpose(0, 1).flatten(1).quantile(0.9, dim=1)
    statistics = PositionStatistics(rows, seen.amax((2, 3)), {0.01: levels}, 0)
    return Exemplars.choose(statistics, count)


def test_exemplars_are_the_images_with_the_highest_position() -> None:
    """Per unit and image the maximum over space counts; of equal images the earlier comes first."""
    maps = make_maps()
    maps.values[[3, 9, 11], 2] = 0.0
    maps.values[[3, 9, 11], 2, 1, 1] = 99.0
    rows = torch.arange(2, 28)

    exemplars = make_exemplars(maps, rows, count=5)

    assert exemplars.rows.shape == (NUM_UNITS, 5)
    assert exemplars.rows[2, :3].tolist() == [3, 9, 11]
    for unit in range(NUM_UNITS):
        highest = {row: float(maps.values[row, unit].max()) for row in rows.tolist()}
        best = sorted(highest, key=lambda row: (-highest[row], row))[:5]
        assert exemplars.rows[unit].tolist() == best
        assert exemplars.activations[unit].tolist() == [highest[row] for row in best]


def test_few_images_are_all_exemplars() -> None:
    """With fewer than 15 images a unit has as many exemplars."""
    exemplars = make_exemplars(make_maps(), torch.tensor([4, 8, 9]))

    assert exemplars.rows.shape == (NUM_UNITS, 3)
    assert exemplars.rows.sort(1).values.tolist() == [[4, 8, 9]] * NUM_UNITS


def test_shown_exemplars_carry_their_pictures_and_masks() -> None:
    """Each place of each unit once; masks are strictly above the level; images are read once."""
    maps, images = make_maps(), make_images()
    exemplars = make_exemplars(maps, torch.arange(NUM_IMAGES))
    units = torch.tensor([0, 3])

    shown = list(exemplars.show(units, maps, images, VIEW))

    seen = set()
    for some in shown:
        for unit, place, picture, mask in zip(
            some.unit.tolist(), some.place.tolist(), some.picture_of, some.masks, strict=True
        ):
            row = int(exemplars.rows[unit, place])
            seen.add((unit, place))
            pixels = some.pictures[picture].permute(1, 2, 0).numpy()
            assert np.array_equal(pixels, images.values[row])
            resized = F.interpolate(
                maps.values[row, unit][None, None], (16, 16), mode="bilinear", align_corners=False
            )
            assert torch.equal(mask, resized[0, 0] > exemplars.levels[unit])
    assert seen == {(unit, place) for unit in (0, 3) for place in range(15)}
    wanted = sorted(set(exemplars.rows[units].flatten().tolist()))
    assert images.seen == maps.asked == wanted


def test_a_map_at_its_level_shows_nothing() -> None:
    """The level itself is not above the level."""
    masks = masks_of(torch.ones(1, 3, 3), torch.tensor([1.0]), 6)

    assert masks.shape == (1, 6, 6)
    assert not bool(masks.any())


@pytest.mark.parametrize(("size", "side"), [(8, None), (8, 12), (16, 16)])
def test_views_squash_or_cut_the_middle_out(size: int, side: int | None) -> None:
    """Pictures are square, uint8 and of the view's size, whatever the image's shape."""
    images = ArrayImages(np.full((2, 20, 30, 3), 77, np.uint8))

    pictures = View(size, side).read(images, torch.tensor([1]))

    assert pictures.dtype == torch.uint8
    assert torch.equal(pictures, torch.full((1, 3, size, size), 77, dtype=torch.uint8))


@pytest.mark.parametrize("name", ["small", "resnet18", "alexnet"])
def test_pyramid_pools_every_layer_under_the_mask(name: str) -> None:
    """Against loops: hooks, a mask resized and divided by its sum, weighted sums of positions."""
    torch.manual_seed(0)
    pyramid = Pyramid(name).eval()  # type: ignore[arg-type]
    pictures = torch.rand(2, 3, 64, 64)
    masks = (torch.rand(3, 64, 64) > 0.5).float()
    masks[2] = 0

    features = pyramid(pictures, masks, torch.tensor([1, 0, 1]))

    assert features.shape == (3, BACKBONES[name].width)  # type: ignore[index]
    assert not bool(features[2].any())
    for place, picture in ((0, 1), (1, 0)):
        expected = []
        for maps in by_hand(pyramid, pictures[[picture]]):
            weights = F.interpolate(masks[place][None, None], maps.shape[1:], mode="bilinear")[0, 0]
            weights = weights / weights.sum()
            expected.append((maps * weights).sum((1, 2)))
        torch.testing.assert_close(features[place], torch.cat(expected), atol=1e-4, rtol=1e-4)


def by_hand(pyramid: Pyramid, picture: Tensor) -> list[Tensor]:
    """The maps of one picture, layer by layer with as many passes."""
    found = []
    for layer in pyramid.layers:
        kept: list[Tensor] = []

        def keep(_m: nn.Module, _i: object, output: Tensor, kept: list[Tensor] = kept) -> None:
            kept.append(output.detach().clone())

        handle = pyramid.model.get_submodule(layer).register_forward_hook(keep)
        pyramid.model((picture - pyramid.mean) / pyramid.std)
        handle.remove()
        found.append(kept[0][0])
    return found


def test_pyramid_of_resnet101_has_the_authors_width() -> None:
    """64 + 256 + 512 + 1024 + 2048 channels of conv1 and layer1 to layer4."""
    pyramid = Pyramid("resnet101")

    maps = pyramid.maps(torch.rand(1, 3, 64, 64))

    assert [level.shape[1] for level in maps] == [64, 256, 512, 1024, 2048]
    assert pyramid.width == 3904


def test_one_mask_alone_is_pooled_as_among_others() -> None:
    """The authors' squeeze of a single index is no trap here."""
    maps, masks = torch.rand(1, 5, 4, 4), torch.rand(2, 8, 8)
    masks[1] = 0

    both = pool_under_masks(maps, masks, torch.tensor([0, 0]))

    torch.testing.assert_close(pool_under_masks(maps, masks[:1], torch.tensor([0])), both[:1])


def save(folder: Path) -> tuple[Exemplars, list[Shown]]:
    maps, images = make_maps(), make_images()
    exemplars = make_exemplars(maps, torch.arange(NUM_IMAGES))
    units = torch.tensor([1, 3])
    shown = list(exemplars.show(units, maps, images, VIEW))
    save_exemplars(folder, exemplars, units, shown, VIEW.size)
    return exemplars, shown


def test_saved_exemplars_are_in_the_authors_format_and_come_back(tmp_path: Path) -> None:
    """Files, shapes and types are theirs; features are the same from files and from maps."""
    exemplars, shown = save(tmp_path)
    torch.manual_seed(0)
    captioner = Captioner(Description(Vocabulary(("a",)), "small", DecoderSizes(hidden=4))).eval()

    stored = StoredExemplars.open(tmp_path)

    images, masks = np.load(tmp_path / "images.npy"), np.load(tmp_path / "masks.npy")
    assert (images.shape, images.dtype) == ((2, 15, 3, 16, 16), np.uint8)
    assert (masks.shape, masks.dtype) == ((2, 15, 1, 16, 16), np.uint8)
    assert np.unique(masks).tolist() == [0, 1]
    ids = np.loadtxt(tmp_path / "ids.csv", delimiter=",")
    assert ids.tolist() == exemplars.rows[[1, 3]].tolist()
    activations = np.loadtxt(tmp_path / "activations.csv", delimiter=",")
    np.testing.assert_allclose(activations, exemplars.activations[[1, 3]], rtol=1e-5)
    assert stored.units.tolist() == [1, 3]
    fresh = captioner.look(NUM_UNITS, 15, shown)[[1, 3]]
    again = captioner.look(2, 15, stored.show(torch.tensor([0, 1])))
    torch.testing.assert_close(again, fresh)


def test_units_are_counted_where_no_file_names_them(tmp_path: Path) -> None:
    """Without units.npy, and without the tables, a folder holds units 0 to n - 1."""
    save(tmp_path)
    for name in ("units.npy", "ids.csv", "activations.csv"):
        (tmp_path / name).unlink()

    assert StoredExemplars.open(tmp_path).units.tolist() == [0, 1]


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no masks": (
        lambda f: (f / "masks.npy").unlink(),
        "masks.npy: no such file; exemplars need images.npy and masks.npy",
    ),
    "text": (lambda f: (f / "images.npy").write_text("hello"), "images.npy: this is no array"),
    "objects": (
        lambda f: np.save(f / "images.npy", np.array([{}], dtype=object)),
        "images.npy: this is no array of numbers",
    ),
    "floats": (
        lambda f: np.save(f / "images.npy", np.zeros((2, 15, 3, 16, 16))),
        "images.npy is float64 of shape (2, 15, 3, 16, 16), not uint8",
    ),
    "other masks": (
        lambda f: np.save(f / "masks.npy", np.zeros((2, 15, 1, 8, 8), np.uint8)),
        "masks.npy is uint8 of shape (2, 15, 1, 8, 8), not uint8 (2, 15, 1, 16, 16) like images",
    ),
    "few units": (
        lambda f: np.save(f / "units.npy", np.arange(3)),
        "units.npy is int64 of shape (3,), not a whole number for each of 2 units",
    ),
    "a unit twice": (lambda f: np.save(f / "units.npy", np.array([4, 4])), "names a unit twice"),
    "negative": (lambda f: np.save(f / "units.npy", np.array([-1, 4])), "has a negative unit"),
    "short table": (
        lambda f: (f / "ids.csv").write_text(",".join(["1"] * 15) + "\n"),
        "ids.csv has 1 lines for 2 units",
    ),
    "a word": (
        lambda f: (f / "activations.csv").write_text((",".join(["1"] * 14) + ",one\n") * 2),
        "activations.csv line 1 is not 15 numbers",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_malformed_folders_are_refused(fault: str, tmp_path: Path) -> None:
    """With the file and what is wrong in it."""
    save(tmp_path)
    spoil, message = FAULTS[fault]
    spoil(tmp_path)

    with pytest.raises(BenchError) as caught:
        StoredExemplars.open(tmp_path)

    assert message in str(caught.value)
    assert isinstance(caught.value, MissingFileError | UnreadableFileError)


def test_masks_of_more_than_two_values_are_refused(tmp_path: Path) -> None:
    """Masks of 0 and 255 are someone else's."""
    save(tmp_path)
    np.save(tmp_path / "masks.npy", np.full((2, 15, 1, 16, 16), 255, np.uint8))

    with pytest.raises(UnreadableFileError, match="a mask holds 255, but masks are 0 or 1"):
        list(StoredExemplars.open(tmp_path).show(torch.tensor([0])))
