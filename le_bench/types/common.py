"""What all types of data share."""

from __future__ import annotations

from typing import Literal

Split = Literal["train", "val", "test"]
Precision = Literal["fp32", "bf16", "fp16"]
Pooling = Literal["avg", "max", "first", "none"]
WORKING_BYTES = 2**28  # 256 MiB of a device that a component works in unless told otherwise
SPLITS: tuple[Split, ...] = ("train", "val", "test")


def require(condition: bool, message: str) -> None:
    """Refuse malformed values where they are made, so that nobody downstream checks again."""
    if not condition:
        raise ValueError(message)
