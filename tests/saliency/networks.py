"""Small networks of each kind, redrawn so that every bias counts."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torchvision.models as tv
from torch import Tensor, nn

from tests.decomposition.redrawn import redraw

CLASSES = 5


def plain(channels: int = 3) -> nn.Module:
    """VGG-like: convolutions with a bias, ReLU in place, pooling, fully connected layers."""
    return nn.Sequential(
        nn.Conv2d(channels, 6, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(inplace=True), nn.AdaptiveMaxPool2d(3),
        nn.Flatten(), nn.Linear(72, 16), nn.ReLU(inplace=True), nn.Linear(16, CLASSES),
    )  # fmt: skip


def residual() -> nn.Module:
    return tv.resnet18(num_classes=CLASSES)


def dense() -> nn.Module:
    return tv.DenseNet(4, (2, 3), num_init_features=8, num_classes=CLASSES)


def mobile() -> nn.Module:
    """Hard-swish, squeeze gates of size 1×1, products."""
    return tv.mobilenet_v3_small(num_classes=CLASSES)


def mobile_relu6() -> nn.Module:
    return tv.mobilenet_v2(num_classes=CLASSES, width_mult=0.35)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "plain": plain,
    "residual": residual,
    "dense": dense,
    "mobile": mobile,
    "mobile_relu6": mobile_relu6,
}


def network(name: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    """A network of ``NETWORKS``, redrawn, in eval mode."""
    return redraw(NETWORKS[name]()).eval().to(dtype)


class FullResolution(nn.Module):
    """All maps have the size of the image; the head weighs every pixel of the last."""

    def __init__(self, height: int, width: int, channels: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(inplace=True),
            nn.Conv2d(5, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.SiLU(),
            nn.Conv2d(4, 4, 1),
        )  # fmt: skip
        self.head = nn.Linear(4 * height * width, CLASSES)
        redraw(self).eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).relu().flatten(1))


def assert_near(saliency: Tensor, expected: Tensor, tolerance: float) -> None:
    """Each map within a share of its own largest value."""
    assert saliency.shape == expected.shape, (saliency.shape, expected.shape)
    size = expected.flatten(1).abs().amax(1)
    assert (size > 0).all() and saliency.isfinite().all()
    off = (saliency.to(expected) - expected).flatten(1).abs().amax(1)
    assert (off <= tolerance * size).all(), (off / size).tolist()
