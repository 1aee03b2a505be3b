"""Small synthetic worlds with planted answers, for tests of explainers, simulators and scorers.

A world is a probe dataset without pictures: what is present in each image is known, the units are
known sums of concepts plus noise, and an encoder "sees" exactly the planted presence. Nothing is
mocked: the evidence and the views are the very types that components get in a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from le_bench.testing.planted import PlantedEncoder, PlantedEncodings, PlantedMemory
from le_bench.types import SPLITS, Activations, Evidence, Layer, Presence, ProbeView, Split, require

__all__ = [
    "PlantedEncoder",
    "PlantedEncodings",
    "PlantedMemory",
    "Recipe",
    "World",
    "make_evidence",
    "make_probe_view",
    "plant",
]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a world is made of.

    `num_images` counts train, val and test. The concepts are `num_classes` classes, of which each
    image has exactly one ("class 0", ...), one superclass of the first two ("class 0 or 1"), and
    `num_attributes` attributes that come and go independently ("attribute 0", ...). Appended to
    them are concepts present everywhere ("constant 0", ...) and copies of the first concepts
    ("copy of class 0", ...); appending changes neither the other concepts nor the activations.
    Each unit is the sum of `terms_per_unit` concepts with weights 1, 0.8, 0.64, ... plus a bias of
    0.5 and normal noise of `noise` times its own deviation. Units of `dead_units` are 0
    everywhere and have no terms, units of `nan_units` have one NaN on a train image. `blur` is the
    noise on the logits of the presence that encoders see.
    """

    num_images: tuple[int, int, int] = (240, 80, 80)
    num_classes: int = 4
    num_attributes: int = 7
    num_units: int = 5
    terms_per_unit: int = 2
    noise: float = 0.3
    blur: float = 1.0
    constant_concepts: int = 0
    duplicate_concepts: int = 0
    dead_units: tuple[int, ...] = ()
    nan_units: tuple[int, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        require(min(self.num_images) >= 1, "each split of a world needs an image")
        require(self.num_classes >= 2, "a world needs two classes for its superclass")
        require(
            1 <= self.terms_per_unit <= self.num_classes + 1 + self.num_attributes,
            f"units of {self.terms_per_unit} terms need as many concepts",
        )


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """A planted probe dataset and layer.

    `presence` (N, C) is 0 or 1, `blurred` (N, C) what encoders see of it, `weights` (C, U) and
    `activations` (N, U) describe the units; `rows` are the images of each split, mixed.
    """

    concepts: tuple[str, ...]
    num_classes: int
    presence: Tensor
    blurred: Tensor
    weights: Tensor
    activations: Tensor
    rows: Mapping[Split, Tensor]
    encodings: PlantedEncodings
    encoders: tuple[PlantedEncoder, ...]
    layer: Layer

    def terms(self, unit: int) -> dict[str, float]:
        """The planted concepts of a unit with their weights."""
        weights = self.weights[:, unit]
        return {self.concepts[c]: float(weights[c]) for c in torch.nonzero(weights).flatten()}

    def view(self, split: Split) -> ProbeView:
        """What may be known about the images of one split: no activations."""
        rows = self.rows[split]
        known = self.num_classes + 1
        return ProbeView(
            split=split,
            rows=rows,
            encodings=self.encodings,
            labels=self.presence[rows, : self.num_classes].argmax(1),
            label_presence=Presence(self.concepts[:known], self.presence[rows, :known]),
            concept_presence=Presence(self.concepts, self.presence[rows]),
        )

    def split_activations(self, split: Split) -> Activations:
        """The activations of one split."""
        return Activations(self.layer, self.activations[self.rows[split]])

    def evidence(self, units: Sequence[int] | None = None, seed: int = 0) -> Evidence:
        """What an explainer sees, for all units or those listed, with a fresh memory."""
        chosen = range(self.activations.shape[1]) if units is None else units
        columns = torch.tensor(list(chosen), dtype=torch.long)
        return Evidence(
            layer=self.layer,
            train=self.view("train"),
            val=self.view("val"),
            train_activations=self.activations[self.rows["train"]][:, columns],
            val_activations=self.activations[self.rows["val"]][:, columns],
            vocabulary=self.concepts,
            memory=PlantedMemory(),
            seed=seed,
        )


def plant(recipe: Recipe = Recipe()) -> World:
    """The world of a recipe; the same recipe gives the same world.

    Two encoders, `PlantedEncoder("explainer")` and `PlantedEncoder("simulator")`, see the same
    presence with different blur; `World.blurred` is what the first one sees.

    >>> world = plant(Recipe(num_units=3))
    >>> sorted(world.terms(0).values(), reverse=True)
    [1.0, 0.800000011920929]
    >>> world.evidence().train_activations.shape
    torch.Size([240, 3])
    """
    random = torch.Generator().manual_seed(recipe.seed)
    presence, concepts = _draw_presence(recipe, random)
    weights = _draw_weights(recipe, presence.shape[1], random)
    activations = _draw_activations(recipe, presence, weights, random)
    noises = [torch.randn(presence.shape, generator=random) for _ in range(2)]
    order = torch.randperm(len(presence), generator=random)
    parts = torch.split(order, list(recipe.num_images))
    rows: dict[Split, Tensor] = dict(zip(SPLITS, parts, strict=True))
    for unit in recipe.nan_units:
        activations[rows["train"][0], unit] = float("nan")
    appended = [torch.ones(len(presence), recipe.constant_concepts)]
    appended.append(presence[:, : recipe.duplicate_concepts])
    names = [f"constant {i}" for i in range(recipe.constant_concepts)]
    names += [f"copy of {concepts[i]}" for i in range(recipe.duplicate_concepts)]
    seen = []
    for noise in noises:
        blurred = torch.sigmoid(6 * presence - 3 + recipe.blur * noise)
        copies = blurred[:, : recipe.duplicate_concepts]
        seen.append(torch.cat([blurred, 0.999 * appended[0], copies], 1))
    encoders = (PlantedEncoder("explainer"), PlantedEncoder("simulator"))
    concepts = (*concepts, *names)
    extra = torch.zeros(len(names), recipe.num_units)
    return World(
        concepts=concepts,
        num_classes=recipe.num_classes,
        presence=torch.cat([presence, *appended], 1),
        blurred=seen[0],
        weights=torch.cat([weights, extra]),
        activations=activations,
        rows=rows,
        encodings=PlantedEncodings(concepts, dict(zip(encoders, seen, strict=True))),
        encoders=encoders,
        layer=Layer("planted"),
    )


def make_evidence(recipe: Recipe = Recipe(), seed: int = 0) -> Evidence:
    """The evidence of a fresh world: train and val images with planted units.

    >>> make_evidence(Recipe(num_units=2, dead_units=(1,))).train_activations[:, 1].abs().max()
    tensor(0.)
    """
    return plant(recipe).evidence(seed=seed)


def make_probe_view(split: Split = "test", recipe: Recipe = Recipe()) -> ProbeView:
    """The view of one split of a fresh world: what a simulator sees.

    >>> make_probe_view("val").presence(PlantedEncoder("simulator"), ["class 0", "class 1"]).shape
    torch.Size([80, 2])
    """
    return plant(recipe).view(split)


def _draw_presence(recipe: Recipe, random: torch.Generator) -> tuple[Tensor, tuple[str, ...]]:
    num_images, classes = sum(recipe.num_images), recipe.num_classes
    labels = torch.randint(classes, (num_images,), generator=random)
    one_hot = torch.nn.functional.one_hot(labels, classes).float()
    share = torch.linspace(0.5, 0.1, recipe.num_attributes)
    attributes = torch.rand(num_images, recipe.num_attributes, generator=random) < share
    concepts = [f"class {i}" for i in range(classes)] + ["class 0 or 1"]
    concepts += [f"attribute {i}" for i in range(recipe.num_attributes)]
    superclass = one_hot[:, :2].sum(1, keepdim=True)
    return torch.cat([one_hot, superclass, attributes.float()], 1), tuple(concepts)


def _draw_weights(recipe: Recipe, num_concepts: int, random: torch.Generator) -> Tensor:
    weights = torch.zeros(num_concepts, recipe.num_units)
    for unit in range(recipe.num_units):
        chosen = torch.randperm(num_concepts, generator=random)[: recipe.terms_per_unit]
        weights[chosen, unit] = 0.8 ** torch.arange(float(recipe.terms_per_unit))
    weights[:, list(recipe.dead_units)] = 0.0
    return weights


def _draw_activations(
    recipe: Recipe, presence: Tensor, weights: Tensor, random: torch.Generator
) -> Tensor:
    clean = presence @ weights + 0.5
    deviation = clean.std(0, correction=0)
    activations = clean + recipe.noise * deviation * torch.randn(clean.shape, generator=random)
    activations[:, list(recipe.dead_units)] = 0.0
    return activations
