"""Names each unit by the words nearest to the images that activate it most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from le_bench import hookimpl
from le_bench.components import Encoder, Explainer
from le_bench.types import ConceptSet, Evidence, Explanation, Term, require


@dataclass(frozen=True)
class MyExplainer(Explainer):
    """The words nearest to the mean embedding of a unit's most activating train images.

    `encoder` embeds images and words in one space; `concepts` are the words to choose from. A unit
    that is the same on every train image gets a reason instead of words.
    """

    name: ClassVar[str] = "my-explainer"
    version: ClassVar[int] = 1  # raise it whenever the numbers change

    encoder: Encoder
    concepts: ConceptSet = field(default=ConceptSet("dataset"))
    num_images: int = 20
    num_words: int = 1

    def __post_init__(self) -> None:
        require(self.num_images >= 1, f"num_images is {self.num_images}; give at least 1")
        require(self.num_words >= 1, f"num_words is {self.num_words}; give at least 1")

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        """One explanation for each unit, in order."""
        words = self.concepts.resolve(evidence.vocabulary)
        activations = evidence.train_activations  # (N, U)
        cosines = evidence.train.cosines(self.encoder, words)  # (N, C)
        top = activations.topk(min(self.num_images, len(activations)), dim=0).indices  # (k, U)
        nearness = cosines[top].mean(0)  # (U, C)
        nearest = nearness.topk(min(self.num_words, len(words)), dim=1).indices.tolist()
        constant = (activations.amin(0) == activations.amax(0)).tolist()
        return [
            Explanation(unit, (), reason="the unit is the same on all train images")
            if constant[unit]
            else Explanation(unit, tuple(Term(words[word]) for word in nearest[unit]))
            for unit in range(evidence.num_units)
        ]


@hookimpl
def le_bench_explainers() -> list[type[Explainer]]:
    """Offer the explainer."""
    return [MyExplainer]
