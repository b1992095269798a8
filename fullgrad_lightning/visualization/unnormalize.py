"""Inputs of a network as pictures.

Shapes: N samples, C channels, (H, W) the resolution of the input.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fullgrad_lightning.utilities.normalization import Normalization
from fullgrad_lightning.visualization.canvas import Pixels


def unnormalized(
    x: Tensor,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> Tensor:
    """Undoes the normalisation of images for display.

    Args:
        x: (N, C, H, W), of any real dtype and on any device. Three channels are red, green, blue;
            of any other number the mean is shown, as grey. Values that are not finite count as 0.
        mean: The mean that was subtracted from values in 0…1: one number, or one for each channel.
            ``None``: each image is rescaled from its minimum and maximum to 0 and 1.
        std: The standard deviation by which they were then divided; ``None`` if ``mean`` is.

    Returns:
        (N, 3, H, W), float32 in [0, 1], on the CPU.

    Raises:
        ValueError: Another shape; one of ``mean`` and ``std`` alone, or of another length.

    Examples:
        >>> unnormalized(torch.zeros(1, 1, 2, 2), mean=0.5, std=0.25).unique()
        tensor([0.5000])
    """
    if x.ndim != 4:
        raise ValueError(f"x must be images (N, C, H, W), got shape {tuple(x.shape)}.")
    normalization = Normalization.of(mean, std)
    x = x.detach().to("cpu", torch.float32).nan_to_num(0.0, 0.0, 0.0)
    if normalization is None:
        low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
        x = (x - low) / torch.where(high > low, high - low, 1.0)
    else:
        x = normalization.denormalize(x)
    if x.shape[1] != 3:
        x = x.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    return x.clamp(0, 1)


def input_pixels(x: Tensor, normalization: Normalization | None) -> Pixels:
    """Converts inputs (N, C, H, W) into pixels (N, H, W, 3), uint8, as ``unnormalized`` shows them.

    Integers are 0…255 and not normalised; without a normalisation, inputs are in 0…1.
    """
    if not x.is_floating_point():
        x, normalization = x / 255, None
    normalization = normalization or Normalization((0.0,), (1.0,))
    return to_pixels(unnormalized(x, normalization.mean, normalization.std))


def to_pixels(pictures: Tensor) -> Pixels:
    """Converts pictures (N, 3, H, W), float32 in [0, 1], into (N, H, W, 3), uint8, rounded."""
    rounded = pictures.mul(255).round_().to("cpu", torch.uint8)
    return np.stack([channel.numpy() for channel in rounded.unbind(1)], axis=-1)


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarges the pixels of pictures (N, C, H, W), float32, to squares, or averages them."""
    height, width = images.shape[-2:]
    if (height, width) == size:
        return images
    if height <= size[0] and width <= size[1]:
        return F.interpolate(images, size, mode="nearest-exact")
    return F.interpolate(images, size, mode="bilinear", antialias=True).clamp(0, 1)
