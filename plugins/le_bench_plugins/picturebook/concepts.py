"""The words of the Picturebook world: classes, superclasses, scenes and pixel-mask concepts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Concept:
    """A word together with its category: one of `CATEGORIES` or "superclass"."""

    name: str
    category: str


_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "animal": ("fish", "bird", "cat", "butterfly", "ladybug"),
    "plant": ("tree", "pine", "flower", "cactus", "mushroom"),
    "vehicle": ("car", "truck", "boat", "airplane", "rocket", "balloon"),
    "building": ("house", "castle", "lighthouse", "tent"),
    "artifact": ("ball", "umbrella", "kite", "cup"),
}

SUPERCLASSES: tuple[str, ...] = tuple(_MEMBERS)
CLASSES: tuple[str, ...] = tuple(name for members in _MEMBERS.values() for name in members)
SUPERCLASS_OF: Mapping[str, str] = {
    name: superclass for superclass, members in _MEMBERS.items() for name in members
}

SCENES: tuple[str, ...] = (
    "meadow",
    "forest",
    "beach",
    "ocean",
    "underwater",
    "desert",
    "snowfield",
    "night",
    "street",
    "room",
)
COLORS: tuple[str, ...] = (
    "black",
    "white",
    "grey",
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
)
STUFF: tuple[str, ...] = (
    "sky",
    "grass",
    "water",
    "sand",
    "snow",
    "road",
    "mountain",
    "sun",
    "moon",
    "cloud",
    "wall",
    "floor",
)
MATERIALS: tuple[str, ...] = (
    "wood",
    "metal",
    "brick",
    "stone",
    "glass",
    "fabric",
    "foliage",
    "fur",
    "feathers",
)
TEXTURES: tuple[str, ...] = ("striped", "dotted", "checkered", "zigzagged", "wavy")

CLASS_PARTS: Mapping[str, tuple[str, ...]] = {
    "fish": ("eye", "tail", "fin"),
    "bird": ("head", "eye", "beak", "wing", "tail", "leg"),
    "cat": ("head", "eye", "ear", "nose", "tail", "leg"),
    "butterfly": ("wing", "antenna", "head"),
    "ladybug": ("head", "eye", "antenna", "leg"),
    "tree": ("trunk", "crown"),
    "pine": ("trunk", "crown"),
    "flower": ("petal", "stem", "leaf"),
    "cactus": ("petal",),
    "mushroom": ("cap", "stem"),
    "car": ("wheel", "window", "headlight"),
    "truck": ("wheel", "window", "headlight"),
    "boat": ("sail", "hull", "mast", "flag"),
    "airplane": ("wing", "tail", "window", "nose"),
    "rocket": ("nose", "fin", "window", "flame"),
    "balloon": ("basket", "string", "flame"),
    "house": ("roof", "door", "window", "chimney"),
    "castle": ("battlement", "door", "window", "flag"),
    "lighthouse": ("lamp", "roof", "door", "window"),
    "tent": ("door", "flag"),
    "ball": (),
    "umbrella": ("canopy", "handle"),
    "kite": ("tail", "string"),
    "cup": ("handle",),
}
PARTS: tuple[str, ...] = tuple(
    dict.fromkeys(part for parts in CLASS_PARTS.values() for part in parts)
)

CATEGORIES: tuple[str, ...] = ("color", "object", "part", "material", "scene", "texture")
CATEGORY_CONCEPTS: Mapping[str, tuple[str, ...]] = {
    "color": COLORS,
    "object": CLASSES + STUFF,
    "part": PARTS,
    "material": MATERIALS,
    "scene": SCENES,
    "texture": TEXTURES,
}
CONCEPTS: tuple[Concept, ...] = tuple(
    Concept(name, category) for category in CATEGORIES for name in CATEGORY_CONCEPTS[category]
) + tuple(Concept(name, "superclass") for name in SUPERCLASSES)

CONCEPT_IDS: Mapping[str, int] = {
    name: number
    for category in CATEGORIES
    for number, name in enumerate(CATEGORY_CONCEPTS[category], start=1)
}
"""The value that stands for a concept in its category's id map, in [1, 255]."""
