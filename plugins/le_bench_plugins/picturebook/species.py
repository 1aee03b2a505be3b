"""What the things of each class are like: their colours, textures, materials and habitats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import pi

from le_bench_plugins.picturebook import animals, artifacts, buildings, plants, vehicles
from le_bench_plugins.picturebook.concepts import COLORS
from le_bench_plugins.picturebook.sheet import Sheet

_ALL_TEXTURES: Mapping[str | None, float] = {
    None: 0.2,
    "striped": 0.12,
    "dotted": 0.12,
    "checkered": 0.16,
    "zigzagged": 0.2,
    "wavy": 0.2,
}
_PLAIN: Mapping[str | None, float] = {None: 1.0}
_LIVELY = ("white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "black")
_METALLIC = ("grey", "red", "orange", "yellow", "green", "blue", "white", "purple", "pink")


@dataclass(frozen=True, slots=True)
class Species:
    """How the things of one class vary.

    colors: the main colours, equally likely; a material in `material_colors` has its own.
    textures, materials: weights; a thing of a material in `smooth` gets no texture.
    habitats: the scenes it prefers. airborne: whether it floats rather than stands.
    reach: size relative to other classes. tilt: the largest turn, in radians.
    foot: the v coordinate of its lowest point.
    """

    draw: Callable[[Sheet], None]
    habitats: tuple[str, ...]
    colors: tuple[str, ...] = COLORS
    textures: Mapping[str | None, float] = field(default_factory=lambda: _PLAIN)
    materials: Mapping[str | None, float] = field(default_factory=lambda: _PLAIN)
    material_colors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    accents: tuple[str, ...] = ()
    smooth: tuple[str, ...] = ()
    airborne: bool = False
    reach: float = 1.0
    tilt: float = 0.0
    foot: float = 1.0


_BRICK = ("red", "red", "brown")
_STONE = ("grey",)
_WOODEN = ("brown",)

SPECIES: Mapping[str, Species] = {
    "fish": Species(
        animals.draw_fish,
        ("underwater", "underwater", "ocean"),
        _LIVELY,
        _ALL_TEXTURES,
        airborne=True,
        reach=1.15,
        tilt=0.16,
        foot=0.65,
    ),
    "bird": Species(
        animals.draw_bird,
        ("forest", "beach", "meadow"),
        COLORS,
        materials={"feathers": 1.0},
        tilt=0.06,
    ),
    "cat": Species(
        animals.draw_cat,
        ("room", "street"),
        ("black", "white", "grey", "orange", "brown", "orange", "pink", "yellow"),
        {None: 0.6, "striped": 0.4},
        {"fur": 1.0},
        accents=("white", "black", "brown", "orange"),
    ),
    "butterfly": Species(
        animals.draw_butterfly,
        ("meadow", "forest"),
        tuple(name for name in _LIVELY if name != "black"),
        _ALL_TEXTURES,
        airborne=True,
        tilt=0.35,
    ),
    "ladybug": Species(
        animals.draw_ladybug,
        ("meadow", "forest"),
        ("red", "red", "red", "orange", "yellow"),
        {"dotted": 1.0},
        accents=("black",),
        tilt=0.3,
    ),
    "tree": Species(
        plants.draw_tree,
        ("meadow", "street"),
        ("green", "green", "green", "orange", "pink", "yellow", "red"),
        materials={"foliage": 1.0},
    ),
    "pine": Species(
        plants.draw_pine,
        ("snowfield", "forest"),
        ("green",),
        materials={"foliage": 1.0},
        reach=1.05,
    ),
    "flower": Species(
        plants.draw_flower,
        ("meadow", "room"),
        ("red", "orange", "yellow", "blue", "purple", "pink", "white"),
        accents=("yellow", "brown", "orange", "white"),
        tilt=0.08,
    ),
    "cactus": Species(
        plants.draw_cactus,
        ("desert",),
        ("green",),
        accents=("pink", "red", "yellow", "white"),
        reach=1.05,
    ),
    "mushroom": Species(
        plants.draw_mushroom,
        ("forest", "night"),
        ("red", "red", "orange", "brown", "purple", "pink", "blue", "yellow"),
        {None: 0.2, "dotted": 0.4, "striped": 0.1, "checkered": 0.1, "zigzagged": 0.1, "wavy": 0.1},
    ),
    "car": Species(
        vehicles.draw_car,
        ("street", "desert"),
        _LIVELY,
        materials={"metal": 1.0},
        reach=1.2,
        foot=0.66,
    ),
    "truck": Species(
        vehicles.draw_truck,
        ("street", "snowfield"),
        _LIVELY,
        _ALL_TEXTURES,
        {None: 0.5, "wood": 0.25, "metal": 0.25},
        {"wood": _WOODEN, "metal": _METALLIC},
        smooth=("wood", "metal"),
        reach=1.15,
        foot=0.72,
    ),
    "boat": Species(
        vehicles.draw_boat,
        ("ocean", "beach"),
        _LIVELY,
        _ALL_TEXTURES,
        {"fabric": 1.0},
        reach=1.05,
    ),
    "airplane": Species(
        vehicles.draw_airplane,
        ("desert", "ocean", "night"),
        _METALLIC,
        {None: 0.8, "striped": 0.1, "checkered": 0.1},
        {"metal": 1.0},
        airborne=True,
        reach=1.15,
        tilt=0.3,
        foot=0.6,
    ),
    "rocket": Species(
        vehicles.draw_rocket,
        ("night", "desert"),
        _METALLIC,
        {None: 0.6, "striped": 0.2, "checkered": 0.2},
        {"metal": 1.0},
        airborne=True,
        reach=1.12,
        tilt=0.4,
    ),
    "balloon": Species(
        vehicles.draw_balloon,
        ("desert", "snowfield"),
        _LIVELY,
        _ALL_TEXTURES,
        {"fabric": 1.0},
        airborne=True,
        reach=1.1,
    ),
    "house": Species(
        buildings.draw_house,
        ("snowfield", "street"),
        materials={"brick": 0.45, "wood": 0.35, "stone": 0.2},
        material_colors={"brick": _BRICK, "wood": _WOODEN, "stone": _STONE},
        accents=("red", "blue", "green", "purple", "black", "orange"),
    ),
    "castle": Species(
        buildings.draw_castle,
        ("night", "meadow"),
        materials={"stone": 0.6, "brick": 0.4},
        material_colors={"brick": _BRICK, "stone": _STONE},
        accents=("red", "blue", "yellow", "purple", "orange"),
    ),
    "lighthouse": Species(
        buildings.draw_lighthouse,
        ("beach", "ocean"),
        ("red", "blue", "white", "black", "green", "orange"),
        {None: 0.2, "striped": 0.6, "checkered": 0.2},
        {None: 0.5, "brick": 0.25, "stone": 0.25},
        {"brick": _BRICK, "stone": _STONE},
        accents=("white", "red", "blue", "black"),
        smooth=("brick", "stone"),
        reach=1.12,
    ),
    "tent": Species(
        buildings.draw_tent,
        ("night", "snowfield", "beach"),
        _LIVELY,
        _ALL_TEXTURES,
        {"fabric": 1.0},
        foot=0.9,
    ),
    "ball": Species(
        artifacts.draw_ball,
        ("room", "beach"),
        _LIVELY,
        _ALL_TEXTURES,
        {None: 0.5, "glass": 0.2, "wood": 0.15, "metal": 0.15},
        {"wood": _WOODEN, "glass": ("blue", "green", "purple", "pink"), "metal": _METALLIC},
        smooth=("glass", "wood", "metal"),
        reach=0.88,
        tilt=pi,
        foot=0.95,
    ),
    "umbrella": Species(
        artifacts.draw_umbrella,
        ("street", "beach"),
        _LIVELY,
        _ALL_TEXTURES,
        {"fabric": 1.0},
        airborne=True,
        tilt=0.25,
    ),
    "kite": Species(
        artifacts.draw_kite,
        ("meadow", "beach"),
        _LIVELY,
        _ALL_TEXTURES,
        {"fabric": 1.0},
        airborne=True,
        reach=1.08,
        tilt=0.25,
    ),
    "cup": Species(
        artifacts.draw_cup,
        ("room",),
        _LIVELY,
        _ALL_TEXTURES,
        {None: 0.5, "glass": 0.3, "metal": 0.2},
        {"glass": ("blue", "green", "purple", "pink"), "metal": _METALLIC},
        smooth=("glass", "metal"),
        reach=0.95,
        foot=0.82,
    ),
}
