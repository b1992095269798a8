"""How much two saliency maps of one sample are alike: by the order of the pixels, and by eye."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from fullgrad_lightning.metrics.functional.saliency_drift import saliency_drift

# Key in files, name in tables.
MEASURES = {
    "spearman": "Spearman's rank correlation",
    "spearman_abs": "Spearman's rank correlation of absolute values",
    "ssim": "SSIM",
}
SMALLEST = 11  # pixels: the width of the window of SSIM


def similarities(maps: Tensor, originals: Tensor) -> dict[str, Tensor]:
    """The measures of Adebayo et al. (NeurIPS 2018, §3), without that of gradient histograms.

    ================ =============================================================================
    key              what it is
    ================ =============================================================================
    ``spearman``     rank correlation of the pixels, −1…1; see ``saliency_drift``
    ``spearman_abs`` likewise of their absolute values; the same where nothing is negative
    ``ssim``         structural similarity (Wang et al., IEEE TIP 2004; window of 11 pixels), −1…1,
                     of the maps rescaled from their minima and maxima to 0 and 1
    ================ =============================================================================

    Args:
        maps: (N, 1, H, W), real, H and W ≥ 11. What is not finite counts as 0.
        originals: (N, 1, H, W), real: the same samples.

    Returns:
        (N,) float64 for each key. Where one of two maps is constant the rank correlation is 0,
        where both are it is 1.

    Raises:
        ValueError: Other shapes, or maps of less than 11 pixels.

    Examples:
        >>> maps = torch.rand(2, 1, 16, 16)
        >>> similarities(maps, maps)["ssim"]
        tensor([1., 1.], dtype=torch.float64)
    """
    correlation = 1 - saliency_drift(maps, originals)
    if min(maps.shape[2:]) < SMALLEST:
        raise ValueError(
            f"SSIM looks through a window of {SMALLEST} pixels and needs maps at least as large, "
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
    _, everywhere = structural_similarity_index_measure(
        maps, originals, reduction="none", data_range=1.0, return_full_image=True
    )
    edge = SMALLEST // 2  # where the window would reach beyond the map
    return everywhere[..., edge:-edge, edge:-edge].double().mean((1, 2, 3))


def _rescaled(maps: Tensor) -> Tensor:
    """Each map from its minimum and maximum to 0 and 1, float32; a constant map to 0."""
    maps = maps.detach().double().nan_to_num(0.0, 0.0, 0.0)
    low, high = maps.amin((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
    # Float64 until here: gradients of a forgetful network may be as small as 1e-30.
    return ((maps - low) / torch.where(high > low, high - low, 1.0)).float()
