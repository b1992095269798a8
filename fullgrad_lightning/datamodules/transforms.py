"""Transforms: first what is the same every time, then the augmentation, last the normalisation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torchvision.transforms import v2


def evaluation_transform(
    mean: Sequence[float], std: Sequence[float], size: int | None = None
) -> v2.Compose:
    """From a picture to a normalised image (C, H, W) float32, the same every time.

    Args:
        mean: C numbers, of pixels in 0…1.
        std: C numbers.
        size: H = W. The shorter side is resized to it and the middle cut out; ``None``: as it is.
    """
    return training_transform(mean, std, (), size)


def training_transform(
    mean: Sequence[float],
    std: Sequence[float],
    augmentation: Sequence[nn.Module],
    size: int | None = None,
) -> v2.Compose:
    """As ``evaluation_transform``, with an augmentation before the normalisation.

    The part before the augmentation is that of the evaluation: what is found on the image of an
    evaluation, a mask for instance, lies in the same place here.
    """
    resize = [] if size is None else [v2.Resize(size), v2.CenterCrop(size)]
    return v2.Compose(
        [
            v2.ToImage(),
            *resize,
            v2.ToDtype(torch.float32, scale=True),
            *augmentation,
            v2.Normalize(list(mean), list(std)),
        ]
    )


def shifted_crop(size: int, padding: int) -> v2.RandomCrop:
    """The image, moved by up to ``padding`` pixels; what comes in is black."""
    return v2.RandomCrop(size, padding=padding)


def crop_and_flip(size: int) -> list[nn.Module]:
    """The usual augmentation of photographs.

    Up to 64 pixels: moved by up to 1/8 of the side. Larger: a part of 8 to 100 % of the area,
    enlarged. Mirrored half of the time.
    """
    small = size <= 64
    crop = shifted_crop(size, size // 8) if small else v2.RandomResizedCrop(size)
    return [crop, v2.RandomHorizontalFlip()]
