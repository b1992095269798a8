"""Localisation: the saliency on the object that a mask marks."""

from __future__ import annotations

import torch
from torch import Tensor

from fullgrad_lightning.metrics.functional.checks import as_masks


def pointing_game(maps: Tensor, masks: Tensor) -> Tensor:
    """Returns whether the most salient pixel of each map lies on the object.

    Zhang et al., "Top-down Neural Attention by Excitation Backprop", IJCV 2018, without a margin
    around the object. If several pixels share the largest value, the first, row by row, counts.

    Args:
        maps: (N, 1, H, W), real. Values that are not finite count as 0.
        masks: (N, H, W) or (N, 1, H, W), bool or 0 and 1.

    Returns:
        (N,), bool; ``False`` where a mask is empty.

    Raises:
        ValueError: Other shapes, or masks with other values.

    Examples:
        >>> maps = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
        >>> pointing_game(maps, torch.tensor([[[0, 0], [0, 1]]]))
        tensor([True])
    """
    masks = as_masks(masks, maps)
    most_salient = _finite(maps).flatten(1).argmax(1, keepdim=True)
    return masks.flatten(1).gather(1, most_salient)[:, 0]


def energy_inside(maps: Tensor, masks: Tensor) -> Tensor:
    """Returns the share of the positive saliency that lies on the object.

        Σ_{mask} max(S, 0) / Σ max(S, 0)

    Wang et al., "Score-CAM", CVPR workshops 2020 (the energy-based pointing game).

    Args:
        maps: (N, 1, H, W), real. Values that are not finite count as 0.
        masks: (N, H, W) or (N, 1, H, W), bool or 0 and 1.

    Returns:
        (N,), float64 in [0, 1]; 0 where nothing is salient or a mask is empty.

    Raises:
        ValueError: Other shapes, or masks with other values.

    Examples:
        >>> maps = torch.tensor([[[[0.0, 1.0], [-2.0, 3.0]]]])
        >>> energy_inside(maps, torch.tensor([[[0, 0], [0, 1]]]))
        tensor([0.7500], dtype=torch.float64)
    """
    masks = as_masks(masks, maps)
    energy = _finite(maps).double().clamp(min=0)
    total = energy.sum((1, 2, 3))
    return (energy * masks).sum((1, 2, 3)) / torch.where(total > 0, total, 1.0)


def _finite(maps: Tensor) -> Tensor:
    return maps.detach().nan_to_num(0.0, 0.0, 0.0)
