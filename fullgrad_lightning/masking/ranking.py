"""The order of an image's pixels by saliency.

Shapes: N samples, (H, W) the size of the image.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fullgrad_lightning.masking.draws import generator


def rank_pixels(saliency: Tensor, sample_ids: Tensor | Sequence[int], *, seed: int = 0) -> Tensor:
    """The rank of every pixel: 0 is the most salient one.

    Pixels that tie come in the order of a random permutation, which depends on the seed and the
    sample's id alone: the k most salient pixels of a constant map are spread over the image, and
    are the same ones in any batch, in any process and on any device.

    Args:
        saliency: (N, 1, H, W) or (N, H, W), floating point, finite; larger is more salient.
        sample_ids: (N,) integers.
        seed: Of the permutations.

    Returns:
        (N, H, W) int64, on the device of the maps; of each sample, a permutation of 0…H·W − 1.

    Raises:
        TypeError: Maps that are not floating point.
        ValueError: Another shape, not one id for each map, or maps with NaN or infinity.

    Examples:
        >>> rank_pixels(torch.tensor([[[0.1, 0.3], [0.0, 0.2]]]), [7])
        tensor([[[2, 0],
                 [3, 1]]])
    """
    maps, ids = _maps(saliency), _ids(sample_ids)
    if len(ids) != len(maps):
        raise ValueError(f"Each map needs a sample id: got {len(maps)} maps and {len(ids)} ids.")
    values = maps.flatten(1)
    finite = values.isfinite().all(1).tolist()
    if not all(finite):
        bad = [i for i, ok in zip(ids, finite, strict=True) if not ok]
        raise ValueError(
            f"The saliency maps of samples {_shortened(bad)} hold NaN or infinity and cannot be "
            "ranked. Look at these samples: is the model's output finite there?"
        )
    pixels = values.shape[1]
    drawn = [torch.randperm(pixels, generator=generator("ties", seed, i)) for i in ids]
    shuffle = torch.stack(drawn).to(values.device) if drawn else values.long()
    # Sorted after shuffling by a sort that keeps the order of equals. Adding 0 makes -0.0 to 0.0,
    # which some sorts tell apart.
    order = (values.gather(1, shuffle) + 0.0).argsort(dim=1, descending=True, stable=True)
    places = torch.arange(pixels, device=values.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, shuffle.gather(1, order), places).view(maps.shape)


def _maps(saliency: Tensor) -> Tensor:
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


def _ids(sample_ids: Tensor | Sequence[int]) -> list[int]:
    ids = sample_ids.tolist() if isinstance(sample_ids, Tensor) else list(sample_ids)
    return [int(i) for i in ids]


def _shortened(ids: list[int]) -> str:
    shown = ", ".join(map(str, ids[:10]))
    return shown if len(ids) <= 10 else f"{shown} and {len(ids) - 10} more"
