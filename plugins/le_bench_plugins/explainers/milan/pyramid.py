"""Features of exemplars: maps of several layers of a network, each pooled under the mask."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from le_bench_plugins.explainers.milan.backbones import BACKBONES, BackboneName
from le_bench_plugins.explainers.milan.shown import Shown


class Pyramid(nn.Module):
    """The authors' `PyramidConvEncoder` over one of `BACKBONES`.

    The picture goes in whole; only its maps are masked. The mask is resized bilinearly to each
    map and divided by its sum; a mask that is then 0 everywhere (to 1e-8, as in the original)
    gives zeros. Several masks of one picture share its pass through the network.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: BackboneName) -> None:
        super().__init__()
        spec = BACKBONES[backbone]
        self.layers = tuple(spec.layers)
        self.width = spec.width
        self.model = spec.build().eval()
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(spec.std).view(1, 3, 1, 1))

    @torch.no_grad()
    def maps(self, pictures: Tensor) -> list[Tensor]:
        """The maps (B, C, h, w) of each layer, of pictures (B, 3, H, W) in [0, 1]."""
        found: dict[str, Tensor] = {}

        def keep(layer: str) -> Callable[..., None]:
            def hook(_module: object, _inputs: object, output: Tensor) -> None:
                found[layer] = output.clone()  # an in-place activation may follow

            return hook

        handles = [
            self.model.get_submodule(layer).register_forward_hook(keep(layer))
            for layer in self.layers
        ]
        try:
            self.model((pictures - self.mean) / self.std)
        finally:
            for handle in handles:
                handle.remove()
        return [found[layer] for layer in self.layers]

    @torch.no_grad()
    def forward(self, pictures: Tensor, masks: Tensor, picture_of: Tensor) -> Tensor:
        """Features (P, F) of masks (P, H, W) in [0, 1], each of the picture `picture_of` (P,)."""
        levels = self.maps(pictures)
        return torch.cat([pool_under_masks(maps, masks, picture_of) for maps in levels], 1)

    def features(self, shown: Shown) -> Tensor:
        """Features (P, F) of some exemplars, on this module's device."""
        device = self.mean.device
        pictures = shown.pictures.to(device).float() / 255
        masks = shown.masks.to(device).float()
        result: Tensor = self(pictures, masks, shown.picture_of.to(device))
        return result


def pool_under_masks(maps: Tensor, masks: Tensor, picture_of: Tensor) -> Tensor:
    """Means (P, C) of maps (B, C, h, w) weighted by masks (P, H, W) of the pictures (P,)."""
    size = maps.shape[-2:]
    weights = F.interpolate(masks[:, None], size=size, mode="bilinear", align_corners=False)
    weights = weights.flatten(1)
    empty = weights.isclose(torch.zeros((), device=weights.device)).all(1, keepdim=True)
    weights = torch.where(empty, weights, weights / weights.sum(1, keepdim=True))
    flat = maps.flatten(2)
    pooled = flat.new_empty(len(masks), maps.shape[1])
    for picture in torch.unique(picture_of):
        own = picture_of == picture
        pooled[own] = weights[own] @ flat[picture].T
    return pooled
