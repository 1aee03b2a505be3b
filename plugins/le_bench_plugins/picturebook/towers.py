"""Small vision towers, registered with timm so that an open_clip configuration can name them.

open_clip does not pass `image_size` to timm when it creates a tower, hence the towers here know
their picture size themselves. Importing this module registers them.
"""

from __future__ import annotations

from typing import Any

from timm.layers import SelectAdaptivePool2d
from timm.models import register_model
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from le_bench_plugins.picturebook.stems import ResidualBlock, convolve

PICTURE_SIZE = 64
_WIDTHS = (24, 48, 96)


class ResidualTower(nn.Module):
    """Residual blocks at 32x32, 16x16 and 8x8 positions, then pooling and one linear layer.

    It does not shrink the maps further: the small things in a picture are about 10 pixels wide.
    """

    def __init__(self, num_classes: int, global_pool: str) -> None:
        """Make the layers with random weights; `global_pool` is one of timm's names."""
        super().__init__()
        fine, middle, coarse = _WIDTHS
        self.stem = nn.Sequential(convolve(3, fine, 2), convolve(fine, fine))
        self.layer1 = nn.Sequential(ResidualBlock(fine, middle, 2), ResidualBlock(middle, middle))
        self.layer2 = nn.Sequential(ResidualBlock(middle, coarse, 2), ResidualBlock(coarse, coarse))
        self.pool = SelectAdaptivePool2d(pool_type=global_pool, flatten=True)
        self.head = nn.Linear(coarse * self.pool.feat_mult(), num_classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return vectors (B, num_classes) of pictures (B, 3, 64, 64)."""
        maps = self.layer2(self.layer1(self.stem(pictures)))
        vectors: Tensor = self.head(self.pool(maps))
        return vectors


class ResidualPatches(nn.Module):
    """Residual blocks in the place of a vision transformer's linear patch embedding."""

    def __init__(self, embed_dim: int) -> None:
        """Make the layers with random weights."""
        super().__init__()
        fine, middle, coarse = _WIDTHS
        self.layers = nn.Sequential(
            convolve(3, fine, 2),
            convolve(fine, fine),
            ResidualBlock(fine, middle, 2),
            ResidualBlock(middle, coarse, 2),
            nn.Conv2d(coarse, embed_dim, 1),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Return tokens (B, 64, embed_dim), row by row, of pictures (B, 3, 64, 64)."""
        maps: Tensor = self.layers(pictures)
        return maps.flatten(2).transpose(1, 2)


@register_model  # type: ignore[untyped-decorator]  # timm has no annotations
def picturebook_resnet_tower(
    pretrained: bool = False, num_classes: int = 0, global_pool: str = "catavgmax", **options: Any
) -> nn.Module:
    """Return an untrained residual tower; timm's options about downloads have no effect."""
    del pretrained, options
    return ResidualTower(num_classes, global_pool)


@register_model  # type: ignore[untyped-decorator]  # timm has no annotations
def picturebook_convvit_tower(
    pretrained: bool = False, num_classes: int = 0, global_pool: str = "map", **options: Any
) -> nn.Module:
    """Return an untrained vision transformer of two blocks on 8x8 tokens from residual blocks.

    timm's options about downloads have no effect.
    """
    del pretrained, options
    width = 128
    tower: nn.Module = VisionTransformer(
        img_size=PICTURE_SIZE,
        patch_size=8,
        num_classes=num_classes,
        global_pool=global_pool,
        class_token=False,
        embed_dim=width,
        depth=2,
        num_heads=4,
        mlp_ratio=2.0,
    )
    tower.patch_embed = ResidualPatches(width)
    return tower
