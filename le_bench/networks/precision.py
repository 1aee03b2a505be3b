"""Number types that networks compute in."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch

from le_bench.types import Precision

AUTOCAST: Mapping[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}


def computing_in(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """Networks run inside compute in this type where torch deems it safe; weights stay as they are.

    `fp32` changes nothing.
    """
    if precision == "fp32":
        return nullcontext()
    context: AbstractContextManager[None] = torch.autocast(device.type, AUTOCAST[precision])
    return context
