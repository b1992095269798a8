"""Saliency drift: the distance between two saliency maps of the same sample."""

from __future__ import annotations

import torch
from torch import Tensor

from fullgrad_lightning.metrics.functional.checks import check_maps


def saliency_drift(maps: Tensor, previous: Tensor) -> Tensor:
    """Returns 1 − the Spearman rank correlation of the pixels of two maps.

    It is 0 if both rank all pixels alike, 1 if they are unrelated, and 2 if one reverses the other.
    Only the order of the values matters, so that maps of any scale can be compared. Equal values
    share their mean rank. A constant map has no order: the drift is 0 if both are constant, and 1
    if one is. Values that are not finite count as 0.

    Args:
        maps: (N, 1, H, W), real.
        previous: (N, 1, H, W), real: the same samples, earlier.

    Returns:
        (N,), float64 in [0, 2].

    Raises:
        ValueError: Other shapes, or shapes that differ.

    Examples:
        >>> maps = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
        >>> saliency_drift(maps, 10 * maps + 5), saliency_drift(maps, -maps)
        (tensor([0.], dtype=torch.float64), tensor([2.], dtype=torch.float64))
    """
    check_maps(maps)
    if previous.shape != maps.shape:
        raise ValueError(
            f"previous must be {tuple(maps.shape)} like maps, got {tuple(previous.shape)}. "
            "Compare maps of the same samples at one resolution."
        )
    now, before = _centred_ranks(maps), _centred_ranks(previous.to(maps.device))
    squares_now, squares_before = now.square().sum(1), before.square().sum(1)
    scale = (squares_now * squares_before).sqrt()
    drift = 1 - (now * before).sum(1) / torch.where(scale > 0, scale, 1.0)
    both_constant = (squares_now == 0) & (squares_before == 0)
    return drift.clamp(0, 2).masked_fill(both_constant, 0)


def _centred_ranks(maps: Tensor) -> Tensor:
    """Returns the ranks of the pixels of each map minus their mean, averaged over ties, (N, P)."""
    values = maps.detach().flatten(1).contiguous()
    if values.dtype in (torch.float16, torch.bfloat16):
        values = values.float()
    if values.is_floating_point():
        values = values.nan_to_num(0.0, 0.0, 0.0)
    in_order = values.sort(1).values
    # The numbers of pixels that are smaller, and not larger: the ranks of a tie lie between them.
    smaller = torch.searchsorted(in_order, values)
    not_larger = torch.searchsorted(in_order, values, right=True)
    return 0.5 * (smaller + not_larger).double() - values.shape[1] / 2
