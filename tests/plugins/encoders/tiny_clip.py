"""The shape of a tiny model, and what it is shown."""

from __future__ import annotations

import numpy as np

from le_bench.probing.images import ArrayImages

HALF = (0.5, 0.5, 0.5)
VOCABULARY = 49408


CONFIGURATION = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {
        "context_length": 16,
        "vocab_size": VOCABULARY,
        "width": 8,
        "heads": 1,
        "layers": 1,
    },
}
TEXTS = ["a red car", "snow", "dog"]


def draw_images(count: int = 5) -> ArrayImages:
    """Noise images that are neither square nor of the model's size."""
    random = np.random.default_rng(0)
    return ArrayImages(random.integers(0, 256, (count, 40, 60, 3), dtype=np.uint8))
