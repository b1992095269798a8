"""MobileNetV1 (Howard et al. 2017), the network of the pictures in the documentation."""

from __future__ import annotations

from torch import Tensor, nn


class MobileNetV1(nn.Module):
    """Depthwise-separable convolutions, each followed by batch norm and ReLU, and one linear layer.

    Args:
        width: Multiple of the channels of the paper's network; 0.25 gives 0.47 million parameters.
        num_classes: Number of outputs K.
    """

    def __init__(self, *, width: float = 1.0, num_classes: int = 1000) -> None:
        super().__init__()
        c32, c64, c128, c256, c512, c1024 = (int(width * 2**k) for k in range(5, 11))
        self.stage1 = nn.Sequential(
            conv_bn(3, c32, 2),
            conv_dw(c32, c64, 1),
            conv_dw(c64, c128, 2),
            conv_dw(c128, c128, 1),
            conv_dw(c128, c256, 2),
            conv_dw(c256, c256, 1),
        )
        self.stage2 = nn.Sequential(
            conv_dw(c256, c512, 2), *(conv_dw(c512, c512, 1) for _ in range(5))
        )
        self.stage3 = nn.Sequential(conv_dw(c512, c1024, 2), conv_dw(c1024, c1024, 1))
        self.fc = nn.Linear(c1024, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 3, H, W)."""
        features = self.stage3(self.stage2(self.stage1(x)))
        return self.fc(features.mean((2, 3)))


def conv_bn(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """A 3×3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def conv_dw(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """A 3×3 convolution of each channel alone, then a 1×1 one, with batch norm and ReLU each."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def mobilenet_v1_025() -> MobileNetV1:
    """A quarter of the channels, for the 1,000 classes of ImageNet; untrained."""
    return MobileNetV1(width=0.25)
