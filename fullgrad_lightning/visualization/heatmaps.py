"""Saliency maps as colours, alone and over the image that they explain.

Shapes: N samples, (H, W) the resolution of the image, (h, w) that of a map.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from fullgrad_lightning.utilities.rounding import is_constant

QUANTILE = 0.995  # of a map's values; values above are shown like it
SIGNED_ABOVE = 0.01  # negative values below this share of the largest are rounding or overshoot


def heatmap(
    maps: Tensor, *, signed: bool | None = None, size: tuple[int, int] | None = None
) -> Tensor:
    """Colours maps, each from its minimum, dark, to its 99.5 % quantile, bright.

    Args:
        maps: (N, 1, h, w), real. Values that are not finite count as 0. A constant map is shown
            as one of zeros.
        signed: Show the sign: blue, white, red, symmetric about 0. ``None``: if any value is
            negative by more than 1 % of the largest absolute value.
        size: The height and width of the result; values are interpolated bilinearly.

    Returns:
        (N, 3, h, w) or (N, 3, *size), float32 in [0, 1], on the CPU.

    Raises:
        ValueError: Another shape.

    Examples:
        >>> heatmap(torch.rand(2, 1, 4, 4)).shape
        torch.Size([2, 3, 4, 4])
    """
    maps = _checked(maps)
    signed = is_signed(maps) if signed is None else signed
    return _coloured(_scaled(maps, signed, size), signed)


def overlay(images: Tensor, maps: Tensor, *, signed: bool | None = None) -> Tensor:
    """Draws maps as heat over their grey images.

    Args:
        images: (N, 3, H, W), float32 in [0, 1].
        maps: (N, 1, h, w), as in ``heatmap``; enlarged to (H, W).
        signed: As in ``heatmap``. Where a signed map is 0, the grey image is seen.

    Returns:
        (N, 3, H, W), float32 in [0, 1], on the CPU.

    Raises:
        ValueError: Other shapes, or another number of maps than of images.
    """
    maps = _checked(maps)
    if images.ndim != 4 or images.shape[:2] != (len(maps), 3):
        raise ValueError(
            f"images must be ({len(maps)}, 3, H, W), one for each map, "
            f"got shape {tuple(images.shape)}."
        )
    signed = is_signed(maps) if signed is None else signed
    heat = _scaled(maps, signed, (images.shape[2], images.shape[3]))
    grey = images.detach().to("cpu", torch.float32).mean(1, keepdim=True)
    if signed:
        return torch.lerp(0.2 + 0.6 * grey, _coloured(heat, signed), 0.9 * heat.abs())
    # Between the image and white, both shaded by it, by channel: no hue is clipped.
    return torch.lerp(0.35 * grey, 0.85 + 0.15 * grey, _coloured(heat, signed))


def is_signed(maps: Tensor) -> bool:
    """Returns whether maps (N, 1, h, w) have negative values beyond rounding errors."""
    low, high = maps.aminmax() if maps.numel() else (maps.new_zeros(()),) * 2
    return bool(-low > SIGNED_ABOVE * torch.maximum(-low, high))


def _checked(maps: Tensor) -> Tensor:
    if maps.ndim != 4 or maps.shape[1] != 1:
        raise ValueError(f"maps must be (N, 1, h, w), got shape {tuple(maps.shape)}.")
    return maps.detach().to("cpu", torch.float32).nan_to_num(0.0, 0.0, 0.0)


def _scaled(maps: Tensor, signed: bool, size: tuple[int, int] | None) -> Tensor:
    """Scales each map to [0, 1], or to [-1, 1] if signed."""
    flat = maps.flatten(1)
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    # A map that varies only by rounding errors is constant: nothing in it is salient.
    constant = is_constant(low, high)
    if not signed:
        flat = flat - low
    magnitude = flat.abs()
    rank = int(QUANTILE * (flat.shape[1] - 1)) + 1  # kthvalue counts from 1
    top = magnitude.kthvalue(rank, 1, keepdim=True).values
    top = torch.where(top > 0, top, magnitude.amax(1, keepdim=True))  # a few hot pixels alone
    values = (flat / top.clamp(min=1e-38)).clamp(-1, 1).masked_fill(constant, 0).view_as(maps)
    if size is None or maps.shape[2:] == size:
        return values
    shrinks = size[0] < maps.shape[2] or size[1] < maps.shape[3]
    values = F.interpolate(values, size, mode="bilinear", antialias=shrinks)
    return values.clamp_(-1, 1)


def _coloured(values: Tensor, signed: bool) -> Tensor:
    """Returns the colours (N, 3, H, W) of values (N, 1, H, W) in [0, 1] or, signed, in [-1, 1]."""
    # The ends of the diverging map are nearly black; signed values stop before them.
    index = (values * 0.4 + 0.5 if signed else values).mul(255).round_().int()
    table = _table("RdBu_r" if signed else "inferno")
    return table.index_select(1, index.flatten()).view(3, *index[:, 0].shape).transpose(0, 1)


@lru_cache
def _table(name: str) -> Tensor:
    """Returns the 256 colours of a colormap, (3, 256)."""
    from matplotlib import colormaps  # imported only for drawing: it takes a third of a second

    return torch.tensor(colormaps[name](range(256)), dtype=torch.float32)[:, :3].T.contiguous()
