"""What options and data choose among: splits, poolings, axes and number types."""

from __future__ import annotations

from typing import Literal

Split = Literal["train", "val", "test"]
Precision = Literal["fp32", "bf16", "fp16"]
Pooling = Literal["avg", "max", "first", "none"]
Channels = Literal["first", "last"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
