"""Network Dissection: the label whose pixels a unit's highest activations cover best."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, get_args

import torch
from torch import Tensor

from le_bench import hookimpl
from le_bench.components import Explainer
from le_bench.errors import NotApplicableError, unknown_name
from le_bench.fingerprint import path_digest
from le_bench.networks.hosted import (
    AddressedFile,
    fetch_weights,
    missing_weights,
    weights_identity,
)
from le_bench.types import (
    ConceptSet,
    Evidence,
    Explanation,
    Maps,
    Masks,
    PixelLabels,
    Term,
    require,
)
from le_bench_plugins.explainers.netdissect.counting import UnionRule, count
from le_bench_plugins.explainers.netdissect.masks import masks_without
from le_bench_plugins.explainers.netdissect.segmenters import (
    TRANSFORMERS,
    SegmentedMasks,
    hosted_weights,
    known_segmenters,
    load_segmenter,
)
from le_bench_plugins.explainers.netdissect.tally import Tally
from le_bench_plugins.explainers.positions.statistics import (
    SHARES,
    PositionStatistics,
    position_statistics,
    split_rows,
)
from le_bench_plugins.explainers.units import unusable_units

NO_MASKS = (
    "the probe dataset has no pixel labels to compare maps with; take one that has, such as "
    "picturebook or broden, or give `segmenter`"
)
NOTHING_ACTIVE = (
    "no position of the unit's maps exceeds its threshold, since its highest value is reached on "
    "more than {share} of all positions"
)
NO_OVERLAP = "no labelled pixel lies where the unit is active"
NOT_FINITE = "the unit's maps hold values that are not finite numbers"


@dataclass(frozen=True, kw_only=True)
class NetDissect(Explainer):
    """Network Dissection: of each unit the label of the largest overlap (IoU), with weight 1.

    The overlap itself is the figure "IoU" of the explanation.

    A unit is active where its map, enlarged to the label maps, exceeds the value that its highest
    `quantile` of all positions of all images do. Pixels are counted over all images: IoU = active
    and labelled / (active, on images that count, + labelled - both). The defaults are those of
    the results that Linear Explanations compares with: NetDissect-Lite with all six categories.

    The three published programs differ. `union` says on which images active pixels count:
    "category-in-region" (Lite) where a label of the concept's category lies in the active region,
    "category-in-image" (the Caffe original) where one occurs in the image, "all" (Bau et al.
    2020). `without` leaves out categories: ["material"] is Lite's own default. `quantile` is
    0.01 in the program of 2020.

    `segmenter` names a segmentation network that labels the images instead of the data set's masks,
    as Bau et al. (2020) do and the paper's appendix A.1 for data sets without: one of
    torchvision's, such as "deeplabv3_resnet50", or "transformers" (`le-bench[hf]`) with a folder.
    `segmenter_weights` is its file or folder; torchvision's may be left out and are then fetched.
    A CLIPSeg looks for `concepts`. The network runs anew for every layer, on 56 x 56 labels.

    `memory_mib` bounds the memory on the target model's device in which thresholds are found, and
    thereby their rank error (see `UpperQuantiles`), which for layers of usual size is 0.

    The images are those of train and val together, since an explainer here never sees test images.
    Other deviations: the threshold is exact or of bounded error and not a random sketch's; the
    number 0 is never a label; of equal overlaps the first concept wins. A dead unit, one that is
    never active and one that overlaps with no label get a reason; the authors give them an empty
    name. No unit is left out for a small overlap: 0.04 is only the authors' mark of a detector.
    """

    name: ClassVar[str] = "netdissect"
    reference: ClassVar[str] = (
        "Bau et al., Network Dissection, CVPR 2017, https://github.com/CSAILVision/NetDissect-Lite"
    )
    needs_maps: ClassVar[bool] = True

    quantile: float = 0.005
    union: UnionRule = "category-in-region"
    without: tuple[str, ...] = ()
    segmenter: str = ""
    segmenter_weights: Path | None = None
    concepts: ConceptSet = field(default=ConceptSet("dataset"))
    memory_mib: int = 512

    def __post_init__(self) -> None:
        require(
            0 < self.quantile < 1,
            f"quantile is {self.quantile}; it must lie between 0 and 1 (the share of positions "
            "where a unit is active)",
        )
        known = get_args(UnionRule)
        require(self.union in known, unknown_name("union", self.union, known))
        known = ("", *known_segmenters())
        require(self.segmenter in known, unknown_name("segmenter", self.segmenter, known[1:]))
        require(
            bool(self.segmenter) or self.segmenter_weights is None,
            "segmenter_weights need the name of their network as `segmenter`",
        )
        require(self.memory_mib >= 1, f"memory_mib is {self.memory_mib}; it must be at least 1")

    def identity(self) -> str:
        """The digest of the segmenter's published weights, if they are in use."""
        file = self._hosted()
        return "" if file is None else weights_identity(file)

    def missing(self) -> str:
        """How to get the segmenter's published weights, if they are needed and not here."""
        file = self._hosted()
        return "" if file is None else missing_weights(self._title, file, "segmenter_weights")

    def fetch(self) -> None:
        """Download the segmenter's published weights, if they are needed and not here."""
        file = self._hosted()
        if file is not None:
            fetch_weights(self._title, file, "segmenter_weights")

    @property
    def _title(self) -> str:
        return f"segmenter {self.segmenter}"

    def _hosted(self) -> AddressedFile | None:
        if self.segmenter in ("", TRANSFORMERS) or self.segmenter_weights is not None:
            return None
        return hosted_weights(self.segmenter)

    def explain(self, evidence: Evidence) -> Sequence[Explanation]:
        """The best label of each unit. Raises NotApplicableError without masks or maps."""
        statistics, tally = self._dissect(evidence)
        reasons = {
            **dict.fromkeys(torch.nonzero(tally.overlaps().amax(1) == 0).flatten().tolist(), ""),
            **_spoilt_units(statistics, self.quantile),
            **unusable_units(evidence.train_activations, evidence.val_activations),
        }
        concepts = tally.concepts
        overlaps, best = (values.tolist() for values in tally.overlaps().max(1))
        return [
            Explanation(unit, (), reason=reasons[unit] or self._why(tally, unit))
            if unit in reasons
            else Explanation(unit, (Term(concepts[best[unit]]),), figures={"IoU": overlaps[unit]})
            for unit in range(evidence.num_units)
        ]

    def tally(self, evidence: Evidence) -> Tally:
        """What was counted, for all units: behind a table of all categories."""
        return self._dissect(evidence)[1]

    def _dissect(self, evidence: Evidence) -> tuple[PositionStatistics, Tally]:
        if evidence.maps is None:
            raise TypeError("the evidence has no maps")
        maps = evidence.maps
        masks = [masks_without(each, self.without) for each in self._masks(evidence, maps)]
        shares = SHARES if self.quantile in SHARES else (self.quantile,)
        statistics = position_statistics(evidence, maps, shares, self.memory_mib * 2**20)

        def compute() -> dict[str, Tensor]:
            blocks = _blocks(maps, masks, split_rows(evidence))
            thresholds = statistics.thresholds[self.quantile]
            found = count(blocks, masks[0].categories, masks[0].size, thresholds, self.union)
            return {
                "both": found.both,
                "truth": found.truth,
                "active": found.active,
                "area": found.area,
            }

        parts = {
            "quantile": self.quantile,
            "union": self.union,
            "without": sorted(self.without),
            "memory": self.memory_mib,
            "labels": self._segmentation(evidence),
        }
        counted = evidence.memory.remember("netdissect-tally", parts, compute)
        return statistics, Tally(masks[0].categories, **counted)

    def _masks(self, evidence: Evidence, maps: Maps) -> list[Masks]:
        """Pixel labels of the train and of the val images."""
        if not self.segmenter:
            given = [view.masks for view in (evidence.train, evidence.val)]
            found = [masks for masks in given if masks is not None]
            if len(found) < len(given):
                raise NotApplicableError(NO_MASKS)
            return found
        rows = split_rows(evidence)
        _ = maps.shape  # a layer without maps says so before a network is loaded
        words = self.concepts.resolve(evidence.vocabulary)
        segmenter = load_segmenter(self.segmenter, self.segmenter_weights, words, evidence.device)
        images = [view.images for view in (evidence.train, evidence.val)]

        def compute() -> dict[str, Tensor]:
            return {
                name: segmenter.label(own, of_split.tolist())
                for name, own, of_split in zip(("train", "val"), images, rows, strict=True)
                if own is not None
            }

        labels = evidence.memory.remember("segmentation", self._segmentation(evidence), compute)
        return [
            SegmentedMasks(segmenter.concepts, of_split, labels[name])
            for name, of_split in zip(("train", "val"), rows, strict=True)
        ]

    def _segmentation(self, evidence: Evidence) -> dict[str, object]:
        """What decides the labels besides the data set."""
        if not self.segmenter:
            return {}
        weights = self.segmenter_weights
        return {
            "segmenter": self.segmenter,
            "weights": self.identity() if weights is None else path_digest(weights),
            "words": self.concepts.resolve(evidence.vocabulary),
        }

    def _why(self, tally: Tally, unit: int) -> str:
        if int(tally.area[unit]) == 0:
            return NOTHING_ACTIVE.format(share=f"{self.quantile:g}")
        return NO_OVERLAP


def _blocks(
    maps: Maps, masks: Sequence[Masks], rows: Sequence[Tensor]
) -> Iterator[tuple[Tensor, PixelLabels]]:
    """Maps and labels of the images of each split."""
    for own, of_split in zip(masks, rows, strict=True):
        for part, block in maps.blocks(of_split):
            yield block, own.read(part.tolist())


def _spoilt_units(statistics: PositionStatistics, quantile: float) -> dict[int, str]:
    """Units with a position that is no finite number."""
    finite = statistics.maxima.isfinite().all(0) & statistics.thresholds[quantile].isfinite()
    return dict.fromkeys(torch.nonzero(~finite).flatten().tolist(), NOT_FINITE)


@hookimpl
def le_bench_explainers() -> Iterable[type[Explainer]]:
    """Offer Network Dissection."""
    return [NetDissect]
