"""Ablation scoring in both modes of the paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from le_bench import hookimpl
from le_bench.components import Scorer
from le_bench.formulas.correlation import constant_columns, finite_columns
from le_bench.types import (
    AblationOptions,
    Ablations,
    Activations,
    Score,
    Simulation,
    Split,
    require,
)
from le_bench_plugins.scorers.ablation.fitting import adam, least_squares, simplex_search


@dataclass(frozen=True)
class AblationScorer(Scorer):
    """How much of the loss change from a unit's mean ablation its simulation undoes, for each unit.

    alpha = 1 - sum |L(f_{k<-cs+d}) - L(f)| / sum |L(f_{k<-mean}) - L(f)| over the test images: 1 if
    replacing the unit by its scaled simulation changes no loss, 0 if it is no better than the
    unit's mean on the val images, below 0 if worse. L is the cross-entropy of the target model's
    logits divided by a temperature, fitted on the val images unless `temperature` is given. A
    unit's whole map is set to the one number that the simulation gives, as it predicts the pooled
    activation; f is the unchanged network, so behind a layer whose map matters even the true
    activations, pooled, do not reach 1.

    `optim` chooses c and d by the val images' summed changes: a search from the least squares fit,
    the mean, c = 1 with d = 0 and where the authors' Adam ends, so that it is never above any of
    these; or `optimiser = "adam-100"`, the authors' 100 steps alone, which reach c in [0, 2] and d
    in [-1, 1] only and so favour explanations that come with a scale. `norm` takes the least
    squares fit on the val images; with `moments = "test"` simulations are standardised with mean
    and deviation of the test images (ddof 1), as the authors' code does.

    Losses come from curves (see `AblationOptions`) wherever those interpolate and else, or with
    `exact`, from the network. `images` limits the val and test images that are run; least squares
    and the mean take all val images. At most `runs` images go through the network at a time.

    Undefined, with the reason, for a unit without a simulation, one whose replacement by its mean
    changes no loss, NaN in activations or simulation, and in `norm` for a constant simulation.
    Raises NotApplicableError, when made ready, without labels or for a model that is no classifier.

    Source: "Linear Explanations for Individual Neurons", section 4 and appendix B.5.
    """

    name: ClassVar[str] = "ablation"
    version: ClassVar[int] = 3
    reference: ClassVar[str] = (
        'Oikarinen and Weng, "Linear Explanations for Individual Neurons", ICML 2024, section 4'
    )

    mode: Literal["optim", "norm"] = "optim"
    optimiser: Literal["simplex", "adam-100"] = "simplex"
    moments: Literal["val", "test"] = "val"
    temperature: float | None = None
    images: int | None = None
    nodes: int = 6
    exact: bool = False
    runs: int = 256

    def __post_init__(self) -> None:
        require(
            self.mode == "norm" or self.moments == "val", 'moments = "test" needs mode = "norm"'
        )
        require(
            self.mode == "optim" or self.optimiser == "simplex",
            'optimiser needs mode = "optim"; norm has nothing to optimise',
        )
        self.ablation_options()

    def ablation_options(self) -> AblationOptions:
        """What the core prepares once a layer."""
        return AblationOptions(self.temperature, self.images, self.nodes, self.runs)

    def score(
        self,
        simulations: Mapping[Split, Simulation],
        activations: Mapping[Split, Activations],
        ablations: Ablations | None,
    ) -> Score:
        """alpha of each unit on the test split, (U,)."""
        if ablations is None:
            raise TypeError("ablation scoring needs the target model's losses")
        own = {split: activations[split].values for split in activations}
        simulated = {split: simulations[split].values for split in simulations}
        reasons = {**simulations["val"].undefined, **simulations["test"].undefined}
        _note(reasons, self._undefined(own, simulated))
        num_units = own["test"].shape[1]
        values = torch.full((num_units,), torch.nan, dtype=torch.float64)
        usable = torch.ones(num_units, dtype=torch.bool)
        usable[list(reasons)] = False
        idle = torch.zeros(num_units, dtype=torch.bool)
        for start in range(0, num_units, ablations.block):
            units = slice(start, min(start + ablations.block, num_units))
            if not bool(usable[units].any()):
                continue
            # units without a usable simulation go along with their activations: no NaN spreads
            fine = usable[units]
            block = {
                split: (
                    torch.where(fine, own[split][:, units], 0.0),
                    torch.where(fine, simulated[split][:, units], 0.0),
                )
                for split in own
            }
            values[units], idle[units] = self._alpha(ablations, units, block, fine)
        _note(reasons, [(idle & usable, "replacing the unit by its mean changes no loss")])
        values[list(reasons)] = torch.nan
        lost = values.isnan()
        lost[list(reasons)] = False
        _note(reasons, [(lost, "the score is no number")])
        return Score(values, dict(sorted(reasons.items())))

    def _undefined(
        self, own: Mapping[Split, Tensor], simulated: Mapping[Split, Tensor]
    ) -> list[tuple[Tensor, str]]:
        """Which units have no score and why; the first reason that holds is a unit's reason."""
        found = []
        for split, values in own.items():
            found += [(~finite_columns(values), "the activations contain NaN or infinity")]
            found += [
                (~finite_columns(simulated[split]), "the simulation contains NaN or infinity")
            ]
        if self.mode == "norm":
            given = simulated[self.moments]
            reason = f"the simulation is constant on the {self.moments} images"
            found += [(constant_columns(given), reason)]
            if self.moments == "test":
                given = simulated["val"]
                found += [(constant_columns(given), "the simulation is constant on the val images")]
        return found

    def _alpha(
        self,
        ablations: Ablations,
        units: slice,
        block: Mapping[Split, tuple[Tensor, Tensor]],
        fine: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """alpha (u,) of some units, and which of them their mean does not change.

        Those that are not `fine` are given their mean.
        """
        places = ablations.rows["test"]
        mean = block["val"][0].double().mean(0).expand(len(places), -1)
        values = torch.where(fine, self._values(ablations, units, block)[places], mean)
        both = torch.cat([values, mean])
        low, high = both.amin(0), both.amax(0)
        if self.exact:
            changes = [ablations.changes("test", units, given) for given in (values, mean)]
        else:
            curves = ablations.curves("test", units, low, high)
            changes = [
                _filled(ablations, units, given, curves.at(given), curves.holds(given))
                for given in (values, mean)
            ]
        simulated_sum, mean_sum = (each.abs().sum(0) for each in changes)
        idle = mean_sum <= ablations.noise * len(places)
        return 1 - simulated_sum / mean_sum, idle

    def _values(
        self, ablations: Ablations, units: slice, block: Mapping[Split, tuple[Tensor, Tensor]]
    ) -> Tensor:
        """c s + d (N_test, u) float64 by which test activations are replaced."""
        activations, simulated = block["val"]
        test = block["test"][1].double()
        c, d = least_squares(activations, simulated)
        if self.mode == "norm":
            if self.moments == "val":
                return c * test + d
            scale = c * simulated.double().std(0, correction=0)  # rho sigma(A)
            bessel = (len(activations) / max(1, len(activations) - 1)) ** 0.5
            standard = (test - test.mean(0)) / test.std(0)
            moved: Tensor = standard * (scale * bessel) + activations.double().mean(0)
            return moved
        places = ablations.rows["val"]
        own = activations.double()
        s = simulated[places].double()
        c, d = c.nan_to_num(0.0), torch.where(c.isnan(), own.mean(0), d)
        low, high = _reach(s, c, d, own)
        curves = ablations.curves("val", units, low, high)
        ended = adam(curves, s)
        if self.optimiser == "adam-100":
            c, d = ended
        else:
            one = (torch.ones_like(c), torch.zeros_like(d))
            flat = (torch.zeros_like(c), own.mean(0))
            scale = own.std(0, correction=0).clamp_min(1e-6)
            c, d = simplex_search(curves, s, [(c, d), flat, one, ended], scale)
        return c * test + d


def _reach(s: Tensor, c: Tensor, d: Tensor, activations: Tensor) -> tuple[Tensor, Tensor]:
    """The values (u,) that a search may try: those of Adam, of least squares, of the unit."""
    fitted = c * s + d
    all_values = torch.cat([2.1 * s - 1.05, 2.1 * s + 1.05, fitted, activations])
    low, high = all_values.aminmax(dim=0)
    return torch.minimum(low, low.new_tensor(-1.05)), torch.maximum(high, high.new_tensor(1.05))


def _filled(
    ablations: Ablations, units: slice, values: Tensor, changes: Tensor, held: Tensor
) -> Tensor:
    """Changes on the test images, where curves do not hold from the network itself."""
    if not bool(held.all()):
        changes[~held] = ablations.changes_at("test", units, values, ~held)
    return changes


def _note(reasons: dict[int, str], found: Iterable[tuple[Tensor, str]]) -> None:
    """Add the reason of each unit that has none yet."""
    for undefined, reason in found:
        for unit in undefined.nonzero().flatten().tolist():
            reasons.setdefault(unit, reason)


@hookimpl
def le_bench_scorers() -> Iterable[type[Scorer]]:
    """Offer ablation scoring."""
    return [AblationScorer]
