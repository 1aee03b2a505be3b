"""The data that flows between steps.

Letters used for shapes everywhere: N probe images, U units, C concepts, D embedding size.
All tensors are on the CPU unless a docstring says otherwise.
"""

from le_bench.types.ablation import (
    AblationOptions,
    Ablations,
    Curves,
    ImpactOptions,
    Temperature,
)
from le_bench.types.choices import SPLITS, Channels, Pooling, Precision, Split
from le_bench.types.dataset import (
    ConceptSet,
    Images,
    Masks,
    PixelLabels,
    Presence,
    ProbeDataset,
)
from le_bench.types.evidence import (
    WORKING_BYTES,
    Calibration,
    Encodings,
    Evidence,
    Maps,
    Memory,
    ProbeView,
)
from le_bench.types.explanations import (
    Explanation,
    Outcome,
    Score,
    Simulation,
    Term,
)
from le_bench.types.network import (
    Activations,
    Layer,
    TargetModel,
)
from le_bench.types.requirement import require

__all__ = [
    "SPLITS",
    "WORKING_BYTES",
    "AblationOptions",
    "Ablations",
    "Activations",
    "Calibration",
    "Channels",
    "ConceptSet",
    "Curves",
    "Encodings",
    "Evidence",
    "Explanation",
    "Images",
    "ImpactOptions",
    "Layer",
    "Maps",
    "Masks",
    "Memory",
    "Outcome",
    "PixelLabels",
    "Pooling",
    "Precision",
    "Presence",
    "ProbeDataset",
    "ProbeView",
    "Score",
    "Simulation",
    "Split",
    "TargetModel",
    "Temperature",
    "Term",
    "require",
]
