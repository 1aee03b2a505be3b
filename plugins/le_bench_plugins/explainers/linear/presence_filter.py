"""Which concepts occur clearly enough among the images to explain anything."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from le_bench_plugins.explainers.linear.blocks import PresenceBlocks

NUM_CLEAREST = 5  # images whose mean presence decides
LEAST_PRESENCE = 0.5
LEAST_DEVIATION = 1e-5
SAMPLE = 1024  # images whose mean is taken for typical


def occurring_concepts(
    presence: Tensor | PresenceBlocks, look: Callable[[Tensor], None] | None = None
) -> Tensor:
    """Columns of the concepts that occur, in order, of a presence (N, C) in [0, 1].

    A concept occurs if the mean of its 5 largest presences is at least 0.5 and its standard
    deviation (N - 1) at least 1e-5. For labels the first means at least 3 positive images; the
    second leaves out what is in every image. With fewer than 5 images all of them count; a single
    image has no deviation, so that no concept occurs.

    The images are read once, in blocks; `look` is shown each block that is read.

    Source: "Linear Explanations for Individual Neurons", section 3, which names the first test;
    the second is in the authors' `explain_neurons.py`. Deviation: the authors look at all images;
    here only train and val images are to be passed, because an explainer never sees test images.

    >>> occurring_concepts(torch.tensor([[0.9, 1.0, 0.1], [0.4, 1.0, 0.2]])).tolist()
    [0]
    """
    source = presence if isinstance(presence, PresenceBlocks) else PresenceBlocks.of(presence)
    num_images, num_concepts = source.shape
    if num_images == 0 or num_concepts == 0:
        return torch.empty(0, dtype=torch.long)
    sample = source.sample(SAMPLE).float()
    typical = torch.where(sample.amin(0) < sample.amax(0), sample.mean(0), sample[0])
    clearest = sample.new_full((min(NUM_CLEAREST, num_images), num_concepts), -torch.inf)
    sums = squares = torch.zeros_like(typical, dtype=torch.float64)
    for block in source.blocks():
        if look is not None:
            look(block)
        values = block.float()
        _keep_clearest(clearest, values)
        from_typical = values - typical  # so that sums in float32 do not cancel
        sums = sums + from_typical.sum(0)
        squares = squares + from_typical.square_().sum(0)
    variance = (squares - sums.square() / num_images) / (num_images - 1)
    clear = clearest.double().mean(0) >= LEAST_PRESENCE
    return torch.nonzero(clear & (variance.clamp_min(0).sqrt() >= LEAST_DEVIATION)).flatten()


def _keep_clearest(clearest: Tensor, block: Tensor) -> None:
    """Update the largest values (K, C) of each column by those of a block of images, in place.

    Columns of which K values are at least LEAST_PRESENCE are decided and left alone.
    """
    least = clearest.amin(0)
    open_columns = (least < LEAST_PRESENCE) & (block.amax(0) > least)
    columns = torch.nonzero(open_columns).flatten()
    both = torch.cat([clearest[:, columns], block[:, columns]])
    clearest[:, columns] = both.topk(len(clearest), dim=0).values
