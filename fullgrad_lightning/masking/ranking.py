"""Ranks of the pixels of an image by saliency.

Shapes: N samples, (H, W) the size of the image.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fullgrad_lightning.utilities.describe import abbreviate
from fullgrad_lightning.utilities.seeds import sample_generator


def rank_pixels(saliency: Tensor, sample_ids: Tensor | Sequence[int], *, seed: int = 0) -> Tensor:
    """Ranks all pixels of each map: rank 0 is the most salient pixel.

    Ties are broken by a random permutation that depends only on the seed and the sample's id: the k
    most salient pixels of a constant map are spread over the image, and are the same in any batch,
    in any process and on any device.

    Args:
        saliency: (N, 1, H, W) or (N, H, W), floating point, finite; larger is more salient.
        sample_ids: (N,) integers.
        seed: Seed of the permutations.

    Returns:
        (N, H, W) int64, on the device of the maps; for each sample a permutation of 0…H·W − 1.

    Raises:
        TypeError: Maps that are not floating point.
        ValueError: Another shape, not one id for each map, or maps with NaN or infinity.

    Examples:
        >>> rank_pixels(torch.tensor([[[0.1, 0.3], [0.0, 0.2]]]), [7])
        tensor([[[2, 0],
                 [3, 1]]])
    """
    maps = _check_maps(saliency)
    ids = sample_ids.tolist() if isinstance(sample_ids, Tensor) else [int(i) for i in sample_ids]
    if len(ids) != len(maps):
        raise ValueError(f"Each map needs a sample id: got {len(maps)} maps and {len(ids)} ids.")
    values = maps.flatten(1)
    finite = values.isfinite().all(1).tolist()
    if not all(finite):
        invalid = [i for i, is_finite in zip(ids, finite, strict=True) if not is_finite]
        raise ValueError(
            f"The saliency maps of samples {abbreviate(invalid)} hold NaN or infinity and cannot "
            "be ranked. Check whether the model's output is finite for these samples."
        )
    pixels = values.shape[1]
    permutations = [
        torch.randperm(pixels, generator=sample_generator("ties", seed, i)) for i in ids
    ]
    shuffle = torch.stack(permutations).to(values.device) if ids else values.long()
    # A stable sort after the shuffle keeps the shuffled order of equal values. Adding 0 turns -0.0
    # into 0.0, which some sorts distinguish.
    order = (values.gather(1, shuffle) + 0.0).argsort(dim=1, descending=True, stable=True)
    ranks = torch.arange(pixels, device=values.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, shuffle.gather(1, order), ranks).view(maps.shape)


def _check_maps(saliency: Tensor) -> Tensor:
    """Returns maps as (N, H, W), detached."""
    if not saliency.is_floating_point():
        raise TypeError(f"Saliency must be floating point, got {saliency.dtype}.")
    if saliency.ndim == 4 and saliency.shape[1] == 1:
        return saliency.detach()[:, 0]
    if saliency.ndim != 3:
        raise ValueError(
            "Saliency must be one map for each sample, (N, 1, H, W) or (N, H, W), got shape "
            f"{tuple(saliency.shape)}."
        )
    return saliency.detach()
