"""Each law of explainers catches a component that breaks it, and it alone does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch

from le_bench.components import Encoder, Explainer
from le_bench.errors import NotApplicableError
from le_bench.testing.laws import LAWS, Verdict, verdicts
from le_bench.testing.planted import PlantedEncoder
from le_bench.types import ConceptSet, Evidence, Explanation, Term

ENCODER = PlantedEncoder("explainer")


@dataclass(frozen=True)
class Fine(Explainer):
    """The concept with the largest product with the activations: keeps to every law."""

    name: ClassVar[str] = "fine"

    encoder: Encoder = ENCODER
    concepts: ConceptSet = field(default=ConceptSet("dataset"))

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        words = self.concepts.resolve(evidence.vocabulary)
        presence = evidence.train.presence(self.encoder, words)
        return chosen(words, presence, evidence.train_activations)


def chosen(
    words: Sequence[str], presence: torch.Tensor, activations: torch.Tensor
) -> list[Explanation]:
    centred = activations - activations.mean(0)
    best = (centred.T @ presence).nan_to_num().argmax(1).tolist()
    return [Explanation(unit, (Term(words[word]),)) for unit, word in enumerate(best)]


class Spoilt(Fine):
    """Does something with the evidence before it explains."""

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        return self.spoil(evidence, list(super().explain(evidence)))

    def spoil(self, evidence: Evidence, fine: list[Explanation]) -> list[Explanation]:
        raise NotImplementedError


@dataclass(frozen=True)
class Mutates(Spoilt):
    def spoil(self, evidence: Evidence, fine: list[Explanation]) -> list[Explanation]:
        evidence.val_activations.mul_(1.0 + 1e-6)
        return fine


@dataclass(frozen=True)
class MutatesMemory(Spoilt):
    def spoil(self, evidence: Evidence, fine: list[Explanation]) -> list[Explanation]:
        shared = evidence.memory.remember("shared", {}, lambda: {"values": torch.ones(3)})
        shared["values"][0] = 7.0
        return fine


@dataclass(frozen=True)
class DrawsGlobally(Spoilt):
    def spoil(self, evidence: Evidence, fine: list[Explanation]) -> list[Explanation]:
        return with_bias(fine, float(torch.rand(())))


@dataclass(frozen=True)
class SeesTheLayer(Spoilt):
    def spoil(self, evidence: Evidence, fine: list[Explanation]) -> list[Explanation]:
        clean = evidence.train_activations.std(0, correction=0)
        if len(clean) < 2:
            return with_bias(fine, 1.0)
        return fine


@dataclass(frozen=True)
class GoesByNumber(Spoilt):
    def spoil(self, evidence: Evidence, fine: list[Explanation]) -> list[Explanation]:
        strong = evidence.train_activations.nan_to_num().sum(0)
        rising = len(fine) == 6 and bool(strong[0] < strong[-1])
        return with_bias(fine, 1.0 if rising else 0.0)


@dataclass(frozen=True)
class GoesByFirstImage(Spoilt):
    def spoil(self, evidence: Evidence, fine: list[Explanation]) -> list[Explanation]:
        first, last = evidence.train.rows[0], evidence.train.rows[-1]
        return with_bias(fine, float(first < last))


@dataclass(frozen=True)
class SeesAllImages(Spoilt):
    def spoil(self, evidence: Evidence, fine: list[Explanation]) -> list[Explanation]:
        embeddings = evidence.train.encodings.images(self.encoder)
        return with_bias(fine, float(embeddings.nan_to_num().mean()))


@dataclass(frozen=True)
class FallsOverDeadUnits(Spoilt):
    def spoil(self, evidence: Evidence, fine: list[Explanation]) -> list[Explanation]:
        spread = evidence.train_activations.nan_to_num(1.0).std(0, correction=0)
        if len(spread) > 1 and bool((spread == 0).any()):
            raise ZeroDivisionError("a unit has no spread")
        return fine


@dataclass(frozen=True)
class FallsOverNaN(Spoilt):
    def spoil(self, evidence: Evidence, fine: list[Explanation]) -> list[Explanation]:
        biases = evidence.train_activations.mean(0).tolist()
        return [Explanation(e.unit, e.terms, bias=b) for e, b in zip(fine, biases, strict=True)]


@dataclass(frozen=True)
class OverflowsInHalf(Spoilt):
    def spoil(self, evidence: Evidence, fine: list[Explanation]) -> list[Explanation]:
        doubled = (evidence.train_activations.nan_to_num().abs().amax(0) * 2).half().tolist()
        return [Explanation(e.unit, e.terms, bias=b) for e, b in zip(fine, doubled, strict=True)]


@dataclass(frozen=True)
class NeedsTwentyImages(Spoilt):
    def spoil(self, evidence: Evidence, fine: list[Explanation]) -> list[Explanation]:
        evidence.train_activations.topk(20, dim=0)
        return fine


@dataclass(frozen=True)
class ForgetsTheLastBlock(Spoilt):
    def spoil(self, evidence: Evidence, fine: list[Explanation]) -> list[Explanation]:
        return fine[:256] + with_bias(fine[256:], 9.0)


@dataclass(frozen=True)
class MakesTensorsHere(Spoilt):
    def spoil(self, evidence: Evidence, fine: list[Explanation]) -> list[Explanation]:
        there = evidence.train_activations.to(evidence.device)
        _ = there * torch.ones(there.shape[1])
        return fine


@dataclass(frozen=True)
class SetsDoubles(Spoilt):
    def spoil(self, evidence: Evidence, fine: list[Explanation]) -> list[Explanation]:
        torch.set_default_dtype(torch.float64)
        return fine


@dataclass(frozen=True)
class InventsWords(Spoilt):
    def spoil(self, evidence: Evidence, fine: list[Explanation]) -> list[Explanation]:
        return [Explanation(e.unit, (Term("unheard of"),)) for e in fine]


@dataclass(frozen=True)
class HasAnUnhashableOption(Fine):
    limits: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class HasALambda(Fine):
    weigh: Any = field(default=lambda x: x, compare=False)


@dataclass(frozen=True)
class HidesAnOption(Fine):
    lam: float = field(default=0.1, compare=False)


@dataclass(frozen=True)
class NamesAFileAsText(Fine):
    words: str = __file__


@dataclass(frozen=True)
class CannotTravel(Fine):
    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("this one stays here")


def with_bias(explanations: Sequence[Explanation], bias: float) -> list[Explanation]:
    return [Explanation(e.unit, e.terms, bias=bias) for e in explanations]


BREAKERS: Mapping[type[Explainer], tuple[str, str]] = {
    Mutates: ("inputs untouched", "it changed val_activations in place"),
    MutatesMemory: ("inputs untouched", "it changed 'values' of the memory 'shared' in place"),
    DrawsGlobally: ("deterministic", "with the same evidence and seed"),
    SeesTheLayer: ("together as one by one", "when it was explained alone"),
    GoesByNumber: ("order of units", "when the units came in reverse"),
    GoesByFirstImage: ("order of images", "when the images came in reverse"),
    SeesAllImages: ("no test images", "without test images"),
    FallsOverDeadUnits: ("dead units", "it raised ZeroDivisionError: a unit has no spread"),
    FallsOverNaN: ("units with nan", "must be finite Python numbers"),
    OverflowsInHalf: ("coarse activations", "must be finite Python numbers"),
    NeedsTwentyImages: ("tiny input", "selected index k out of range"),
    ForgetsTheLastBlock: ("large input", "when only these were explained"),
    MakesTensorsHere: ("any device", "torch.mul got a tensor on the device"),
    SetsDoubles: ("leaves torch alone", "default number type from torch.float32"),
    InventsWords: ("own concepts", "unit 0 names 'unheard of', which is in no concept set"),
    HasAnUnhashableOption: ("hashable", "unhashable type: 'list'"),
    HidesAnOption: ("key by options", "with another 'lam' it still counts as equal"),
    NamesAFileAsText: ("files by content", "declare it as `Path`"),
    CannotTravel: ("picklable", "this one stays here"),
}


def broken(component: Explainer, costly: str = "") -> dict[str, Verdict]:
    """Broken laws; of the two that take a second each only the one named."""
    chosen = [
        law
        for law in LAWS["explainer"]
        if law.name == costly or law.name not in ("large input", "any device")
    ]
    return {v.law: v for v in verdicts(component, chosen) if v.state == "broken"}


def test_a_good_explainer_keeps_to_every_law() -> None:
    """Every law holds for an explainer that does nothing wrong, and none is left out."""
    found = list(verdicts(Fine(), LAWS["explainer"]))

    assert {verdict.state for verdict in found} == {"holds"}
    assert [verdict.law for verdict in found] == [law.name for law in LAWS["explainer"]]


@pytest.mark.parametrize("component", BREAKERS, ids=lambda c: c.__name__)
def test_each_law_catches_its_breaker(component: type[Explainer]) -> None:
    """A component with one fault breaks the law of that fault, and no other."""
    law, words = BREAKERS[component]

    found = broken(component(), law)

    assert list(found) == [law]
    assert words in found[law].words


def test_a_lambda_as_option_has_no_key_and_cannot_be_pickled() -> None:
    """A function among the options breaks both laws that a value must keep to."""
    found = broken(HasALambda())

    assert set(found) == {"key by options", "picklable"}
    assert found["key by options"].words == (
        "explainer 'fine', option 'weigh': a function cannot enter a cache key; take numbers, "
        "texts, paths, encoders and tuples of these as options"
    )


@dataclass(frozen=True)
class Declines(Fine):
    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        raise NotApplicableError("it explains vision transformers only")


def test_what_does_not_apply_is_never_counted_as_kept() -> None:
    """NotApplicableError is shown with its reason."""
    found = {v.law: v for v in verdicts(Declines(), LAWS["explainer"])}

    assert found["well formed"].state == "n/a"
    assert found["well formed"].words == "it explains vision transformers only"
    assert found["hashable"].state == "holds"


@dataclass(frozen=True)
class Declares(SeesTheLayer):
    units_interact: ClassVar[bool] = True


def test_units_may_interact_if_the_class_says_so() -> None:
    """A declared dependence on the other units of the layer is no breach, and is told."""
    found = {v.law: v for v in verdicts(Declares(), LAWS["explainer"])}

    assert found["together as one by one"].state == "n/a"
    assert "broken" not in {v.state for v in found.values()}
