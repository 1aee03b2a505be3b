"""open_clip's two losses, told for every pair whether the text is true of the picture."""

from __future__ import annotations

import torch
from open_clip.loss import ClipLoss, SigLipLoss
from torch import Tensor


class TruthfulSigLipLoss(SigLipLoss):  # type: ignore[misc]  # open_clip has no annotations
    """The sigmoid loss with labels from the ground truth instead of the identity matrix.

    In SigLIP every picture has one text and all others count as false of it. Most texts about
    single concepts are true of several pictures of a batch; here such a pair is positive, and a
    pair with the label 0 has a constant loss, hence no gradient.
    """

    def __init__(self, truth: Tensor) -> None:
        """Keep the labels (B, T), each -1, 0 or 1."""
        super().__init__()
        self.truth = truth

    def get_ground_truth(
        self,
        device: torch.device,
        dtype: torch.dtype,
        num_logits: int,
        negative_only: bool = False,
    ) -> Tensor:
        """Return the labels, (B, T)."""
        del num_logits, negative_only
        return self.truth.to(device=device, dtype=dtype)


class TruthfulClipLoss(ClipLoss):  # type: ignore[misc]  # open_clip has no annotations
    """The softmax loss with more texts than pictures and without the pairs that may be true.

    The first B texts belong to the pictures, in order; the others are false of every picture and
    compete in the softmax over texts.
    """

    def __init__(self, truth: Tensor) -> None:
        """Keep the labels (B, T), each -1, 0 or 1, with 1 on the diagonal only."""
        super().__init__()
        self.unknown = truth == 0

    def get_logits(
        self,
        image_features: Tensor,
        text_features: Tensor,
        logit_scale: Tensor,
        logit_bias: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the logits by image (B, T) and by text (B, B); left-out pairs have -10,000."""
        del logit_bias
        logits = logit_scale * image_features @ text_features.T
        by_image = logits.masked_fill(self.unknown, -1e4)
        return by_image, by_image[:, : len(logits)].T
