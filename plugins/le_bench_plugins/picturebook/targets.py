"""The three small networks that the Picturebook explains; all take pictures in [-1, 1]."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from itertools import pairwise
from types import MappingProxyType

from timm.models.resnet import BasicBlock, ResNet
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from le_bench_plugins.picturebook.concepts import CLASSES
from le_bench_plugins.picturebook.stems import ConvolutionalStem

PICTURE_SIZE = 64


def build_cnn() -> nn.Module:
    """Return an untrained residual network with the layers `layer1` to `layer4`.

    Takes pictures (B, 3, 64, 64) as `x / 127.5 - 1` and gives logits (B, 24). The layers give
    24, 48, 96 and 128 channels at 16x16, 8x8, 4x4 and 4x4 positions.
    """
    model: nn.Module = ResNet(
        BasicBlock,
        layers=(1, 1, 1, 1),
        num_classes=len(CLASSES),
        channels=(24, 48, 96, 128),
        output_stride=16,
        stem_type="deep",
        stem_width=16,
    )
    return model


class PlainNetwork(nn.Module):
    """A plain stack of convolutions with batch normalisation, then two linear layers, as in VGG."""

    def __init__(self) -> None:
        """Make the layers with random weights."""
        super().__init__()
        widths = (3, 16, 32, 64, 96)
        self.features = nn.Sequential()
        for block, (inputs, outputs) in enumerate(pairwise(widths), start=1):
            self.features.add_module(f"block{block}", _plain_block(inputs, outputs))
        self.classifier = nn.Sequential(
            OrderedDict(
                flatten=nn.Flatten(),
                fc1=nn.Linear(widths[-1] * (PICTURE_SIZE // 16) ** 2, 128),
                act1=nn.ReLU(inplace=True),
                drop=nn.Dropout(0.3),
                fc2=nn.Linear(128, len(CLASSES)),
            )
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Return logits (B, 24) of pictures (B, 3, 64, 64) in [-1, 1]."""
        logits: Tensor = self.classifier(self.features(pictures))
        return logits


def _plain_block(inputs: int, outputs: int) -> nn.Sequential:
    """Return convolution, normalisation, activation and pooling to half the size."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            norm=nn.BatchNorm2d(outputs),
            act=nn.ReLU(inplace=True),
            pool=nn.MaxPool2d(2),
        )
    )


def build_vgg() -> nn.Module:
    """Return an untrained VGG-like network with `features.block1` to `block4` and `classifier`.

    Takes pictures (B, 3, 64, 64) as `x / 127.5 - 1` and gives logits (B, 24).
    """
    return PlainNetwork()


def build_vit() -> nn.Module:
    """Return an untrained vision transformer with `blocks.0` to `blocks.3`, and `mlp.act` in each.

    Takes pictures (B, 3, 64, 64) as `x / 127.5 - 1` and gives logits (B, 24). Each block has 64
    tokens and no class token; the head reads their mean.
    """
    width = 96
    model: nn.Module = VisionTransformer(
        img_size=PICTURE_SIZE,
        patch_size=8,
        num_classes=len(CLASSES),
        global_pool="avg",
        class_token=False,
        embed_dim=width,
        depth=4,
        num_heads=4,
        mlp_ratio=2.0,
    )
    model.patch_embed = ConvolutionalStem((24, 48), width)
    return model


TARGETS: Mapping[str, Callable[[], nn.Module]] = MappingProxyType(
    {
        "picturebook-cnn": build_cnn,
        "picturebook-vgg": build_vgg,
        "picturebook-vit": build_vit,
    }
)
