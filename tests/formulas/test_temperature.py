"""The temperature: scipy as oracle, and what is undefined."""

from __future__ import annotations

import pytest
import torch
from scipy.optimize import minimize_scalar
from torch.nn import functional as F

from le_bench.formulas.temperature import fit_temperature, tempered


@pytest.mark.parametrize("scale", [0.01, 0.3, 1.0, 7.0, 50.0])
def test_fitted_temperature_is_scipys(scale: float) -> None:
    """Logits on any scale; the loss is that of torch at this temperature."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(5, (300,), generator=generator)
    logits = torch.randn(300, 5, generator=generator) + 1.5 * F.one_hot(labels, 5)
    logits = logits * scale

    fitted = fit_temperature(logits, labels)

    found = minimize_scalar(
        lambda x: float(F.cross_entropy(logits.double() * 2.718281828**x, labels)),
        bounds=(-7, 7),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert fitted.value == pytest.approx(2.718281828**-found.x, rel=1e-5)
    assert fitted.cross_entropy == pytest.approx(found.fun, abs=1e-12)
    assert fitted.plain == pytest.approx(float(F.cross_entropy(logits.double(), labels)))
    assert fitted.source == "fitted on the val images"


def test_scaled_logits_have_the_scaled_temperature() -> None:
    """Seven times the logits, seven times the temperature."""
    logits = torch.randn(200, 4, generator=torch.Generator().manual_seed(1))
    labels = logits.argmax(1).roll(60)
    labels[:150] = logits[:150].argmax(1)

    one, seven = fit_temperature(logits, labels), fit_temperature(7 * logits, labels)

    assert seven.value == pytest.approx(7 * one.value, rel=1e-5)


def test_temperature_without_a_minimum_is_one() -> None:
    """All right: the colder the better. All wrong: the hotter the better. Either is told."""
    logits = torch.tensor([[2.0, 0.0], [0.0, 3.0]])

    right = fit_temperature(logits, torch.tensor([0, 1]))
    wrong = fit_temperature(logits, torch.tensor([1, 0]))

    assert (right.value, wrong.value) == (1.0, 1.0)
    assert right.source == "1, as every val image is classified rightly"
    assert wrong.source == "1, as the logits tell nothing of the val labels"


def test_given_temperature_tells_its_loss() -> None:
    """Whoever fixes the temperature sees what it costs."""
    logits, labels = torch.tensor([[2.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 0])

    given = tempered(logits, labels, 1.1, "given")

    assert given.cross_entropy == pytest.approx(float(F.cross_entropy(logits / 1.1, labels)))
    assert (given.value, given.source) == (1.1, "given")
