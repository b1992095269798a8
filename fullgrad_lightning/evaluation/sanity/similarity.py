"""Similarity of two saliency maps of one sample: rank correlation and SSIM."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from fullgrad_lightning.metrics.functional.saliency_drift import saliency_drift

# Key in files -> name in tables.
MEASURES = {
    "spearman": "Spearman's rank correlation",
    "spearman_abs": "Spearman's rank correlation of absolute values",
    "ssim": "SSIM",
}
MIN_MAP_SIZE = 11  # pixels: the width of the window of SSIM


def similarities(maps: Tensor, originals: Tensor) -> dict[str, Tensor]:
    """Computes the measures of Adebayo et al. (NeurIPS 2018, §3), without gradient histograms.

    ================ =============================================================================
    key              measure
    ================ =============================================================================
    ``spearman``     rank correlation of the pixels, −1…1; see ``saliency_drift``
    ``spearman_abs`` rank correlation of absolute values; the same if no value is negative
    ``ssim``         structural similarity (Wang et al., IEEE TIP 2004; window of 11 pixels), −1…1,
                     of the maps rescaled from their minima and maxima to 0 and 1
    ================ =============================================================================

    Args:
        maps: (N, 1, H, W), real, H and W ≥ 11. Values that are not finite count as 0.
        originals: (N, 1, H, W), real: the original maps of the same samples.

    Returns:
        (N,) float64 for each key. The rank correlation is 0 if one of two maps is constant, and 1
        if both are.

    Raises:
        ValueError: Other shapes, or maps of less than 11 pixels.

    Examples:
        >>> maps = torch.rand(2, 1, 16, 16)
        >>> similarities(maps, maps)["ssim"]
        tensor([1., 1.], dtype=torch.float64)
    """
    correlation = 1 - saliency_drift(maps, originals)
    if min(maps.shape[2:]) < MIN_MAP_SIZE:
        raise ValueError(
            f"SSIM has a window of {MIN_MAP_SIZE} pixels and needs maps at least as large, "
            f"got {tuple(maps.shape)}."
        )
    originals = originals.to(maps.device)
    unsigned = bool((maps >= 0).all() and (originals >= 0).all())
    return {
        "spearman": correlation,
        "spearman_abs": correlation
        if unsigned
        else 1 - saliency_drift(maps.abs(), originals.abs()),
        "ssim": _ssim(_rescaled(maps), _rescaled(originals)),
    }


def _ssim(maps: Tensor, originals: Tensor) -> Tensor:
    _, ssim = structural_similarity_index_measure(
        maps, originals, reduction="none", data_range=1.0, return_full_image=True
    )
    edge = MIN_MAP_SIZE // 2  # where the window reaches beyond the map
    return ssim[..., edge:-edge, edge:-edge].double().mean((1, 2, 3))


def _rescaled(maps: Tensor) -> Tensor:
    """Rescales each map from its minimum and maximum to 0 and 1, float32; a constant map to 0."""
    maps = maps.detach().double().nan_to_num(0.0, 0.0, 0.0)
    low, high = maps.amin((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
    # Float64 until here: gradients of a re-initialised network may be as small as 1e-30.
    return ((maps - low) / torch.where(high > low, high - low, 1.0)).float()
