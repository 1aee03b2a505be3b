"""Laws of scorers, on simulations of planted units that are right up to noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from le_bench.components import Scorer
from le_bench.running.checked import check_score
from le_bench.running.seeds import seed_everything
from le_bench.testing.laws.comparing import CLOSE, changed, scores_differ, snapshot, tensors_differ
from le_bench.testing.laws.components import torch_left_as_it_was
from le_bench.testing.laws.law import laws, not_applicable_if
from le_bench.testing.networks import small_losses, small_model
from le_bench.types import Ablations, Activations, Layer, Score, Simulation, Split

IN_PLACE = "scores with a target model, whose images and units stand in an order of their own"
LAYER = Layer("second")
NUM_IMAGES = 200
UNDEFINED = "this unit has no simulation"


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What a scorer is given: (N, U) of val and test, and losses if it asks for them."""

    simulated: Mapping[Split, Tensor]
    recorded: Mapping[Split, Tensor]
    ablations: Ablations | None = None
    undefined: Mapping[int, str] = field(default_factory=dict)

    def each(self, change: Callable[[Tensor], Tensor]) -> Judged:
        """The same change of simulated and real activations."""
        simulated = {split: change(values) for split, values in self.simulated.items()}
        recorded = {split: change(values) for split, values in self.recorded.items()}
        return replace(self, simulated=simulated, recorded=recorded)

    def instead(self, change: Callable[[Tensor], Tensor]) -> Judged:
        """Other simulations of the same activations."""
        return replace(self, simulated={s: change(v) for s, v in self.simulated.items()})


def judged(scorer: Scorer, num_images: int = NUM_IMAGES, num_units: int = 6) -> Judged:
    """Planted units: activations like those behind a ReLU, and simulations with noise on them.

    A scorer that asks for losses gets those of a small network, of 8 units and 30 images.
    """
    ablations, recorded = None, {}
    random = torch.Generator().manual_seed(0)
    options = scorer.ablation_options()
    if options is not None:
        losses = small_losses(small_model("cnn"), LAYER, options)
        ablations = losses
        recorded = {s: losses.judged[s].activations.float() for s in ("val", "test")}
    else:
        for split in ("val", "test"):
            recorded[split] = torch.randn(num_images, num_units, generator=random).clamp_min(-0.5)
    simulated = {
        split: values + 0.5 * values.std(correction=0) * torch.randn(values.shape, generator=random)
        for split, values in recorded.items()
    }
    return Judged(simulated, recorded, ablations)  # type: ignore[arg-type]  # names of splits


def scored(scorer: Scorer, given: Judged, seed: int = 0) -> Score:
    """The score, with the global generators at this seed, its shape and bounds checked."""
    seed_everything(seed)
    score = scorer.score(
        {s: Simulation(s, values, given.undefined) for s, values in given.simulated.items()},
        {s: Activations(LAYER, values) for s, values in given.recorded.items()},
        given.ablations,
    )
    _check(scorer, score, given.recorded["test"].shape[1])
    return score


def well_formed(scorer: Scorer) -> str:
    """One float64 number a unit within `bounds`; NaN has a reason."""
    scored(scorer, judged(scorer))
    return ""


def deterministic(scorer: Scorer) -> str:
    """The same input gives the same scores, wherever the global generators stand."""
    first, second = (scored(scorer, judged(scorer), seed) for seed in (0, 1))
    return scores_differ(first, second)


def inputs_untouched(scorer: Scorer) -> str:
    """Simulations and activations are, bit for bit, what they were before."""
    given = judged(scorer)

    def tensors() -> dict[str, Tensor | None]:
        named: dict[str, Tensor | None] = {}
        for split in ("val", "test"):
            named[f"the simulations on {split} images"] = given.simulated[split]
            named[f"the activations on {split} images"] = given.recorded[split]
        return named

    before = snapshot(tensors())
    scored(scorer, given)
    return changed(before, snapshot(tensors()))


def together_as_one_by_one(scorer: Scorer) -> str:
    """Units scored together or one by one, and in any order, have the same scores."""
    given = judged(scorer)
    not_applicable_if(given.ablations is not None, IN_PLACE)
    together = scored(scorer, given)
    size = len(together.values)
    for unit in range(size):
        alone = scored(scorer, given.each(lambda values, u=unit: values[:, [u]]))  # type: ignore[misc]
        words = tensors_differ(together.values[[unit]], alone.values, ("unit",), CLOSE)
        if words:
            return f"of unit {unit}, {words} when it was scored alone"
    back = scored(scorer, given.each(lambda values: values.flip(1))).values.flip(0)
    words = tensors_differ(together.values, back, ("unit",), CLOSE)
    return words and f"{words} when the units came in reverse"


def order_of_images(scorer: Scorer) -> str:
    """Images in another order give the same scores, unless the class sets `images_ordered`."""
    given = judged(scorer)
    not_applicable_if(given.ablations is not None, IN_PLACE)
    not_applicable_if(
        scorer.images_ordered, "the order of images matters, as the class declares by its flag"
    )
    words = scores_differ(scored(scorer, given), scored(scorer, given.each(_mixed)), CLOSE)
    return words and f"{words} when the images came in another order"


def scale_of_simulations(scorer: Scorer) -> str:
    """If the class sets `scale_free`, a simulation times 3 has the same score."""
    not_applicable_if(not scorer.scale_free, "the class does not declare `scale_free`")
    given = judged(scorer)
    thrice = scored(scorer, given.instead(lambda values: 3 * values))
    words = scores_differ(scored(scorer, given), thrice, CLOSE)
    return words and f"{words} when the simulation was multiplied by 3"


def truth_is_best(scorer: Scorer) -> str:
    """The real activations as simulation score better than the simulation of another unit."""
    given = judged(scorer)
    found = scored(scorer, replace(given, simulated=given.recorded))
    truth = found.values.nanmean()
    wrong = scored(scorer, given.instead(lambda values: values.roll(1, 1))).values.nanmean()
    reason = next(iter(found.undefined.values()), "")
    not_applicable_if(bool(truth.isnan()), f"no unit has a score on so few images: {reason}")
    if bool(truth > wrong if scorer.higher_is_better else truth < wrong):
        return ""
    return (
        f"the truth scores {float(truth):.4g}, other units' simulations {float(wrong):.4g}; is "
        "`higher_is_better` right?"
    )


def undefined_units(scorer: Scorer) -> str:
    """A unit without a simulation, or with NaN in its activations, has NaN and a reason."""
    given = judged(scorer)
    simulated = {split: values.clone() for split, values in given.simulated.items()}
    recorded = {split: values.clone() for split, values in given.recorded.items()}
    for values in simulated.values():
        values[:, 1] = torch.nan
    for values in recorded.values():
        values[3, 4] = torch.nan
    spoilt = replace(given, simulated=simulated, recorded=recorded, undefined={1: UNDEFINED})
    score = scored(scorer, spoilt)
    if score.undefined.get(1) != UNDEFINED:
        return f"the reason '{UNDEFINED}' of unit 1 became {score.undefined.get(1)!r}"
    if not bool(score.values[4].isnan()):
        return f"a unit with NaN on an image has the score {float(score.values[4]):.4g}"
    others = [unit for unit in range(len(score.values)) if unit not in (1, 4)]
    whole = scored(scorer, given).values[others]
    words = tensors_differ(whole, score.values[others], ("unit",), CLOSE)
    return words and f"of units {others}, {words} beside undefined ones"


def constant_units(scorer: Scorer) -> str:
    """Dead and constant units and simulations have a score or a reason, and harm no other."""
    given = judged(scorer)
    simulated = {split: values.clone() for split, values in given.simulated.items()}
    recorded = {split: values.clone() for split, values in given.recorded.items()}
    for values in simulated.values():
        values[:, 0] = 0.0
        values[:, 2] = 1.0
    for values in recorded.values():
        values[:, 0] = 0.0
        values[:, 5] = 2.0
    score = scored(scorer, replace(given, simulated=simulated, recorded=recorded))
    others = [unit for unit in range(len(score.values)) if unit not in (0, 2, 5)]
    whole = scored(scorer, given).values[others]
    words = tensors_differ(whole, score.values[others], ("unit",), CLOSE)
    return words and f"of units {others}, {words} beside constant ones"


def tiny_input(scorer: Scorer) -> str:
    """One unit on one image has a score or a reason."""
    given = judged(scorer, num_images=1, num_units=1)
    not_applicable_if(given.ablations is not None, IN_PLACE)
    scored(scorer, given)
    return ""


def large_input(scorer: Scorer) -> str:
    """Of 300 units on 4,000 images, the last has the score that it has alone."""
    given = judged(scorer, num_images=4000, num_units=300)
    not_applicable_if(given.ablations is not None, IN_PLACE)
    whole = scored(scorer, given).values[-1:]
    alone = scored(scorer, given.each(lambda values: values[:, -1:])).values
    return tensors_differ(whole, alone, ("unit",), CLOSE)


def _mixed(values: Tensor) -> Tensor:
    order = torch.randperm(len(values), generator=torch.Generator().manual_seed(1))
    return values[order]


def _check(scorer: Scorer, score: Score, num_units: int) -> None:
    values = score.values
    if tuple(values.shape) != (num_units,):
        raise ValueError(f"shape {tuple(values.shape)} is not (units,) = ({num_units},)")
    if values.dtype != torch.float64 or values.device.type != "cpu":
        raise ValueError(f"scores are {values.dtype} on {values.device}, not float64 on the CPU")
    check_score(score, num_units, scorer.name)
    least, greatest = scorer.bounds or (-torch.inf, torch.inf)
    found: Sequence[float] = values[~values.isnan()].tolist()
    for number in found:
        if not least - 1e-9 <= number <= greatest + 1e-9:
            raise ValueError(f"a score of {number:.6g} lies outside of bounds {scorer.bounds}")


LAWS = (
    *laws(
        well_formed,
        deterministic,
        inputs_untouched,
        together_as_one_by_one,
        order_of_images,
        scale_of_simulations,
        truth_is_best,
        undefined_units,
        constant_units,
        tiny_input,
        large_input,
    ),
    torch_left_as_it_was(well_formed),  # type: ignore[arg-type]  # of scorers
)
