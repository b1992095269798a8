"""A network, images and ranks for the metrics that replace pixels, and literal loops over them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

CLASSES, SIDE = 4, 6
PIXELS = SIDE * SIDE
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def network(outputs: int = CLASSES) -> nn.Sequential:
    """In float64 and training mode, with dropout, batch norm and an in-place first layer."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.LeakyReLU(0.3, inplace=True),
            nn.BatchNorm2d(3),
            nn.Dropout(0.5),
            nn.Conv2d(3, 5, 3, padding=1),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(5 * PIXELS, outputs),
        )
    return net.double()


def samples(n: int = 7) -> tuple[Tensor, Tensor]:
    """Images (n, 3, 6, 6) float64 and ranks (n, 6, 6)."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(n, 3, SIDE, SIDE, generator=generator, dtype=torch.float64)
    ranks = torch.stack([torch.randperm(PIXELS, generator=generator) for _ in range(n)])
    return images, ranks.view(n, SIDE, SIDE)


def evidence_of(n: int = 7) -> Tensor:
    """(n, 6, 6) float64, no two the same: few pixels of the first sample are above 0, most of the
    last.
    """
    drawn = torch.rand(n, SIDE, SIDE, generator=torch.Generator().manual_seed(2)).double()
    return drawn - torch.linspace(1, 0.17, n)[:, None, None].double()


def says(net: nn.Module, image: Tensor) -> Tensor:
    """The logits (K,) of one image (3, H, W), by a copy of the network in eval mode."""
    with torch.no_grad():
        return net.eval()(image[None].clone())[0]


def without(
    image: Tensor, ranks: Tensor, gone: Callable[[int], bool], value: Callable[[int], float]
) -> Tensor:
    """The image, pixel by pixel: ``value(channel)`` where ``gone(rank)``."""
    altered = image.clone()
    for i in range(SIDE):
        for j in range(SIDE):
            if gone(int(ranks[i, j])):
                for channel in range(3):
                    altered[channel, i, j] = value(channel)
    return altered
