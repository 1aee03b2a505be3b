"""The ResNet-20 of He et al. for CIFAR-10, with the parameter-free shortcuts ("option A").

Source: "Deep Residual Learning for Image Recognition" (2015), section 4.2. Parameter names are
those of the weights trained by Yerlan Idelbayev (pytorch_resnet_cifar10, BSD-2-Clause).
"""

import torch
from torch import Tensor, nn

WIDTHS = (16, 32, 64)
BLOCKS = 3


class PaddedShortcut(nn.Module):
    """Takes every `stride`-th position and adds channels of zeros, half before and half after."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.padding = (width_out - width_in) // 2

    def forward(self, maps: Tensor) -> Tensor:
        """(N, width_in, h, w) to (N, width_out, h / stride, w / stride)."""
        kept = maps[:, :, :: self.stride, :: self.stride]
        return nn.functional.pad(kept, (0, 0, 0, 0, self.padding, self.padding))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut around them."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width_out)
        self.conv2 = nn.Conv2d(width_out, width_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width_out)
        self.shortcut = PaddedShortcut(width_in, width_out, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps after the block, rectified."""
        inner = torch.relu(self.bn1(self.conv1(maps)))
        return torch.relu(self.bn2(self.conv2(inner)) + self.shortcut(maps))


class ResNet20(nn.Module):
    """Three layers of three blocks, average pooling over positions, one linear classifier."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.layer1 = _layer(WIDTHS[0], WIDTHS[0], stride=1)
        self.layer2 = _layer(WIDTHS[0], WIDTHS[1], stride=2)
        self.layer3 = _layer(WIDTHS[1], WIDTHS[2], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(WIDTHS[2], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of normalised images (N, 3, 32, 32)."""
        maps = torch.relu(self.bn1(self.conv1(images)))
        maps = self.layer3(self.layer2(self.layer1(maps)))
        logits: Tensor = self.linear(self.avgpool(maps).flatten(1))
        return logits


def resnet20(num_classes: int = 10) -> ResNet20:
    """The network with random weights."""
    return ResNet20(num_classes)


def _layer(width_in: int, width_out: int, stride: int) -> nn.Sequential:
    first = BasicBlock(width_in, width_out, stride)
    return nn.Sequential(first, *(BasicBlock(width_out, width_out, 1) for _ in range(BLOCKS - 1)))
