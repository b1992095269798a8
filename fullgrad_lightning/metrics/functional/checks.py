"""Checks of the shapes of maps and masks."""

from __future__ import annotations

import torch
from torch import Tensor


def check_maps(maps: Tensor) -> None:
    """Checks that maps are (N, 1, H, W) with pixels.

    Raises:
        ValueError: They are not.
    """
    if maps.ndim != 4 or maps.shape[1] != 1 or not maps.shape[2:].numel():
        raise ValueError(f"maps must be (N, 1, H, W), got shape {tuple(maps.shape)}.")


def as_masks(masks: Tensor, maps: Tensor) -> Tensor:
    """Converts masks to (N, 1, H, W), bool, on the device of the maps.

    Args:
        masks: (N, H, W) or (N, 1, H, W), bool or 0 and 1.
        maps: (N, 1, H, W).

    Raises:
        ValueError: Another shape, or values other than 0 and 1.
    """
    check_maps(maps)
    n, _, h, w = maps.shape
    if masks.shape not in ((n, h, w), (n, 1, h, w)):
        raise ValueError(
            f"masks must be {(n, h, w)} or {(n, 1, h, w)}, one at the resolution of each map, "
            f"got shape {tuple(masks.shape)}."
        )
    if masks.dtype != torch.bool:
        inside = masks == 1
        if not (inside | (masks == 0)).all():
            raise ValueError(
                "masks must be bool, or 0 outside the object and 1 inside, got values from "
                f"{masks.min().item():g} to {masks.max().item():g}. Compare with a threshold first."
            )
        masks = inside
    return masks.reshape(n, 1, h, w).to(maps.device)
