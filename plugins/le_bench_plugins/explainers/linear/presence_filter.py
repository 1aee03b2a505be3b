"""Which concepts occur clearly enough among the images to explain anything."""

from __future__ import annotations

import torch
from torch import Tensor

NUM_CLEAREST = 5  # images whose mean presence decides
LEAST_PRESENCE = 0.5
LEAST_DEVIATION = 1e-5


def occurring_concepts(presence: Tensor) -> Tensor:
    """Columns of the concepts that occur, in order, of a presence (N, C) in [0, 1].

    A concept occurs if the mean of its 5 largest presences is at least 0.5 and its standard
    deviation (N - 1) at least 1e-5. For labels the first means at least 3 positive images; the
    second leaves out what is in every image. With fewer than 5 images all of them count; a single
    image has no deviation, so that no concept occurs.

    Source: "Linear Explanations for Individual Neurons", section 3, which names the first test;
    the second is in the authors' `explain_neurons.py`. Deviation: the authors look at all images;
    here only train and val images are to be passed, because an explainer never sees test images.

    >>> occurring_concepts(torch.tensor([[0.9, 1.0, 0.1], [0.4, 1.0, 0.2]])).tolist()
    [0]
    """
    num_images, num_concepts = presence.shape
    if num_images < 2 or num_concepts == 0:
        return torch.empty(0, dtype=torch.long, device=presence.device)
    clearest = presence.topk(min(NUM_CLEAREST, num_images), dim=0).values.double().mean(0)
    deviation = presence.double().std(0)
    occurs = (clearest >= LEAST_PRESENCE) & (deviation >= LEAST_DEVIATION)
    return torch.nonzero(occurs).flatten()
