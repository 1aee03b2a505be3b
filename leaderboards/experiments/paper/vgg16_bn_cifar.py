"""VGG-16 with batch norm for images of 32 x 32, as its checkpoint for CIFAR-100 names its layers.

The checkpoint is cifar100_vgg16_bn-7d8c4031.pt of https://github.com/chenyaofo/pytorch-cifar-models
(74.00% accuracy).
"""

from torch import Tensor, nn

WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)  # 0: pool


class VGG(nn.Module):
    """Convolutions down to one position, then three linear layers."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in WIDTHS:
            if width == 0:
                layers.append(nn.MaxPool2d(2))
                continue
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(512, 512),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(512, 512),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(512, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Class scores of images (B, 3, 32, 32)."""
        return self.classifier(self.features(images).flatten(1))


def vgg16_bn() -> VGG:
    """The network of the checkpoint."""
    return VGG(100)
