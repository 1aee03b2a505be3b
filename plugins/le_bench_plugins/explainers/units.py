"""Units that cannot be explained, and why."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def unusable_units(train: Tensor, val: Tensor) -> Mapping[int, str]:
    """The units, of activations (N_train, U) and (N_val, U), that no explainer can judge.

    A unit is unusable if an activation is NaN or infinite, or if it is the same on all train or
    on all val images (a dead unit). Others are not in the mapping.

    >>> train = torch.tensor([[0.0, 1.0], [0.0, 2.0]])
    >>> unusable_units(train, val=torch.tensor([[0.0, 1.0], [1.0, 2.0]]))
    {0: 'the unit has the same activation on all train images'}
    """
    constant: dict[int, str] = {}
    spoilt: dict[int, str] = {}
    for split, values in (("val", val), ("train", train)):
        least, most = values.amin(0), values.amax(0)  # NaN if any is
        for unit in torch.nonzero(least == most).flatten().tolist():
            constant[unit] = f"the unit has the same activation on all {split} images"
        for unit in torch.nonzero(~(least.isfinite() & most.isfinite())).flatten().tolist():
            count = int((~values[:, unit].isfinite()).sum())
            spoilt[unit] = (
                f"the unit's activation is not a finite number on {count} "
                f"{split} image{'s' if count > 1 else ''}"
            )
    return dict(sorted((constant | spoilt).items()))
