"""The simulators by encoder and by ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from le_bench.components import Encoder
from le_bench.types import (
    Calibration,
    Explanation,
    Images,
    Presence,
    ProbeView,
    Term,
)
from le_bench_plugins.simulators.encoder_simulator import CLIPSimulator, SigLIPSimulator
from le_bench_plugins.simulators.labels import LabelsSimulator

ROWS = torch.tensor([4, 0, 2])


@dataclass(frozen=True)
class AngleEncoder(Encoder):
    """Embeds image i at angle i and a text at the angle of its length, on the unit circle."""

    name: ClassVar[str] = "angle"

    def encode_images(self, images: Images, device: torch.device) -> Tensor:
        return circle(torch.arange(float(len(images))))

    def encode_texts(self, texts: Sequence[str], device: torch.device) -> Tensor:
        return circle(torch.tensor([float(len(text)) for text in texts]))


def circle(angles: Tensor) -> Tensor:
    """Points on the unit circle."""
    return torch.stack([angles.cos(), angles.sin()], 1)


@dataclass(frozen=True)
class DirectEncodings:
    """Embeddings computed at once; refuses to embed a text twice in one request or none."""

    num_images: int

    def images(self, encoder: Encoder) -> Tensor:
        return circle(torch.arange(float(self.num_images)))

    def texts(self, encoder: Encoder, texts: Sequence[str]) -> Tensor:
        if not texts or len(set(texts)) < len(texts):
            raise ValueError(f"a core never gets such a request: {texts}")
        return encoder.encode_texts(texts, torch.device("cpu"))

    def calibration(self, encoder: Encoder) -> Calibration:
        return Calibration(3.0, -0.5, "given")


def view(labels: Presence | None = None, annotated: Presence | None = None) -> ProbeView:
    """Three test images out of five."""
    return ProbeView(
        "test",
        ROWS,
        DirectEncodings(5),
        label_presence=labels and labels.take(ROWS),
        concept_presence=annotated and annotated.take(ROWS),
    )


@pytest.mark.parametrize("simulator", [SigLIPSimulator, CLIPSimulator])
def test_encoder_simulation_equals_the_formula(
    simulator: type[SigLIPSimulator] | type[CLIPSimulator],
) -> None:
    """s = sum_i w_i sigmoid(a * (cosine + b)) + bias, for lists of terms and for descriptions."""
    explanations = [
        Explanation(0, (Term("ab", 2.0), Term("c", -1.0)), bias=0.25),
        Explanation(1, (), reason="the unit is dead"),
        Explanation(2, (Term("a whole sentence"),)),
    ]

    simulated = simulator(AngleEncoder()).simulate(explanations, view())

    def presence(text: str) -> Tensor:
        return torch.sigmoid(3.0 * (torch.cos(ROWS - float(len(text))) - 0.5))

    assert simulated.split == "test"
    assert torch.allclose(simulated.values[:, 0], 2 * presence("ab") - presence("c") + 0.25)
    assert torch.allclose(simulated.values[:, 2], presence("a whole sentence"))
    assert bool(simulated.values[:, 1].isnan().all())
    assert simulated.undefined == {1: "the unit is dead"}


@pytest.mark.parametrize("simulator", [SigLIPSimulator, CLIPSimulator])
def test_units_alone_are_units_together(
    simulator: type[SigLIPSimulator] | type[CLIPSimulator],
) -> None:
    """Concepts shared between units are embedded once and change nothing."""
    explanations = [
        Explanation(0, (Term("ab", 2.0), Term("c", -1.0))),
        Explanation(1, (Term("c"), Term("ab"), Term("c"))),
    ]

    together = simulator(AngleEncoder()).simulate(explanations, view()).values
    alone = [simulator(AngleEncoder()).simulate([each], view()).values for each in explanations]

    assert torch.allclose(together, torch.cat(alone, 1), atol=1e-7)


def test_no_explained_unit_asks_the_encoder_nothing() -> None:
    """All units undefined is no error."""
    dead = [Explanation(unit, (), reason="dead") for unit in range(2)]

    simulated = SigLIPSimulator(AngleEncoder()).simulate(dead, view())

    assert simulated.values.shape == (3, 2)
    assert simulated.undefined == {0: "dead", 1: "dead"}


LABELS = Presence(("cat", "dog", "pet"), torch.eye(5)[:, [0, 2, 4]])
ANNOTATED = Presence(("cat", "snow", "snow"), torch.tensor([[0, 0, 1.0]] * 4 + [[1.0, 0.5, 0.0]]))


def test_ground_truth_simulation() -> None:
    """Annotations come before labels, columns of one name are united, others come from labels."""
    explanations = [
        Explanation(0, (Term("cat", 2.0), Term("dog", 3.0)), bias=1.0),
        Explanation(1, (Term("snow"),)),
        Explanation(2, (Term("pet"),)),
    ]

    simulated = LabelsSimulator().simulate(explanations, view(LABELS, ANNOTATED))

    assert simulated.values.tolist() == [
        [2 * 1 + 3 * 0 + 1, 0.5, 1],
        [2 * 0 + 3 * 0 + 1, 1.0, 0],
        [2 * 0 + 3 * 1 + 1, 1.0, 0],
    ]
    assert simulated.undefined == {}


def test_labels_alone_are_enough() -> None:
    """A dataset without annotations is simulated by what its labels imply."""
    simulated = LabelsSimulator().simulate([Explanation(0, (Term("dog"),))], view(LABELS))

    assert simulated.values.tolist() == [[0.0], [0.0], [1.0]]


@pytest.mark.parametrize("annotated", [None, ANNOTATED])
def test_concept_without_ground_truth_makes_its_unit_undefined(annotated: Presence | None) -> None:
    """The first such concept is the reason; other units and their own reasons stay."""
    explanations = [
        Explanation(0, (Term("cat"), Term("ghost"), Term("elf"))),
        Explanation(1, (Term("dog"),)),
        Explanation(2, (), reason="the unit is dead"),
    ]

    simulated = LabelsSimulator().simulate(explanations, view(LABELS, annotated))

    assert simulated.values.isnan().tolist() == [[True, False, True]] * 3
    assert simulated.undefined == {
        0: "concept 'ghost' has no ground truth in the probe dataset",
        2: "the unit is dead",
    }


def test_dataset_without_any_ground_truth() -> None:
    """Every unit is undefined, none silently zero."""
    simulated = LabelsSimulator().simulate([Explanation(0, (Term("cat"),))], view())

    assert simulated.undefined == {0: "concept 'cat' has no ground truth in the probe dataset"}
    assert bool(simulated.values.isnan().all())
