"""MILAN as explainers: with any captioner, and with the small one of the Picturebook."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from le_bench import hookimpl
from le_bench.components import Explainer
from le_bench.errors import BenchError
from le_bench.fingerprint import path_digest
from le_bench.types import Evidence, Explanation, Maps, Term, require
from le_bench_plugins.explainers.milan.captioner import Captioner, load_captioner
from le_bench_plugins.explainers.milan.decoding import Decoding, Strategy, decode
from le_bench_plugins.explainers.milan.exemplar_files import StoredExemplars
from le_bench_plugins.explainers.milan.exemplars import Exemplars, SeenImages, View
from le_bench_plugins.explainers.milan.released import read_released
from le_bench_plugins.explainers.positions.statistics import position_statistics
from le_bench_plugins.explainers.units import unusable_units

SILENT = "the captioner ended its description before the first word"
UNSEEN = "no mask of the unit's exemplars shows anything, or there are none"
PACKAGE = "le_bench_plugins.picturebook.weights"  # data of another plugin, none of its code
SHIPPED = "picturebook-milan.safetensors"


@dataclass(frozen=True, kw_only=True)
class Describing(Explainer):
    """Options: how many exemplars a unit has, and how its description is chosen.

    `strategy`, `temperature` and `beam_size` come from the captioner if they are not given; see
    `Decoding` for them and for `stop_twice`, with which the authors' code reranks. `size` and
    `shorter_side` say how a probe image becomes a picture (`View`); 0 squashes.
    """

    reference: ClassVar[str] = (
        "Hernandez et al., Natural Language Descriptions of Deep Visual Features, ICLR 2022, "
        "https://github.com/evandez/neuron-descriptions"
    )
    needs_maps: ClassVar[bool] = True

    num_exemplars: int = 15
    strategy: Strategy | None = None
    temperature: float | None = None
    beam_size: int | None = None
    stop_twice: bool = False
    size: int | None = None
    shorter_side: int | None = None

    def __post_init__(self) -> None:
        require(self.num_exemplars >= 1, f"num_exemplars is {self.num_exemplars}; give at least 1")
        self._decoding(Decoding())
        self._view(View())

    @abstractmethod
    def captioner(self) -> Captioner:
        """What looks at the exemplars and writes. Raises BenchError if its file is no good."""

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        """A description of each unit, as one term of weight 1; its figure is its score.

        Memory holds U * K * F features, 0.5 GiB for 2,048 units with the authors' sizes. Raises
        NotApplicableError for layers without maps.
        """
        if evidence.maps is None:
            raise BenchError(f"explainer '{self.name}' was given no maps of layer {evidence.layer}")
        self.check(evidence.maps)
        captioner = self.captioner().to(evidence.device)
        description = captioner.description
        reasons = dict(unusable_units(evidence.train_activations, evidence.val_activations))
        units = [unit for unit in range(evidence.num_units) if unit not in reasons]
        if units:
            features = self.look(evidence, evidence.maps, captioner, torch.tensor(units))
            seen = (features != 0).flatten(1).any(1).tolist()
            reasons |= {unit: UNSEEN for unit in units if not seen[unit]}
            units = [unit for unit in units if seen[unit]]
        said: dict[int, Explanation] = {}
        if units:
            chosen = decode(
                captioner.decoder,
                description.vocabulary,
                features[units],
                self._decoding(description.decoding),
                seed=evidence.seed,
                units=units,
            )
            for unit, tokens, score in zip(
                units, chosen.tokens.tolist(), chosen.scores.tolist(), strict=True
            ):
                if text := description.vocabulary.describe(tokens):
                    said[unit] = Explanation(unit, (Term(text),), figures={"score": score})
        return [
            said.get(unit) or Explanation(unit, (), reason=reasons.get(unit, SILENT))
            for unit in range(evidence.num_units)
        ]

    def check(self, maps: Maps) -> None:
        """Raise NotApplicableError, before anything is loaded, for a layer without maps."""
        _ = maps.shape

    def look(self, evidence: Evidence, maps: Maps, captioner: Captioner, units: Tensor) -> Tensor:
        """Features (U, K, F) of the exemplars of these units; those of others are zeros."""
        found = Exemplars.choose(position_statistics(evidence, maps), self.num_exemplars)
        view = self._view(captioner.description.view)
        shown = found.show(units, maps, SeenImages(evidence), view)
        return captioner.look(evidence.num_units, found.rows.shape[1], shown)

    def _decoding(self, own: Decoding) -> Decoding:
        return Decoding(
            self.strategy or own.strategy,
            own.temperature if self.temperature is None else self.temperature,
            own.width if self.beam_size is None else self.beam_size,
            own.length,
            self.stop_twice,
        )

    def _view(self, own: View) -> View:
        side = own.shorter_side if self.shorter_side is None else self.shorter_side or None
        return View(self.size or own.size, side)


@dataclass(frozen=True, kw_only=True)
class Milan(Describing):
    """MILAN: the sentence of a captioner that looks at the unit's exemplars.

    `checkpoint` is a released `milan-*.pth`, or what `milan.training.train` wrote. Exemplars are
    the 15 images of train and val with the highest position, masks the positions above the unit's
    0.99 quantile; `exemplars` takes them instead from a folder in the authors' format, which must
    belong to the layer.

    Deviations: the authors take exemplars from all images of a probe dataset, an explainer here
    never sees test images; dead units, and units of which no mask shows anything, get a reason
    instead of a text about nothing; the language model's score counts the stop token once (see
    `stop_twice`).
    """

    name: ClassVar[str] = "milan"

    checkpoint: Path
    exemplars: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(not self.checkpoint.is_dir(), f"{self.checkpoint} is a folder; name a captioner")
        require(
            self.exemplars is None or not self.exemplars.is_file(),
            f"{self.exemplars} is a file; name a folder of exemplars",
        )

    def captioner(self) -> Captioner:
        """The captioner of the checkpoint."""
        released = self.checkpoint.suffix in (".pth", ".pt")
        return read_released(self.checkpoint) if released else load_captioner(self.checkpoint)

    def check(self, maps: Maps) -> None:
        """Exemplars from a folder need no maps."""
        if self.exemplars is None:
            super().check(maps)

    def look(self, evidence: Evidence, maps: Maps, captioner: Captioner, units: Tensor) -> Tensor:
        """Features (U, K, F); zeros for units that the folder of exemplars does not hold."""
        if self.exemplars is None:
            return super().look(evidence, maps, captioner, units)
        stored = StoredExemplars.open(self.exemplars)
        places = torch.nonzero(torch.isin(stored.units, units)).flatten()
        found = captioner.look(len(stored.units), stored.count, stored.show(places))
        features = found.new_zeros(evidence.num_units, *found.shape[1:])
        features[stored.units[places]] = found[places]
        return features


@dataclass(frozen=True, kw_only=True)
class PicturebookMilan(Describing):
    """MILAN for the Picturebook: a small captioner that ships with the package.

    It was trained on imagined units of that world (see the card beside its weights) and has words
    for nothing else. For other images take `milan` with a checkpoint. Its backbone is that of the
    encoder `sl-resnet`, which therefore should not simulate what it says.
    """

    name: ClassVar[str] = "milan-picturebook"

    def identity(self) -> str:
        """The digest of the weights."""
        with as_file(files(PACKAGE) / SHIPPED) as path:
            return path_digest(path)

    def captioner(self) -> Captioner:
        """The captioner that ships."""
        with as_file(files(PACKAGE) / SHIPPED) as path:
            return load_captioner(path)


@hookimpl
def le_bench_explainers() -> list[type[Explainer]]:
    """Offer MILAN."""
    return [Milan, PicturebookMilan]
