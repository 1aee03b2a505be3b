"""The two sanity checks of scorers, on planted units: missing labels, and extra labels.

Letters used for shapes: N images, U units. Each unit has its own concept; a scorer is asked for
the unit's score with the concept as it is, with labels taken away, and with labels added.

Source: Oikarinen et al., "Evaluating Neuron Explanations: A Unified Framework with Sanity Checks",
ICML 2025, in its theoretical version (*exact* units) and, in place of eight settings of real
networks, on units with planted noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from le_bench.boards.records import MadeWith
from le_bench.boards.scorers import ScorerCheck, Shares
from le_bench.components import Scorer
from le_bench.plugins import Plugins
from le_bench.running.provenance import made_with
from le_bench.types import Activations, Layer, Simulation, Split

EPSILON = 0.001  # a score falls if it falls by more than this share of the scorer's range
EXACT_IMAGES, NOISY_IMAGES, NUM_UNITS = 50_000, 20_000, 20
EXACT_FREQUENCIES = (0.499, 0.1, 0.01, 0.001, 0.0001)
NOISY_FREQUENCIES = (0.3, 0.1, 0.03, 0.01)
UNIT_SEPARATION, SIMULATOR_SEPARATION = 2.0, 4.0
RECIPE = (
    f"Exact units: {EXACT_IMAGES:,} images, {NUM_UNITS} draws of labels a frequency, of which each "
    "changes a label and leaves one. "
    f"Noisy units: {NOISY_IMAGES:,} images, {NUM_UNITS} units a frequency, activations "
    f"{UNIT_SEPARATION:g} deviations higher where the concept is present, presence the posterior "
    f"of an observation {SIMULATOR_SEPARATION:g} deviations higher there; a scorer's `alpha`, if "
    "it has one, is the frequency."
)


@dataclass(frozen=True, slots=True, eq=False)
class PlantedUnits:
    """Units with their own concepts at one frequency: all (N, U) float32.

    `presence` is the concept as it is, `missing` and `extra` as it is corrupted; `other` is that
    of other units or frequencies, to learn the range of scores.
    """

    world: str
    frequency: float
    activations: Tensor
    presence: Tensor
    missing: Tensor
    extra: Tensor
    other: Tensor


def plant_units() -> list[PlantedUnits]:
    """The units of both worlds, the same on every call; about 150 MB."""
    exact = [_exact(frequency, place) for place, frequency in enumerate(EXACT_FREQUENCIES)]
    others = torch.cat([units.activations[:, :1] for units in exact], 1)
    places = torch.arange(NUM_UNITS) % len(exact)
    exact = [replace(units, other=others[:, places]) for units in exact]
    return exact + [_noisy(frequency, place) for place, frequency in enumerate(NOISY_FREQUENCIES)]


def _exact(frequency: float, place: int) -> PlantedUnits:
    """Units that are 1 where their concept is present: in the first images, so concepts nest.

    The source draws labels for 500,000 images a thousand times; a tenth of the images and a
    fiftieth of the draws give the same verdicts in seconds. As the rarest concept is then in 5
    images, a draw that takes away no label, all labels, or adds none is mended by one label.
    """
    random = torch.Generator().manual_seed(place)
    present = torch.zeros(EXACT_IMAGES, NUM_UNITS)
    count = int(frequency * EXACT_IMAGES)
    present[:count] = 1.0
    missing, extra = _corrupted(present, random)
    missing[0, missing.sum(0) == count] = 0.0
    missing[count - 1, missing.sum(0) == 0] = 1.0
    extra[count, extra.sum(0) == count] = 1.0
    return PlantedUnits("exact", frequency, present, present, missing, extra, present)


def _noisy(frequency: float, place: int) -> PlantedUnits:
    """Units and presence that are two noisy views of a concept.

    Activations are normal, `UNIT_SEPARATION` deviations higher where the concept is present.
    Presence is P(concept | z) for such a z with `SIMULATOR_SEPARATION`: calibrated by design. So
    far apart, many active images lack the concept; units of separation 3 do so less, and then WPMI
    passes. The other verdicts are the same.
    """
    random = torch.Generator().manual_seed(1000 + place)
    shape = (NOISY_IMAGES, NUM_UNITS)
    ranks = torch.rand(shape, generator=random).argsort(0).argsort(0)
    present = (ranks < int(frequency * NOISY_IMAGES)).float()
    activations = UNIT_SEPARATION * present + torch.randn(shape, generator=random)
    apart = SIMULATOR_SEPARATION
    z = apart * (present - 0.5) + torch.randn(shape, generator=random)
    presence = torch.sigmoid(torch.logit(torch.tensor(frequency)) + apart * z)
    missing, extra = _corrupted(presence, random)
    return PlantedUnits(
        "noisy", frequency, activations, presence, missing, extra, presence.roll(1, dims=1)
    )


def _corrupted(presence: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Presence (N, U) with half of it gone, and with as much again added at random, cut at 1.

    As in the source, masks multiply or add to presence as it is, in any image.
    """
    kept = torch.rand(presence.shape, generator=random) > 0.5
    rate = presence.sum(0) / (len(presence) - presence.sum(0))
    added = torch.rand(presence.shape, generator=random) < rate
    return presence * kept, (presence + added).clamp_max(1.0)


def check_by_name(name: str, plugins: Plugins, planted: Sequence[PlantedUnits]) -> ScorerCheck:
    """The checks of a scorer with its default options, or why there can be none."""
    component = plugins.offer("scorer", name).component
    try:
        scorer = component()
    except TypeError:
        made = MadeWith(name, component.version, plugins.offer("scorer", name).distribution)
        return ScorerCheck(made, RECIPE, not_checked="it has options without a default")
    made = made_with(scorer, plugins)
    if not isinstance(scorer, Scorer) or scorer.ablation_options() is not None:
        return ScorerCheck(
            made, RECIPE, not_checked="it needs a target model; these units have none"
        )
    try:
        return ScorerCheck(made, RECIPE, check_scorer(scorer, planted))
    except Exception as error:  # a plugin's own fault, said on the board
        reason = f"{type(error).__name__}: {error}"
        return ScorerCheck(made, RECIPE, not_checked=reason)


def check_scorer(scorer: Scorer, planted: Sequence[PlantedUnits]) -> tuple[Shares, ...]:
    """For which share of planted units the scorer's score falls, by world and frequency.

    A scorer with an option `alpha` gets each noisy frequency as its alpha, as the source chooses
    it for each setting. The range is that of the scorer's `bounds`, or else of all scores in the
    same world, those with wrong concepts included. Scores for which less is better are turned
    round.
    """
    scores = [dict(_scores(scorer, units)) for units in planted]
    ranges = {
        world: _range(scorer, [s for u, s in zip(planted, scores, strict=True) if u.world == world])
        for world in dict.fromkeys(units.world for units in planted)
    }
    return tuple(
        _shares(units, own, ranges[units.world]) for units, own in zip(planted, scores, strict=True)
    )


def _range(scorer: Scorer, scores: Sequence[Mapping[str, Tensor]]) -> float:
    if scorer.bounds is not None:
        return scorer.bounds[1] - scorer.bounds[0]
    found = torch.cat([values for by_concept in scores for values in by_concept.values()])
    defined = found[~found.isnan()]
    spread = float(defined.max() - defined.min()) if len(defined) else 0.0
    return spread or 1.0


def _shares(units: PlantedUnits, scores: Mapping[str, Tensor], spread: float) -> Shares:
    before = scores["presence"]
    after = {kind: scores[kind] for kind in ("missing", "extra")}
    fallen = {kind: (values - before) / spread < -EPSILON for kind, values in after.items()}
    lost = before.isnan() | after["missing"].isnan() | after["extra"].isnan()
    return Shares(
        world=units.world,
        frequency=units.frequency,
        num_units=len(lost),
        score=None if bool(before.isnan().all()) else before.nanmean().item(),
        missing=float(fallen["missing"].double().mean()),
        extra=float(fallen["extra"].double().mean()),
        undefined=int(lost.sum()),
    )


def _scores(scorer: Scorer, units: PlantedUnits) -> Iterator[tuple[str, Tensor]]:
    """Scores (U,) by the concept they are for, higher for better."""
    own = scorer
    if units.world == "noisy" and any(option.name == "alpha" for option in fields(scorer)):
        option: dict[str, Any] = {"alpha": units.frequency}
        own = replace(scorer, **option)
    sign = 1.0 if scorer.higher_is_better else -1.0
    layer = Layer("planted")
    activations: dict[Split, Activations] = {
        split: Activations(layer, units.activations) for split in ("val", "test")
    }
    kinds = ["presence", "missing", "extra"]
    if scorer.bounds is None:
        kinds.append("other")
    for kind in kinds:
        simulations: dict[Split, Simulation] = {
            split: Simulation(split, getattr(units, kind)) for split in ("val", "test")
        }
        yield kind, sign * own.score(simulations, activations, None).values
