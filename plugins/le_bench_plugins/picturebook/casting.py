"""The choice of things for each picture: which, how painted, how large and where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from le_bench_plugins.picturebook.concepts import CLASSES, CONCEPT_IDS, SCENES
from le_bench_plugins.picturebook.hashing import Stream
from le_bench_plugins.picturebook.palette import CONTRASTS
from le_bench_plugins.picturebook.sheet import Finish, Ids
from le_bench_plugins.picturebook.species import SPECIES, Species

FRAME = 64
MAX_COMPANIONS = 2

_COMPANION_WEIGHTS = (0.4, 0.36, 0.24)
_HABITAT_SHARE = 0.6
_COMPANION_TEXTURE_SHARE = 0.5
_EYE_COLORS = ("green", "yellow", "blue")
_SMALL_BELOW, _BIG_FROM = 18.0, 22.0

Rows = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Cast:
    """m things, each in one picture of a chunk; every field has shape (m,).

    picture: the row of the picture in the chunk. slot: 0 for the main object, 1 or 2 for
    companions. label: index into CLASSES. size: half its height in pixels, before the reach of
    its class. scale: pixels for one unit of its own coordinates. x, y: its middle, in pixels.
    """

    picture: Rows
    slot: Rows
    label: Rows
    size: Numbers
    scale: Numbers
    tilt: Numbers
    mirrored: npt.NDArray[np.bool_]
    x: Numbers
    y: Numbers
    finish: Finish
    stream: Stream

    def size_word(self, row: int) -> str:
        """Return "small", "medium" or "big"."""
        if self.size[row] < _SMALL_BELOW:
            return "small"
        return "big" if self.size[row] >= _BIG_FROM else "medium"


def choose_labels(stream: Stream) -> Rows:
    """Return the class of each picture's main object, shape (n,), all equally likely."""
    return stream.pick("label", [1.0] * len(CLASSES))


def choose_scenes(stream: Stream, labels: Rows) -> Rows:
    """Return the scene of each picture, shape (n,): a habitat of the main object, or any."""
    scenes = stream.pick("scene", [1.0] * len(SCENES))
    at_home = stream.chance("at home", _HABITAT_SHARE)
    for label, name in enumerate(CLASSES):
        habitats = np.array([SCENES.index(scene) for scene in SPECIES[name].habitats])
        rows = np.flatnonzero(at_home & (labels == label))
        scenes[rows] = habitats[stream.take(rows).pick("habitat", [1.0] * len(habitats))]
    return scenes


def choose_things(stream: Stream, labels: Rows) -> Cast:
    """Return the main objects and companions of n pictures, the former with the given labels."""
    num_pictures = len(labels)
    num_companions = stream.pick("companions", _COMPANION_WEIGHTS)
    pictures = [np.arange(num_pictures, dtype=np.int64)]
    streams = [stream.fork("thing 0")]
    all_labels = [labels]
    for slot in range(1, MAX_COMPANIONS + 1):
        rows = np.flatnonzero(num_companions >= slot)
        pictures.append(rows)
        streams.append(stream.fork(f"thing {slot}").take(rows))
        all_labels.append(streams[-1].pick("label", [1.0] * len(CLASSES)))
    picture, label = np.concatenate(pictures), np.concatenate(all_labels)
    slot_of = np.repeat(np.arange(MAX_COMPANIONS + 1), [len(rows) for rows in pictures])
    things = Stream(np.concatenate([part.keys for part in streams]))
    size = np.where(
        slot_of == 0, things.uniform("size", 15.0, 25.5), things.uniform("size", 8.5, 11.5)
    ).astype(np.float32)
    scale = np.minimum(size * _per_class(label, lambda species: species.reach), np.float32(29.5))
    tilt = _per_class(label, lambda species: species.tilt) * things.uniform("tilt", -1.0, 1.0)
    x, y = _place(picture, slot_of, label, scale, things)
    return Cast(
        picture=picture,
        slot=slot_of,
        label=label,
        size=size,
        scale=scale,
        tilt=tilt,
        mirrored=things.chance("mirrored", 0.5),
        x=x,
        y=y,
        finish=_choose_finish(label, slot_of, things),
        stream=things,
    )


def _per_class(label: Rows, property_of: Callable[[Species], float]) -> Numbers:
    """Return a property of each thing's species, shape (m,)."""
    return np.array([property_of(SPECIES[name]) for name in CLASSES], dtype=np.float32)[label]


def _place(
    picture: Rows, slot: Rows, label: Rows, scale: Numbers, things: Stream
) -> tuple[Numbers, Numbers]:
    """Return the middles of all things: companions stand beside the main object, left and right."""
    foot = _per_class(label, lambda species: species.foot) * scale
    airborne = _per_class(label, lambda species: float(species.airborne)) > 0
    main = slot == 0
    across, down = things.uniform("across"), things.uniform("down")

    margin = np.minimum(scale * 0.96, 31.0)
    main_x = margin + (FRAME - 2 * margin) * across
    side = np.where(main_x < FRAME / 2, 1.0, -1.0)[main][picture] * np.where(slot == 2, -1.0, 1.0)
    companion_x = FRAME / 2 + side * (FRAME / 2 - scale * 0.9 - 5.0 * across)
    x = np.where(main, main_x, companion_x)

    ground = np.where(main, 52.0, 54.0) + np.where(main, 10.0, 9.0) * down - foot
    top, bottom = foot + 1.0, np.where(main, FRAME - 1.0 - foot, 26.0)
    air = np.minimum(top, bottom) + np.abs(bottom - top) * down
    y = np.where(airborne, air, np.maximum(ground, np.where(main, scale * 0.98, 0.0)))
    return x.astype(np.float32), y.astype(np.float32)


def _choose_finish(label: Rows, slot: Rows, things: Stream) -> Finish:
    fields = {name: np.zeros(len(label), dtype=np.uint8) for name in Finish.__dataclass_fields__}
    for number, name in enumerate(CLASSES):
        rows = np.flatnonzero(label == number)
        species, stream = SPECIES[name], things.take(rows)
        material = _choose_ids("material", species.materials, stream)
        texture = _choose_ids("texture", species.textures, stream)
        smooth = np.isin(material, [CONCEPT_IDS[each] for each in species.smooth])
        plain = (slot[rows] > 0) & ~stream.chance("textured", _COMPANION_TEXTURE_SHARE)
        if species.textures.get(None, 0.0) > 0:
            texture[smooth | plain] = 0
        color = _pick_names("color", species.colors, stream)
        for each, colors in species.material_colors.items():
            color = np.where(
                material == CONCEPT_IDS[each], _pick_names("color", colors, stream), color
            )
        fields["material"][rows], fields["texture"][rows] = material, texture
        fields["color"][rows] = color
        fields["accent"][rows] = _choose_accents(color, species.accents, stream)
        fields["eyes"][rows] = _pick_names("eyes", _EYE_COLORS, stream)
    return Finish(**fields)


def _choose_accents(color: Ids, allowed: Sequence[str], stream: Stream) -> Ids:
    """Return second colours that stand out from the main ones, from those allowed if any."""
    accents = np.zeros_like(color)
    for name, partners in CONTRASTS.items():
        wanted = tuple(each for each in allowed if each != name) or partners
        rows = np.flatnonzero(color == CONCEPT_IDS[name])
        accents[rows] = _pick_names("accent", wanted, stream.take(rows))
    return accents


def _choose_ids(purpose: str, weights: Mapping[str | None, float], stream: Stream) -> Ids:
    ids = np.array([0 if name is None else CONCEPT_IDS[name] for name in weights], dtype=np.uint8)
    return ids[stream.pick(purpose, list(weights.values()))]


def _pick_names(purpose: str, names: Sequence[str], stream: Stream) -> Ids:
    ids = np.array([CONCEPT_IDS[name] for name in names], dtype=np.uint8)
    return ids[stream.pick(purpose, [1.0] * len(names))]
