"""The family of scorers: scikit-learn, scipy or a slow obvious version as oracle, ties included."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, nan

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics
from torch import Tensor

from le_bench.plugins import HOME, Plugins
from le_bench.types import Activations, Layer, Score, Simulation
from le_bench_plugins.scorers.measures.magnitudes import (
    CosineScorer,
    MeanActivationDifferenceScorer,
    WPMIScorer,
)
from le_bench_plugins.scorers.measures.orders import (
    AUPRCScorer,
    AUROCScorer,
    InverseAUPRCScorer,
    InverseAUROCScorer,
    SpearmanScorer,
)
from le_bench_plugins.scorers.measures.overlap import (
    AccuracyScorer,
    BalancedAccuracyScorer,
    F1Scorer,
    InverseBalancedAccuracyScorer,
    IoUScorer,
    PrecisionScorer,
    RecallScorer,
)
from le_bench_plugins.scorers.measures.scoring import UnitScorer
from le_bench_plugins.scorers.measures.sets import active, claimed
from le_bench_plugins.scorers.measures.top_and_random import TopAndRandomScorer

Values = np.ndarray
ALPHA = 0.1


def draw(images: int = 120, units: int = 6) -> tuple[Tensor, Tensor]:
    """Activations after a ReLU and presences that are related to them, both with many ties."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(images, units, generator=random)
    noise = torch.randn(images, units, generator=random)
    activations = (logits.relu() * 4).round() / 4
    presence = (torch.sigmoid(2 * (logits + noise)) * 20).round() / 20
    return activations, presence


def score(scorer: UnitScorer, activations: Tensor, simulated: Tensor) -> Score:
    """Score on the test split; the val split holds rubbish, which must not matter."""
    rubbish = torch.full_like(activations, 7.0)
    return scorer.score(
        {"val": Simulation("val", rubbish, {}), "test": Simulation("test", simulated, {})},
        {"val": Activations(Layer("x"), rubbish), "test": Activations(Layer("x"), activations)},
        None,
    )


def top(a: Values) -> Values:
    """A slow version of the active images."""
    cutoff = sorted(a, reverse=True)[ceil(ALPHA * len(a)) - 1]
    return np.array([value >= cutoff if cutoff > min(a) else value > min(a) for value in a])


def half(s: Values) -> Values:
    """A slow version of the claimed images."""
    return np.array([value >= (min(s) + max(s)) / 2 for value in s])


def slow_wpmi(a: Values, s: Values) -> float:
    logs = [np.log(max(value, 1e-8)) for value, on in zip(s, top(a), strict=True) if on]
    return float(np.mean(logs) - 0.5 * np.log(np.mean(s)))


ORACLES: list[tuple[UnitScorer, Callable[[Values, Values], float]]] = [
    (SpearmanScorer(), lambda a, s: stats.spearmanr(a, s).statistic),
    (AUROCScorer(alpha=ALPHA), lambda a, s: metrics.roc_auc_score(top(a), s)),
    (InverseAUROCScorer(), lambda a, s: metrics.roc_auc_score(half(s), a)),
    (AUPRCScorer(alpha=ALPHA), lambda a, s: metrics.average_precision_score(top(a), s)),
    (InverseAUPRCScorer(), lambda a, s: metrics.average_precision_score(half(s), a)),
    (RecallScorer(alpha=ALPHA), lambda a, s: metrics.recall_score(top(a), half(s))),
    (PrecisionScorer(alpha=ALPHA), lambda a, s: metrics.precision_score(top(a), half(s))),
    (F1Scorer(alpha=ALPHA), lambda a, s: metrics.f1_score(top(a), half(s))),
    (IoUScorer(alpha=ALPHA), lambda a, s: metrics.jaccard_score(top(a), half(s))),
    (AccuracyScorer(alpha=ALPHA), lambda a, s: metrics.accuracy_score(top(a), half(s))),
    (
        BalancedAccuracyScorer(alpha=ALPHA),
        lambda a, s: metrics.balanced_accuracy_score(top(a), half(s)),
    ),
    (
        InverseBalancedAccuracyScorer(alpha=ALPHA),
        lambda a, s: metrics.balanced_accuracy_score(half(s), top(a)),
    ),
    (CosineScorer(), lambda a, s: metrics.pairwise.cosine_similarity(a[None], s[None])[0, 0]),
    (MeanActivationDifferenceScorer(), lambda a, s: a[half(s)].mean() - a[~half(s)].mean()),
    (WPMIScorer(alpha=ALPHA, weight=0.5), slow_wpmi),
]
EVERY = [scorer for scorer, _ in ORACLES] + [TopAndRandomScorer(top=10, random=10)]


def names(scorer: object) -> str:
    return getattr(scorer, "name", "")


@pytest.mark.parametrize(("scorer", "oracle"), ORACLES, ids=names)
def test_scores_equal_the_oracle_with_ties(
    scorer: UnitScorer, oracle: Callable[[Values, Values], float]
) -> None:
    """Each unit's score is the oracle's to 1e-6, computed on float64 columns one by one."""
    activations, presence = draw()

    result = score(scorer, activations, presence)

    columns = zip(activations.double().T.numpy(), presence.double().T.numpy(), strict=True)
    assert result.undefined == {}
    assert result.values.tolist() == pytest.approx([oracle(a, s) for a, s in columns], abs=1e-6)


def test_top_and_random_correlates_the_images_drawn() -> None:
    """The score is scipy's over the top images and those drawn, found by hand from the seed."""
    activations = torch.randn(200, 3, generator=torch.Generator().manual_seed(1))
    simulated = activations + torch.randn(200, 3, generator=torch.Generator().manual_seed(2))

    result = score(TopAndRandomScorer(top=20, random=30, seed=4), activations, simulated)

    draws = torch.Generator().manual_seed(4)
    for size in (200, 20):  # the order of ties, then the places among the top
        torch.randperm(size, generator=draws)
    anywhere = torch.randperm(200, generator=draws)[:30].tolist()
    for unit in range(3):
        best = sorted(range(200), key=lambda row, unit=unit: -activations[row, unit])[:20]
        rows = [*best, *anywhere]
        expected = stats.pearsonr(activations[rows, unit], simulated[rows, unit]).statistic
        assert float(result.values[unit]) == pytest.approx(expected, abs=1e-6)


def test_top_and_random_takes_few_of_a_large_top() -> None:
    """Of the top half 5 images are drawn: other seeds draw others, the same seed the same."""
    activations, presence = draw()
    scorers = [TopAndRandomScorer(top=5, random=5, share=0.5, seed=seed) for seed in (0, 0, 1)]

    first, again, other = (score(scorer, activations, presence).values for scorer in scorers)

    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_top_and_random_can_draw_constant_images() -> None:
    """A unit that ties on all images drawn has no score, and says so."""
    activations = torch.zeros(1000, 2)
    activations[:500, 0] = 1.0
    activations[:3, 1] = 1.0
    simulated = torch.rand(1000, 2, generator=torch.Generator().manual_seed(0))
    simulated[:, 1] = (torch.arange(1000) == 999).float()

    result = score(TopAndRandomScorer(top=2, random=1, share=0.001, seed=3), activations, simulated)

    assert set(result.undefined.values()) <= {
        "the activations are constant on the images drawn",
        "the simulation is constant on the images drawn",
    }
    assert 1 in result.undefined


@pytest.mark.parametrize("scorer", EVERY, ids=names)
def test_undefined_units_are_those_of_correlation(scorer: UnitScorer) -> None:
    """Dead, constant and NaN units have the reasons of correlation scoring under every scorer."""
    activations, presence = draw(units=7)
    expected = score(scorer, activations, presence).values[6]
    activations[:, 0], activations[:, 1] = 0.0, 0.3
    activations[3, 2], presence[3, 3], presence[:, 4] = nan, nan, 0.25
    simulations = Simulation("test", presence, {5: "no terms"})

    result = scorer.score(
        {"test": simulations}, {"test": Activations(Layer("x"), activations)}, None
    )

    assert result.undefined == {
        0: "the unit is dead on the test images",
        1: "the activations are constant on the test images",
        2: "the activations contain NaN or infinity",
        3: "the simulation contains NaN or infinity",
        4: "the simulation is constant on the test images",
        5: "no terms",
    }
    assert float(result.values[6]) == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.parametrize("scorer", EVERY, ids=names)
def test_units_together_or_apart_are_the_same(
    scorer: UnitScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All units at once, in small blocks, or each alone have the same scores."""
    activations, presence = draw()
    together = score(scorer, activations, presence).values
    apart = [score(scorer, activations[:, [unit]], presence[:, [unit]]).values for unit in range(6)]
    monkeypatch.setattr("le_bench_plugins.scorers.measures.scoring.BLOCK_CELLS", 250)

    blocks = score(scorer, activations, presence).values

    assert torch.cat(apart).tolist() == pytest.approx(together.tolist(), abs=1e-12)
    assert blocks.tolist() == pytest.approx(together.tolist(), abs=1e-12)


@pytest.mark.parametrize("scorer", EVERY, ids=names)
def test_scores_lie_within_the_bounds_and_inputs_stay(scorer: UnitScorer) -> None:
    """No score leaves the bounds that the class states, and nothing given is changed."""
    activations, presence = draw(units=50)
    before = activations.clone(), presence.clone()

    values = score(scorer, activations, presence).values

    low, high = scorer.bounds or (-np.inf, np.inf)
    assert values.dtype == torch.float64
    assert bool(((values >= low) & (values <= high)).all())
    assert torch.equal(activations, before[0])
    assert torch.equal(presence, before[1])


@pytest.mark.parametrize("scorer", EVERY, ids=names)
def test_half_precision_scores_as_its_values(scorer: UnitScorer) -> None:
    """Activations that were cached as float16 score as those numbers in float32."""
    activations, presence = draw()
    halved = (activations * 1.3).half()

    found = score(scorer, halved.float(), presence).values

    exact = score(scorer, halved.double().float(), presence).values
    assert found.tolist() == exact.tolist()


@pytest.mark.parametrize("scorer", EVERY, ids=names)
def test_one_test_image_is_not_enough(scorer: UnitScorer) -> None:
    """A single image gives no score and a reason."""
    result = score(scorer, torch.ones(1, 2), torch.ones(1, 2))

    assert set(result.undefined.values()) == {"a correlation needs at least two test images"}


def test_precision_of_nothing_is_undefined() -> None:
    """With a threshold that no simulated value reaches, shares of claimed images do not exist."""
    activations, presence = draw(units=2)
    nothing, everything = "the explanation claims no test image", "claims every test image"

    for scorer in (
        PrecisionScorer(threshold=2.0),
        InverseBalancedAccuracyScorer(threshold=2.0),
        InverseAUROCScorer(threshold=2.0),
        MeanActivationDifferenceScorer(threshold=2.0),
        InverseAUPRCScorer(threshold=-1.0),
    ):
        assert len(score(scorer, activations, presence).undefined) == 2
    few = score(PrecisionScorer(threshold=2.0), activations, presence)
    all_ = score(InverseBalancedAccuracyScorer(threshold=-1.0), activations, presence)
    assert few.undefined[0] == nothing
    assert everything in all_.undefined[0]
    for scorer in (RecallScorer(threshold=2.0), F1Scorer(threshold=2.0), IoUScorer(threshold=2.0)):
        assert score(scorer, activations, presence).values.tolist() == [0.0, 0.0]


def test_wpmi_needs_a_presence() -> None:
    """A simulation outside [0, 1] is no presence; rounding is forgiven."""
    activations, presence = draw(units=3)
    presence[0, 0] = 1.5
    presence[0, 1] = 1.0 + 1e-7

    result = score(WPMIScorer(), activations, presence)

    assert result.undefined == {
        0: "the simulation leaves [0, 1] and is no presence of a concept, which WPMI needs"
    }


def test_binary_activations_are_taken_as_they_are() -> None:
    """Whatever alpha, the active images of a unit that is 0 or 1 are those at 1."""
    ones = torch.rand(400, 5, generator=torch.Generator().manual_seed(0)) < torch.tensor(
        [0.5, 0.2, 0.05, 0.01, 0.0025]
    )
    ones[0] = True

    for alpha in (0.0001, 0.005, 0.2, 0.5):
        assert torch.equal(active(ones.float(), alpha), ones)


def test_claims_do_not_depend_on_scale_and_offset() -> None:
    """One concept with a positive weight and a bias claims the images of the concept alone."""
    present = torch.rand(100, 1, generator=torch.Generator().manual_seed(0)) < 0.3

    assert torch.equal(claimed(present.float() * 0.125 - 4), present)
    assert torch.equal(claimed(present.float(), 0.5), present)
    assert torch.equal(claimed(-present.float()), ~present)


def test_alpha_must_be_a_share() -> None:
    """Nothing or everything cannot be active."""
    with pytest.raises(ValueError, match=r"alpha is 0, not in \(0, 0.5\]"):
        active(torch.ones(3, 1), 0)


def test_every_scorer_of_this_family_has_an_oracle() -> None:
    """A scorer of ours that takes no ablation and is not tested here has a test of its own."""
    own = {
        offer.component
        for offer in Plugins.find().offers("scorer")
        if offer.distribution == HOME and issubclass(offer.component, UnitScorer)
    }

    assert own == {type(scorer) for scorer in EVERY}


@pytest.mark.parametrize("alpha", [2.0, 0.6, 0.0, -1.0])
@pytest.mark.parametrize("scorer", [AUROCScorer, AUPRCScorer, F1Scorer, IoUScorer, WPMIScorer])
def test_a_senseless_share_is_refused_when_the_experiment_is_read(
    scorer: Callable[..., UnitScorer], alpha: float
) -> None:
    """Active images are at most half of all."""
    with pytest.raises(ValueError, match=rf"^alpha is {alpha}, not in \(0, 0.5\]$"):
        scorer(alpha=alpha)
