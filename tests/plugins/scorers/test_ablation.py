"""Ablation scoring: hooks and whole passes, scipy, and torch's own Adam as oracles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn import functional as F

from le_bench.running.losses import LayerLosses
from le_bench.testing.networks import small_losses, small_model, small_pictures
from le_bench.types import AblationOptions, Activations, Layer, Score, Simulation
from le_bench_plugins.scorers.ablation.fitting import adam, least_squares
from le_bench_plugins.scorers.ablation.scorer import AblationScorer, _reach

TEMPERATURE = 1.3
Kind = Literal["cnn", "vit"]
PLACES: list[tuple[Kind, Layer]] = [
    ("cnn", Layer("first")),
    ("cnn", Layer("second")),
    ("cnn", Layer("second", "max")),
    ("vit", Layer("blocks.0")),
    ("vit", Layer("blocks.1.act", "first")),
    ("vit", Layer("norm", "first")),
]
HEADS = [PLACES[1], PLACES[5]]


def simulate(losses: LayerLosses, noise: float = 0.5, scale: float = 2.0) -> dict[str, Tensor]:
    """Simulations that are related to the activations, on a scale of their own."""
    generator = torch.Generator().manual_seed(3)
    return {
        split: scale * each.activations
        + 0.3
        + noise * torch.randn(each.activations.shape, generator=generator)
        for split, each in losses.judged.items()
    }


def score(
    scorer: AblationScorer,
    losses: LayerLosses,
    simulated: dict[str, Tensor],
    undefined: dict[int, str] | None = None,
) -> Score:
    """Score a simulation of a layer."""
    return scorer.score(
        {s: Simulation(s, simulated[s], undefined or {}) for s in ("val", "test")},
        {s: Activations(losses.layer, losses.judged[s].activations) for s in ("val", "test")},
        losses,
    )


def slow_sums(
    kind: Kind, losses: LayerLosses, split: Literal["val", "test"], unit: int
) -> Callable[[Tensor], float]:
    """Summed loss changes of a unit replaced by values (n,): a hook and a whole pass each time."""
    model, layer = small_model(kind), losses.layer
    images, labels = small_pictures()
    rows = losses.judged[split].rows
    batch, own = model.preprocess(images.read(rows.tolist())), labels[rows]

    def total(values: Tensor) -> float:
        def replace(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
            output = output.clone()
            if output.ndim == 4:
                output[:, unit] = values.double()[:, None, None]
            elif layer.pooling == "first":
                output[:, 0, unit] = values.double()
            else:
                output[:, :, unit] = values.double()[:, None]
            return output

        def loss() -> Tensor:
            with torch.no_grad():
                logits = model.module(batch).double()
            return F.cross_entropy(logits / TEMPERATURE, own, reduction="none")

        before = loss()
        handle = model.module.get_submodule(layer.path).register_forward_hook(replace)
        after = loss()
        handle.remove()
        return float((after - before).abs().sum())

    return total


@pytest.mark.parametrize(("kind", "layer"), PLACES)
def test_norm_equals_hooks_and_whole_passes(kind: Kind, layer: Layer) -> None:
    """alpha of least squares fits, by numpy, hooks and whole passes, to 1e-5."""
    losses = small_losses(small_model(kind), layer)
    simulated = simulate(losses)

    result = score(AblationScorer(mode="norm", exact=True), losses, simulated)

    for unit in range(len(result.values)):
        a, s = (
            x[:, unit].double().numpy()
            for x in (losses.judged["val"].activations, simulated["val"])
        )
        c, d = np.polyfit(s, a, 1)
        total = slow_sums(kind, losses, "test", unit)
        mean = torch.full((30,), float(a.mean()))
        right = 1 - total(c * simulated["test"][:, unit] + d) / total(mean)
        assert float(result.values[unit]) == pytest.approx(right, abs=1e-5)


def test_moments_of_the_test_images_as_the_code_takes_them() -> None:
    """Simulations standardised by test statistics, ddof 1 as torch does."""
    losses = small_losses(small_model("cnn"), Layer("second"))
    simulated = simulate(losses)

    result = score(AblationScorer(mode="norm", moments="test"), losses, simulated)

    a, s, t = losses.judged["val"].activations, simulated["val"], simulated["test"]
    for unit in range(a.shape[1]):
        rho = torch.corrcoef(torch.stack([a[:, unit], s[:, unit]]))[0, 1]
        standard = (t[:, unit] - t[:, unit].mean()) / t[:, unit].std()
        total = slow_sums("cnn", losses, "test", unit)
        replaced = standard * a[:, unit].std() * rho + a[:, unit].mean()
        right = 1 - total(replaced) / total(a[:, unit].mean().expand(30))
        assert float(result.values[unit]) == pytest.approx(right, abs=1e-5)


@pytest.mark.parametrize(("kind", "layer"), PLACES)
def test_curves_are_close_to_exact_losses(kind: Kind, layer: Layer) -> None:
    """Head layers to 1e-5; behind kinks, with 12 nodes, to 0.02 in alpha."""
    losses = small_losses(small_model(kind), layer, AblationOptions(TEMPERATURE, nodes=12))
    simulated = simulate(losses)

    exact, curved = (
        score(AblationScorer(mode="norm", exact=e), losses, simulated).values for e in (True, False)
    )

    limit = 1e-5 if losses.head_weights is not None else 0.02
    assert float((exact - curved).abs().max()) < limit


@pytest.mark.parametrize(("kind", "layer"), PLACES)
def test_changes_of_chosen_values_are_those_of_all(kind: Kind, layer: Layer) -> None:
    """What lies beyond the curves is run by itself, in small batches."""
    losses = small_losses(small_model(kind), layer, AblationOptions(TEMPERATURE, runs=7))
    values = simulate(losses)["test"].double()
    units = slice(1, values.shape[1])
    where = torch.rand(values[:, units].shape, generator=torch.Generator().manual_seed(0)) < 0.3

    every = losses.changes("test", units, values[:, units])
    some = losses.changes_at("test", units, values[:, units], where)

    torch.testing.assert_close(some, every[where], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("kind", "layer"), HEADS)
def test_real_activations_score_one(kind: Kind, layer: Layer) -> None:
    """Before a linear head the pooled activation is all that the network reads of a unit."""
    losses = small_losses(small_model(kind), layer)
    real = {split: each.activations for split, each in losses.judged.items()}

    for mode in ("optim", "norm"):
        result = score(AblationScorer(mode=mode, exact=True), losses, real)

        assert result.values.tolist() == pytest.approx([1.0] * len(result.values), abs=1e-5)


@pytest.mark.parametrize(("kind", "layer"), PLACES)
def test_unrelated_simulation_in_norm_scores_zero(kind: Kind, layer: Layer) -> None:
    """With correlation 0 on val the unit is replaced by its mean, which is the baseline."""
    losses = small_losses(small_model(kind), layer)
    simulated = simulate(losses)
    own = losses.judged["val"].activations
    centred = own - own.mean(0)
    s = simulated["val"] - simulated["val"].mean(0)
    simulated["val"] = s - centred * ((s * centred).sum(0) / (centred**2).sum(0).clamp_min(1e-12))

    result = score(AblationScorer(mode="norm", exact=True), losses, simulated)

    assert result.values.tolist() == pytest.approx([0.0] * len(result.values), abs=1e-4)


@pytest.mark.parametrize("scale", [0.05, 1.0, 40.0])
@pytest.mark.parametrize(("kind", "layer"), PLACES)
def test_search_is_never_above_adam_and_scipy_finds_nothing_better(
    kind: Kind, layer: Layer, scale: float
) -> None:
    """On the val objective, for simulations of any scale."""
    losses = small_losses(small_model(kind), layer, AblationOptions(TEMPERATURE, nodes=8))
    simulated = simulate(losses, scale=scale, noise=0.4 * scale)
    own, s = losses.judged["val"].activations.double(), simulated["val"].double()
    units = slice(0, own.shape[1])
    curves = losses.curves("val", units, *_reach(s, *least_squares(own, s), own))

    def objective(c: Tensor, d: Tensor) -> Tensor:
        return curves.at(c * s + d).abs().sum(0)

    block = {s: (losses.judged[s].activations, simulated[s]) for s in ("val", "test")}
    values = AblationScorer()._values(losses, units, block)
    test = simulated["test"].double()
    c = (values[0] - values[1]) / (test[0] - test[1])
    ours = objective(c, values[0] - c * test[0])

    assert bool((ours <= objective(*adam(curves, s)) * (1 + 1e-6) + 1e-6).all())
    fitted = least_squares(own, s)
    for unit in range(own.shape[1]):

        def one(x: np.ndarray, unit: int = unit) -> float:
            given = torch.full((2, own.shape[1]), 0.0, dtype=torch.float64)
            given[:, unit] = torch.from_numpy(x)
            return float(objective(given[0], given[1])[unit])

        start = [float(fitted[0][unit]), float(fitted[1][unit])]
        found = minimize(one, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-6})
        assert float(ours[unit]) <= found.fun * 1.01 + 1e-4


@pytest.mark.parametrize(("kind", "layer"), HEADS)
def test_adam_equals_torch(kind: Kind, layer: Layer) -> None:
    """The authors' 100 steps by autograd through the head, one unit at a time."""
    losses = small_losses(small_model(kind), layer)
    simulated = simulate(losses)["val"]
    judged = losses.judged["val"]
    assert losses.head_weights is not None
    units = slice(0, simulated.shape[1])
    wide = torch.full((simulated.shape[1],), 20.0)

    c, d = adam(losses.curves("val", units, -wide, wide), simulated)

    before = F.cross_entropy(judged.scaled, judged.labels, reduction="none")
    for unit in range(simulated.shape[1]):
        parameters = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (1.0, 0.0)]
        optimiser = torch.optim.Adam(parameters, lr=1e-2)
        direction = losses.head_weights[unit].double() / TEMPERATURE
        for _ in range(100):
            optimiser.zero_grad()
            step = parameters[0] * simulated[:, unit].double() + parameters[1]
            step = step - judged.activations[:, unit].double()
            logits = judged.scaled + step[:, None] * direction
            after = F.cross_entropy(logits, judged.labels, reduction="none")
            (after - before).abs().sum().backward()
            optimiser.step()
        assert float(c[unit]) == pytest.approx(float(parameters[0].detach()), abs=1e-3)
        assert float(d[unit]) == pytest.approx(float(parameters[1].detach()), abs=1e-3)
        assert 0 <= float(c[unit]) <= 2


def test_each_undefined_score_has_its_reason() -> None:
    """A dead unit, NaN, a constant simulation, no simulation; the others keep their scores."""
    losses = small_losses(small_model("cnn"), Layer("second"))
    simulated = simulate(losses)
    expected = score(AblationScorer(mode="norm"), losses, simulated).values
    losses.tables.clear()  # made of the activations that change now
    for each in losses.judged.values():
        each.activations[:, 0] = 0.0
        each.activations[2, 1] = torch.nan
        simulated["val"][2, 2] = torch.inf
        simulated["val"][:, 3] = 0.25

    norm = score(AblationScorer(mode="norm"), losses, simulated, {4: "no terms"})
    optim = score(AblationScorer(), losses, simulated, {4: "no terms"})

    shared = {
        0: "replacing the unit by its mean changes no loss",
        1: "the activations contain NaN or infinity",
        2: "the simulation contains NaN or infinity",
        4: "no terms",
    }
    assert optim.undefined == shared
    assert norm.undefined == {**shared, 3: "the simulation is constant on the val images"}
    assert norm.values[5:].tolist() == pytest.approx(expected[5:].tolist(), abs=1e-9)


def test_dead_unit_of_an_inner_layer_is_undefined() -> None:
    """Its mean changes logits by rounding at most, which must not become a score."""
    model = small_model("cnn")
    with torch.no_grad():
        model.module.first[1].weight[2] = 0.0
        model.module.first[1].bias[2] = -1.0
    losses = small_losses(model, Layer("first"))

    result = score(AblationScorer(mode="norm"), losses, simulate(losses))

    assert result.undefined[2] == "replacing the unit by its mean changes no loss"


def test_blocks_of_units_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units together or one by one give the same scores."""
    losses = small_losses(small_model("cnn"), Layer("second"))
    simulated = simulate(losses)
    together = score(AblationScorer(), losses, simulated).values
    monkeypatch.setattr(LayerLosses, "block", property(lambda _: 1))

    apart = score(AblationScorer(), losses, simulated).values

    assert together.tolist() == pytest.approx(apart.tolist(), abs=1e-2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"moments": "test"}, 'moments = "test" needs mode = "norm"'),
        (
            {"mode": "norm", "optimiser": "adam-100"},
            'optimiser needs mode = "optim"; norm has nothing to optimise',
        ),
        ({"temperature": 0.0}, "temperature must be above 0, not 0.0"),
        ({"nodes": 3}, "nodes must be at least 4, not 3"),
        ({"images": 0}, "images must be at least 1, not 0"),
        ({"runs": 0}, "runs must be at least 1, not 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    """When the experiment is read, not after an hour."""
    with pytest.raises(ValueError, match=message):
        AblationScorer(**options)  # type: ignore[arg-type]  # wrong on purpose
