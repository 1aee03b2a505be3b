"""Small vision towers, registered with timm so that an open_clip configuration can name them.

open_clip does not pass `image_size` to timm when it creates a tower, hence the towers here know
their picture size themselves. Importing this module registers them.
"""

from __future__ import annotations

from typing import Any

from timm.models import register_model
from timm.models.resnet import BasicBlock, ResNet
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from le_bench_plugins.picturebook.stems import ConvolutionalStem

PICTURE_SIZE = 64
_UNUSED = ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir")


def _without_download_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that a constructor takes; timm adds some that only concern downloads."""
    return {name: value for name, value in options.items() if name not in _UNUSED}


@register_model  # type: ignore[untyped-decorator]  # timm has no annotations
def picturebook_resnet_tower(pretrained: bool = False, **options: Any) -> nn.Module:
    """Return an untrained residual network with 8x8 positions at its end.

    Its last two layers dilate their convolutions and do not shrink the map: the small things in
    a picture are about 10 pixels wide.
    """
    del pretrained
    tower: nn.Module = ResNet(
        BasicBlock,
        layers=(1, 1, 1, 1),
        channels=(32, 64, 128, 128),
        output_stride=8,
        stem_type="deep",
        stem_width=16,
        **_without_download_options(options),
    )
    return tower


@register_model  # type: ignore[untyped-decorator]  # timm has no annotations
def picturebook_convvit_tower(pretrained: bool = False, **options: Any) -> nn.Module:
    """Return an untrained vision transformer with a convolutional stem and 8x8 tokens."""
    del pretrained
    width = 128
    tower = VisionTransformer(
        img_size=PICTURE_SIZE,
        patch_size=8,
        class_token=False,
        embed_dim=width,
        depth=3,
        num_heads=4,
        mlp_ratio=2.0,
        **_without_download_options(options),
    )
    tower.patch_embed = ConvolutionalStem((32, 64), width)
    result: nn.Module = tower
    return result
