"""Inputs of a network as pictures.

Shapes: N samples, C channels, (H, W) the resolution of the input.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def unnormalized(
    x: Tensor,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> Tensor:
    """Undoes the normalisation of images, so that they can be looked at.

    Args:
        x: (N, C, H, W), of any real dtype and on any device. Three channels are red, green, blue;
            of any other number the mean is shown, as grey. What is not finite counts as 0.
        mean: What was subtracted from values in 0…1: one number, or one for each channel.
            ``None``: each image is rescaled from its minimum and maximum to 0 and 1.
        std: What they were then divided by; likewise, given if and only if ``mean`` is.

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
    if (mean is None) != (std is None):
        raise ValueError(
            f"mean and std must be given together, got mean={mean} and std={std}. "
            "Leave out both to rescale each image by its minimum and maximum."
        )
    x = x.detach().to("cpu", torch.float32).nan_to_num(0.0, 0.0, 0.0)
    if mean is None or std is None:
        low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
        x = (x - low) / torch.where(high > low, high - low, 1.0)
    else:
        x = x * _by_channel("std", std, x.shape[1]) + _by_channel("mean", mean, x.shape[1])
    if x.shape[1] != 3:
        x = x.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    return x.clamp(0, 1)


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures at another resolution: their pixels enlarged to squares, or averaged.

    Args:
        images: (N, C, H, W), float32.
        size: The height and width wanted.

    Returns:
        (N, C, *size).
    """
    height, width = images.shape[-2:]
    if (height, width) == size:
        return images
    if height <= size[0] and width <= size[1]:
        return F.interpolate(images, size, mode="nearest-exact")
    return F.interpolate(images, size, mode="bilinear", antialias=True).clamp(0, 1)


def _by_channel(name: str, values: float | Sequence[float], channels: int) -> Tensor:
    tensor = torch.as_tensor(values, dtype=torch.float32, device="cpu").flatten()
    if len(tensor) not in (1, channels):
        raise ValueError(
            f"{name} must hold one number, or one for each of the {channels} channels, "
            f"got {len(tensor)}: {values}."
        )
    return tensor.view(1, -1, 1, 1)
